"""How long a checkpoint stops the training, and how long it takes to write.

    python benchmarks/checkpoints.py [--method sac] [--task dmc/walker_walk] [--preset paper] [--device auto]
                                     [--steps 10000] [--rounds 3] [--folder FOLDER] [--out FILE]

Each round puts --steps transitions into the replay and saves twice: waiting until everything is written, and beside
a thread that computes, as training does, whose longest pause is measured. Nothing is trained. FOLDER decides the disk.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS
from saccade.agents.given import Given
from saccade.agents.presets import SIZES, preset
from saccade.data.replay import ReplayBuffer
from saccade.doctor.facts import environment_facts
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.runs.agents import make_agent
from saccade.runs.device import device_of
from saccade.runs.training import RunConfig, Training
from saccade.train import state
from saccade.train.off_policy import OffPolicyTraining
from saccade.train.saving import BackgroundSaving, Write

MILLISECOND = 1e-3


@dataclass(frozen=True)
class Times:
    """Of one round, in seconds."""

    at_once: float  # that training stops for where it waits for the disk
    stopped: float  # that it stops for where it does not
    writing: float  # meanwhile, beside it
    longest_pause: float  # of a computation beside the writing


def main() -> None:
    options = parse_arguments()
    device = device_of(options.device)
    config = run_config(options)
    env = config.env
    with (
        EnvWorkers([env], [0], num_workers=1) as workers,
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
    ):
        agent = make_agent(config, workers.spaces, device, Given(lambda count, size, generator: torch.empty(0)))
        for phase in agent.phases:  # so that there are moments to save
            for parameter in phase.owned():
                parameter.grad = torch.zeros_like(parameter)
            phase.optimizer.step()
        frame = (workers.spaces.obs_shape[0] // env.frame_stack, env.image_size, env.image_size)
        capacity = 2 * options.steps * options.rounds
        replay = ReplayBuffer(capacity, frame, workers.spaces.actions, frame_stack=env.frame_stack, device=device)
        training = OffPolicyTraining(config, agent, workers, replay, device)
        training.obs = workers.reset()
        rounds = [time_round(training, Path(folder), options.steps) for _ in range(options.rounds)]
    show(rounds)
    if options.out:
        told = {"settings": vars(options) | {"out": None}, "machine": environment_facts()}
        options.out.write_text(json.dumps(told | {"rounds": list(map(asdict, rounds))}, indent=2, default=str) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="sac", choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--task", default="dmc/walker_walk")
    parser.add_argument("--preset", default="paper", choices=SIZES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=10_000, help="agent steps between two checkpoints")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; by default the system's temporary folder")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    return parser.parse_args()


def run_config(options: argparse.Namespace) -> RunConfig:
    start = preset(options.method, options.task, options.preset)
    side = METHODS[options.method].rendered_size(start.agent)
    env = EnvConfig.parse(options.task, image_size=side, **start.environment)
    return RunConfig(options.method, env, start.agent, Training(envs=1, compile="off"))


def time_round(training: OffPolicyTraining, root: Path, steps: int) -> Times:
    remember(training, steps)
    began = time.perf_counter()
    state.save(training, root)
    at_once = time.perf_counter() - began
    remember(training, steps)
    began = time.perf_counter()
    write = state.take(training, root)
    stopped = time.perf_counter() - began
    began = time.perf_counter()
    longest = pause_beside(write)
    return Times(at_once, stopped, time.perf_counter() - began, longest)


def remember(training: OffPolicyTraining, steps: int) -> None:
    """Put an episode of so many steps into the replay, every frame of it the same."""
    frame = training.obs[0, -training.obs.shape[1] // training.env.frame_stack :]
    action = [0.0] * training.workers.spaces.action_dim
    training.replay.start_episode(0, frame)
    for _ in range(steps):
        training.replay.add(0, action, 0.0, 1.0, frame)
    training.counters.env_steps += steps


def pause_beside(write: Write) -> float:
    """The longest time that a small computation takes while a checkpoint is written."""
    saving = BackgroundSaving()
    matrix, longest = torch.ones(64, 64), 0.0
    with saving:
        saving.begin(write)
        while not saving.is_finished:
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            longest = max(longest, time.perf_counter() - began)
    return longest


def show(rounds: list[Times]) -> None:
    table = Table(title="A checkpoint, ms")
    for name in ("written at once", "copied: training stops for", "written beside it in", "longest pause"):
        table.add_column(name, justify="right")
    for times in rounds:
        table.add_row(*(f"{seconds / MILLISECOND:.0f}" for seconds in asdict(times).values()))
    Console().print(table)


if __name__ == "__main__":
    main()
