"""Frames per second of MiniGrid's own wrapper and of our batches, in one process on one core.

    OMP_NUM_THREADS=1 python benchmarks/grid_worlds.py [--tasks red_fetch_green Fetch-8x8-N3 ...] [--envs 1 16 64]
                                                    [--seconds 1] [--rounds 3] [--out FILE]

A frame is one step of one environment, its picture at 8 pixels a cell, and a new episode where the last has ended.
Actions are drawn uniformly, beforehand. MiniGrid's side is ``RGBImgObsWrapper`` around one environment without
highlighting; for a task of our own it plays Fetch-8x8-N3, which has as many cells and objects. All take turns, round by
round, so that a busy machine slows them alike; times are processor time, and the fastest round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from minigrid.wrappers import RGBImgObsWrapper
from rich.console import Console
from rich.table import Table

from saccade.envs.tasks.minigrid.layouts import stock_env
from saccade.envs.tasks.minigrid.tasks import TASKS
from saccade.envs.tasks.minigrid.world import GridWorlds

DEFAULT_TASKS = ("red_fetch_green", "Fetch-8x8-N3", "DoorKey-8x8")
LIKE_OUR_OWN = "Fetch-8x8-N3"
NUM_ACTIONS = 4096  # drawn beforehand, and played again and again
STOCK_STEPS, OUR_STEPS = 50, 200  # between two looks at the clock
SEED = 0


@dataclass(frozen=True)
class Speed:
    """Frames per second of processor time, and how many times MiniGrid's own that is."""

    task: str
    envs: int
    frames_per_second: float
    stock_frames_per_second: float

    @property
    def times(self) -> float:
        return self.frames_per_second / self.stock_frames_per_second


def main() -> None:
    arguments = parse_arguments()
    speeds = [speed for task in arguments.tasks for speed in measure(task, arguments)]
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "numpy": np.__version__}
    print_table(speeds)
    if arguments.out:
        rows = [asdict(speed) | {"times": speed.times} for speed in speeds]
        arguments.out.write_text(json.dumps({"machine": machine, "speeds": rows}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=DEFAULT_TASKS, choices=TASKS, metavar="TASK")
    parser.add_argument("--envs", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def measure(task: str, arguments: argparse.Namespace) -> list[Speed]:
    stock = stock_player(task if TASKS[task].gymnasium_id else LIKE_OUR_OWN)
    players = [our_player(task, count) for count in arguments.envs]
    best = [0.0] * (1 + len(players))
    for _ in range(arguments.rounds):
        for number, play in enumerate((stock, *players)):
            best[number] = max(best[number], frames_per_second(play, arguments.seconds))
    return [Speed(task, count, speed, best[0]) for count, speed in zip(arguments.envs, best[1:], strict=True)]


def frames_per_second(play: Callable[[], int], seconds: float) -> float:
    frames, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        frames += play()
    return frames / (time.process_time() - start)


def stock_player(task: str) -> Callable[[], int]:
    """Plays MiniGrid's own environment for a while; gives the number of frames."""
    env = RGBImgObsWrapper(stock_env(TASKS[task]))
    env.reset(seed=SEED)
    actions = np.random.default_rng(SEED).integers(TASKS[task].num_actions, size=STOCK_STEPS).tolist()

    def play() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions)

    return play


def our_player(task: str, num_envs: int) -> Callable[[], int]:
    """Plays and draws a batch for a while; gives the number of frames."""
    worlds = GridWorlds(task, num_envs)
    worlds.reset(range(num_envs), range(num_envs))
    worlds.draw()
    actions = np.random.default_rng(SEED).integers(TASKS[task].num_actions, size=(NUM_ACTIONS, num_envs))
    played = 0

    def play() -> int:
        nonlocal played
        for _ in range(OUR_STEPS):
            _, terminated, truncated = worlds.step(actions[played % NUM_ACTIONS])
            over = np.flatnonzero(terminated | truncated)
            if over.size:
                worlds.reset(over)
            worlds.draw()
            played += 1
        return OUR_STEPS * num_envs

    return play


def print_table(speeds: list[Speed]) -> None:
    table = Table(title="MiniGrid, frames per second on one core", caption="processor time, the fastest round of each")
    for heading in ("task", "environments", "frames/s", "MiniGrid's own", "times"):
        table.add_column(heading, justify="left" if heading == "task" else "right", no_wrap=True)
    for speed in speeds:
        stock, ours = f"{speed.stock_frames_per_second:,.0f}", f"{speed.frames_per_second:,.0f}"
        table.add_row(speed.task, str(speed.envs), ours, stock, f"{speed.times:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
