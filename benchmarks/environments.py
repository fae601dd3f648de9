"""How fast environments are: agent steps per second in each mode, where the time goes, and N workers.

    python benchmarks/environments.py [--task dmc/walker_walk] [--image-size 84] [--quality full|fast]
                                      [--modes MODE ...] [--steps 50] [--workers 1 2 ...] [--out FILE]

One process holds an environment of each mode, by default those that an evaluation plays; they take turns step by
step, so that a busy machine slows all of them alike. Times are processor time of that process; the steps per second
of workers are wall time. Set SACCADE_DATA to use the benchmark's own clips.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco.opengl import gl_renderer
from saccade.envs.suites import TASKS, expanded, usual_modes
from saccade.envs.workers.env_workers import EnvWorkers

PARTS = ("physics", "rendering", "keying", "task mask")
WARM_UP_STEPS = 3
SEED = 0


@dataclass
class ModeTimes:
    """Processor seconds of one mode's environment, summed over ``steps`` agent steps and one reset."""

    mode: str
    steps: int
    reset: float = 0.0
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    @property
    def milliseconds_per_step(self) -> float:
        """Of a step as an agent takes it, without the task mask."""
        return 1000 * (sum(self.parts.values()) - self.parts["task mask"]) / self.steps

    def row(self) -> dict[str, Any]:
        told = asdict(self) | {"milliseconds_per_step": self.milliseconds_per_step}
        return told | {"agent_steps_per_second": 1000 / self.milliseconds_per_step}


@dataclass(frozen=True)
class WorkerTimes:
    """Wall time of ``num_envs`` environments in as many processes."""

    num_workers: int
    agent_steps_per_second: float


def main() -> None:
    arguments = parse_arguments()
    config = EnvConfig.parse(
        arguments.task, image_size=arguments.image_size, render_quality=arguments.quality, task_mask=True
    )
    modes = time_modes(config, expanded(arguments.modes or usual_modes(config.task)), arguments.steps)
    workers = [time_workers(config, number, arguments.steps) for number in arguments.workers]
    machine = {
        "gl_renderer": gl_renderer(),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print_tables(config, machine, modes, workers)
    if arguments.out:
        rows = {
            "config": asdict(config),
            "control_steps_per_action": config.control_steps_per_action,
            "machine": machine,
            "modes": [times.row() for times in modes],
            "workers": [asdict(times) for times in workers],
        }
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="dmc/walker_walk", choices=TASKS, metavar="TASK")
    parser.add_argument("--image-size", type=int, default=84)
    parser.add_argument("--quality", default="full", choices=("full", "fast"))
    parser.add_argument("--modes", nargs="*", metavar="MODE")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, os.cpu_count() or 1])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def time_modes(config: EnvConfig, modes: Sequence[str], steps: int) -> list[ModeTimes]:
    environments, results = [], []
    for mode in modes:
        env = make_env(config.changed(mode=mode), SEED)
        env.reset(seed=SEED)
        for _ in range(WARM_UP_STEPS):
            env.step(np.zeros(env.action_space.sample().shape, np.float32))
        environments.append(env)
        results.append(ModeTimes(mode, steps))
    for env, times in zip(environments, results, strict=True):
        env.reset(seed=SEED + 1)
        with timed() as seconds:  # other colours or another clip, already decoded
            env.reset(seed=SEED)
        times.reset = seconds()
    random = np.random.default_rng(SEED)
    for _ in range(steps):
        action = random.uniform(-1, 1, environments[0].action_space.shape).astype(np.float32)
        for env, times in zip(environments, results, strict=True):
            time_step(env, action, times.parts)
    for env in environments:
        env.close()
    return results


def time_step(env: Any, action: np.ndarray, parts: dict[str, float]) -> None:
    """One agent step, in the pieces that ``PixelEnv.step`` consists of."""
    with timed() as seconds:
        env.advance(action)
    parts["physics"] += seconds()
    with timed() as seconds:
        pixels = env.simulation.scene.render()
    parts["rendering"] += seconds()
    with timed() as seconds:
        env.distract(pixels).transpose(2, 0, 1).copy()
    parts["keying"] += seconds()
    with timed() as seconds:
        env.simulation.task_mask(env.simulation.task.physics.data.ptr)
    parts["task mask"] += seconds()


def time_workers(config: EnvConfig, number: int, steps: int) -> WorkerTimes:
    plain = config.changed(task_mask=False)
    random = np.random.default_rng(SEED)
    with EnvWorkers([plain] * number, list(range(number)), num_workers=number) as workers:
        workers.reset()
        shape = (number, *workers.action_space.shape)
        for _ in range(WARM_UP_STEPS):
            workers.step(np.zeros(shape, np.float32))
        start = time.perf_counter()
        for _ in range(steps):
            if workers.step(random.uniform(-1, 1, shape).astype(np.float32)).truncated.any():
                workers.reset()  # all end together, and the robot's episodes are short
        return WorkerTimes(number, steps * number / (time.perf_counter() - start))


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Gives a function that tells the block's processor seconds once it has ended."""
    seconds = [time.process_time()]
    yield lambda: seconds[1] - seconds[0]
    seconds.append(time.process_time())


def print_tables(
    config: EnvConfig, machine: dict[str, Any], modes: list[ModeTimes], workers: list[WorkerTimes]
) -> None:
    console = Console()
    title = f"{config.task}, {config.image_size} pixels, {config.options.render_quality}, {machine['gl_renderer']}"
    table = Table(title=title, caption="milliseconds of processor time; a step is without the task mask")
    for heading in ("mode", "steps/s", "step", "physics", "rendering", "keying", "mask", "reset"):
        table.add_column(heading, justify="left" if heading == "mode" else "right", no_wrap=True)
    for times in modes:
        step = times.milliseconds_per_step
        *drawn, mask = (1000 * times.parts[part] / times.steps for part in PARTS)
        shares = [f"{part:.1f} {part / step:4.0%}" for part in drawn]
        reset = f"{1000 * times.reset:.0f}"
        table.add_row(times.mode, f"{1000 / step:.0f}", f"{step:.1f}", *shares, f"{mask:.1f}", reset)
    console.print(table)
    table = Table(title="EnvWorkers, one environment a process, mode train", caption="wall time, all together")
    for heading in ("processes", "agent steps/s"):
        table.add_column(heading, justify="right")
    for group in workers:
        table.add_row(str(group.num_workers), f"{group.agent_steps_per_second:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
