"""Are the robot tasks the published ones? Returns of a scripted and a random controller, next to the published numbers.

    python benchmarks/robot_parity.py [--episodes 300] [--modes train test1 ...] [--action-space xy|xyz] [--out FILE]

The scripted controller moves straight to the goal (in ``xyz`` above it first, then down); it sees positions, not
pixels. Nothing is drawn but the first frame of an episode, as small as it can be. The returns of all modes must be
equal to the last digit: a variant changes what is seen and nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.tasks.manipulation_suite import MANIPULATION_MODES, MANIPULATION_TASKS

GAIN = 10.0  # action per metre that is left
CLEARANCE = 0.16  # metres of the peg's middle over the bottom of the box, until it is above the goal
ABOVE = 0.03  # metres in x and y
BEYOND_REACH = 0.5  # metres: the arm is led no further than y = 0.45, and a peg within 5 cm of the goal counts
SEED = 0

# Of a port of the published tasks to a current MuJoCo, and of the papers, for actions in x and y.
PUBLISHED = {
    ("manipulation/reach", "scripted"): "31.7",
    ("manipulation/reach", "random"): "-53",
    ("manipulation/peg_in_box", "scripted"): "170 to 186",
    ("manipulation/peg_in_box", "random"): "-85",
}


@dataclass(frozen=True)
class Row:
    """One controller in one mode; ``reachable`` is the mean return over the goals that the arm can reach."""

    task: str
    mode: str
    controller: str
    mean: float
    error: float
    reachable: float
    success: float
    milliseconds_per_step: float
    returns: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--modes", nargs="*", default=list(MANIPULATION_MODES), choices=list(MANIPULATION_MODES))
    parser.add_argument("--action-space", default="xy", choices=("xy", "xyz"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for task in MANIPULATION_TASKS:
        for controller, act in (("scripted", scripted), ("random", randomly())):
            for mode in arguments.modes if controller == "scripted" else arguments.modes[:1]:
                config = EnvConfig.parse(
                    task, mode=mode, image_size=4, render_quality="fast", action_space=arguments.action_space
                )
                rows.append(play(config, controller, act, arguments.episodes))
                print(".", end="", flush=True)
    print()
    for task in MANIPULATION_TASKS:
        its = [row for row in rows if row.task == task]
        print_table(task, its, arguments.action_space)
        returns = {row.returns for row in its if row.controller == "scripted"}
        print(f"returns are {'the same' if len(returns) == 1 else 'NOT the same'} in all modes\n")
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def scripted(env: Any) -> np.ndarray:
    way = env.simulation.task.to_goal()
    if env.config.task == "manipulation/peg_in_box" and np.linalg.norm(way[:2]) > ABOVE:
        way[2] = max(way[2] + CLEARANCE, 0.0)
    return GAIN * way[: env.simulation.task.num_actions]


def randomly() -> Callable[[Any], np.ndarray]:
    random = np.random.default_rng(SEED + 1)
    return lambda env: random.uniform(-1, 1, env.simulation.task.num_actions)


def play(config: EnvConfig, controller: str, act: Callable[[Any], np.ndarray], episodes: int) -> Row:
    env = make_env(config, SEED)
    returns, successes, reachable = [], [], []
    seconds = 0.0
    for _ in range(episodes):
        env.reset()
        reachable.append(env.simulation.task.problem.goal()[1] <= BEYOND_REACH)
        total, success = 0.0, False
        start = time.process_time()
        for _ in range(config.episode_agent_steps):
            total += env.advance(act(env))
            success |= env.simulation.task.outcome()["is_success"]
        seconds += time.process_time() - start
        returns.append(total)
        successes.append(success)
    env.close()
    scores = np.array(returns)
    return Row(
        config.task,
        config.mode,
        controller,
        float(scores.mean()),
        float(scores.std(ddof=1) / np.sqrt(episodes)),
        float(scores[np.array(reachable)].mean()),
        float(np.mean(successes)),
        1000 * seconds / episodes / config.episode_agent_steps,
        tuple(returns),
    )


def print_table(task: str, rows: list[Row], action_space: str) -> None:
    table = Table(title=f"{task}, actions in {action_space}, {len(rows[0].returns)} episodes", box=None)
    for heading in ("controller", "mode", "return", "± s.e.", "published", "in reach", "success", "ms/step"):
        left = heading in ("controller", "mode")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        published = PUBLISHED[row.task, row.controller] if action_space == "xy" else ""
        numbers = [f"{row.mean:.1f}", f"{row.error:.1f}", published, f"{row.reachable:.1f}", f"{row.success:.2f}"]
        table.add_row(row.controller, row.mode, *numbers, f"{row.milliseconds_per_step:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
