"""Agent steps per processor second of Atari: ours, ALE's batch in C++, and other libraries' wrappers.

    OMP_NUM_THREADS=1 python benchmarks/atari.py [--games Breakout Seaquest Pong] [--envs 8] [--seconds 1] [--rounds 5]
                                                 [--out FILE]

An agent step is four frames and the observation of them, 84 pixels square, the last four stacked; episodes are
restarted as they end. Actions are drawn uniformly, beforehand. All play in this process, take turns round by round, so
that a busy machine slows them alike, and are told by the processor time of all their threads; the fastest round of each
counts. "the emulator alone" is what no wrapper can be faster than. Gymnasium's and Stable-Baselines3's wrappers need
OpenCV: without it they are left out. Training on top of it, beside Stable-Baselines3's: benchmarks/on_policy.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode
from rich.console import Console
from rich.table import Table

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.streams import Streams, WorkerStreams
from saccade.envs.tasks.atari.emulator import Emulator
from saccade.envs.tasks.atari.games import GAMES
from saccade.envs.workers.env_workers import EnvWorkers

NUM_ACTIONS = 4096  # drawn beforehand, and played again and again
STEPS = 50  # between two looks at the clock
SEED, FRAMES, STACK = 0, 4, 4

Play = Callable[[], int]
"""Plays for a while; gives the number of agent steps, over all environments."""


@dataclass(frozen=True)
class Speed:
    """Agent steps per second of processor time, and how many times ALE's batch that is."""

    game: str
    player: str
    steps_per_second: float
    times_ale_vector: float


def main() -> None:
    arguments = parse_arguments()
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    console = Console()
    if not has_opencv():
        console.print(
            "Gymnasium's and Stable-Baselines3's wrappers are left out: they need OpenCV (pip install opencv)."
        )
    speeds = [speed for game in arguments.games for speed in measure(game, arguments)]
    print_table(speeds, console)
    if arguments.out:
        packages = {name: version(name) for name in ("ale-py", "numpy", "gymnasium")}
        machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), **packages}
        rows = [asdict(speed) for speed in speeds]
        arguments.out.write_text(json.dumps({"machine": machine, "speeds": rows}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", default=("Breakout", "Seaquest", "Pong"), choices=GAMES, metavar="GAME")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def has_opencv() -> bool:
    return importlib.util.find_spec("cv2") is not None


# --- environments alone -------------------------------------------------------------------------------


def measure(game: str, arguments: argparse.Namespace) -> list[Speed]:
    players = players_of(game, arguments.envs)
    best = dict.fromkeys(players, 0.0)
    for _ in range(arguments.rounds):
        for name, play in players.items():
            best[name] = max(best[name], steps_per_second(play, arguments.seconds))
    ale = best["ALE's batch in C++"]
    return [Speed(game, name, speed, speed / ale) for name, speed in best.items()]


def steps_per_second(play: Play, seconds: float) -> float:
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        steps += play()
    return steps / (time.process_time() - start)


def players_of(game: str, envs: int) -> Mapping[str, Play]:
    plain, noisy = (EnvConfig.parse(f"atari/{game}{mode}", frame_stack=STACK) for mode in ("", "@noise"))
    recommended = EnvConfig.parse(f"atari/{game}", frame_stack=STACK, wrappers="recommended")
    players = {
        "the emulator alone": emulator(game),
        "ALE's batch in C++": batch(game, envs),
        "ours, one": one(make_env(plain, SEED)),
        "ours, as a run plays them": streams(plain, envs),
        "ours, recommended": one(make_env(recommended, SEED)),
        "ours, with noise": one(make_env(noisy, SEED)),
    }
    if has_opencv():
        players |= {"Gymnasium's wrappers": one(gymnasium_env(game)), "Stable-Baselines3's": baselines3(game, envs)}
    return players


def drawn(count: int, envs: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(count, size=(NUM_ACTIONS, envs))


def emulator(game: str) -> Play:
    """Frames without a look at them."""
    row = GAMES[game]
    console = Emulator(row)
    console.begin()
    actions = [row.actions[number] for number in drawn(len(row.actions), 1)[:STEPS, 0]]

    def play() -> int:
        for action in actions:
            for _ in range(FRAMES):
                console.act(action)
            if console.over:
                console.begin()
        return len(actions)

    return play


def batch(game: str, envs: int) -> Play:
    """In one thread: more share the same processor time."""
    games = AtariVectorEnv(GAMES[game].rom, envs, num_threads=1, autoreset_mode=AutoresetMode.SAME_STEP)
    games.reset(seed=SEED)
    return stepping(games.step, drawn(int(games.single_action_space.n), envs))


def streams(config: EnvConfig, envs: int) -> Play:
    """In this process, as with ``--workers 0``."""
    made: Streams = WorkerStreams(EnvWorkers([config] * envs, range(envs), num_workers=0))
    made.start()
    count = len(GAMES[config.task.partition("/")[2]].actions)
    return stepping(made.step, drawn(count, envs))


def baselines3(game: str, envs: int) -> Play:
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    made = VecFrameStack(make_atari_env(f"{game}NoFrameskip-v4", envs, seed=SEED), STACK)
    made.reset()
    return stepping(made.step, drawn(len(GAMES[game].actions), envs))


def stepping(step: Callable[[np.ndarray], Any], actions: np.ndarray) -> Play:
    played = 0

    def play() -> int:
        nonlocal played
        for _ in range(STEPS):
            step(actions[played % NUM_ACTIONS])
            played += 1
        return STEPS * actions.shape[1]

    return play


def gymnasium_env(game: str) -> gymnasium.Env[Any, Any]:
    env = gymnasium.make(f"{game}NoFrameskip-v4")
    return gymnasium.wrappers.FrameStackObservation(gymnasium.wrappers.AtariPreprocessing(env), STACK)


def one(env: gymnasium.Env[Any, Any]) -> Play:
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    env.reset(seed=SEED)
    actions, played = drawn(int(env.action_space.n), 1)[:, 0].tolist(), 0

    def play() -> int:
        nonlocal played
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = env.step(actions[played % NUM_ACTIONS])
            played += 1
            if terminated or truncated:
                env.reset()
        return STEPS

    return play


def print_table(speeds: list[Speed], console: Console) -> None:
    table = Table(title="Atari, agent steps per second of processor time", caption="the fastest round of each")
    for heading in ("game", "player", "steps/s", "times ALE's batch"):
        table.add_column(heading, justify="left" if heading in ("game", "player") else "right", no_wrap=True)
    for speed in speeds:
        table.add_row(speed.game, speed.player, f"{speed.steps_per_second:,.0f}", f"{speed.times_ale_vector:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
