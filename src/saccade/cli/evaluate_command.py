"""``saccade evaluate RUN [RUN ...]``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from saccade.bench.results import Result, backgrounds_of, cell, modes_of, newest_results, worst_gap
from saccade.envs.env import EnvConfig
from saccade.envs.suites import MODES
from saccade.policies.evaluate import Act, Evaluation, evaluate, evaluation_row, in_mode, with_gaps
from saccade.policies.run import load_policy, read_config
from saccade.train.logs import append_row
from saccade.train.session import EVALUATIONS
from saccade.types import UserError
from saccade.viewer.pictures import write_video

VIDEO_FRAMES_PER_SECOND = 25.0


@dataclass(frozen=True)
class Evaluate:
    """Play trained runs with deterministic actions, and compare the benchmark's modes with the training mode.

    Results are added to each run's evaluations.jsonl.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders, as `saccade train` writes them."""
    modes: tuple[str, ...] = tuple(MODES)
    """Modes to play in; the gap is to the mode train."""
    episodes: int = 10
    """Episodes in each mode; published tables use 100."""
    seed: int | None = None
    """Of the episodes; by default the run's own."""
    data: str | None = None
    """The benchmark's data folder; by default the run's own, or the one that SACCADE_DATA names."""
    clip_order: Annotated[str | None, tyro.conf.arg(metavar="{seed,sequential}")] = None
    """Which video an episode gets; by default as in the run."""
    device: str = "auto"
    workers: int | None = None
    """Processes for the environments: 0 none, by default one per core."""
    video: bool = False
    """Also write a video of the first episode in each mode."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = tyro.cli(Evaluate, prog="saccade evaluate", args=words)
    if not options.runs:
        raise UserError("A run folder is needed, such as `saccade evaluate runs/dmc-walker_walk/sgqn/0`.")
    if not options.modes:
        raise UserError(f"--modes needs at least one of {', '.join(MODES)}.")
    if options.episodes < 1:
        raise UserError(f"--episodes {options.episodes} is too small: it must be at least 1.")
    configs = {folder: read_config(folder) for folder in options.runs}
    for mode in options.modes:
        EnvConfig("dmc/walker_walk", mode)  # before any work: a mode that does not exist is a mistake
    console = Console()
    results: list[Result] = []
    with Progress(console=console, transient=True) as progress:
        for folder, config in configs.items():
            policy = load_policy(folder, options.device)
            env = _as_asked(config.env, options)
            seed = config.training.seed if options.seed is None else options.seed
            rows = []
            for result in play(policy.act, env, options, seed, progress, str(folder)):
                rows.append(
                    evaluation_row(
                        result,
                        method=config.method,
                        env=env,
                        seed=config.training.seed,
                        env_steps=policy.env_steps,
                    )
                )
                if result.frames is not None:
                    (folder / "videos").mkdir(exist_ok=True)
                    path = folder / "videos" / f"evaluate_{policy.env_steps:09d}_{result.mode}.mp4"
                    write_video(path, result.frames, VIDEO_FRAMES_PER_SECOND)
            rows = with_gaps(rows)
            for row in rows:
                append_row(folder / EVALUATIONS, row)
            results += newest_results(rows)
    show(results, console)
    return 0


def play(
    act: Act, env: EnvConfig, options: Evaluate, seed: int, progress: Progress, label: str
) -> Iterable[Evaluation]:
    """Evaluate in each mode with a progress bar."""
    for mode in options.modes:
        line = progress.add_task(f"{label} {mode}", total=options.episodes)

        def advance(done: int, total: int, line: TaskID = line) -> None:
            progress.update(line, completed=done, total=total)

        yield evaluate(
            act,
            in_mode(env, mode),
            episodes=options.episodes,
            seed=seed,
            workers=options.workers,
            record=options.video,
            progress=advance,
        )
        progress.remove_task(line)


def _as_asked(env: EnvConfig, options: Evaluate) -> EnvConfig:
    changes: dict[str, Any] = {}
    if options.data is not None:
        changes["data"] = options.data
    if options.clip_order is not None:
        changes["clip_order"] = options.clip_order
    return dataclasses.replace(env, **changes)


def show(results: list[Result], console: Console) -> None:
    """Print one table of results: runs down, modes across."""
    modes = modes_of(results)
    tasks = list(dict.fromkeys(result.task for result in results))
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=tasks[0] if len(tasks) == 1 else None)
    names = ["method"] if len(tasks) == 1 else ["method", "task"]
    for title in (*names, "step", *modes, "gap"):
        table.add_column(title, justify="left" if title in names else "right", no_wrap=True)
    for result in results:
        gap = worst_gap(result)
        cells = [cell(result.rows.get(mode)) for mode in modes]
        name = [result.method] if len(tasks) == 1 else [result.method, result.task]
        table.add_row(*name, str(result.env_steps), *cells, "-" if gap is None else f"{gap:.0f}")
    console.print(table)
    episodes = sorted({len(row["returns"]) for result in results for row in result.rows.values()})
    settings = "; ".join(dict.fromkeys(result.setting for result in results))
    console.print(
        f"Return of an episode, mean ± standard deviation over {'/'.join(map(str, episodes))} episodes; "
        f"gap: what the worst mode loses of train. {settings}.",
        highlight=False,
    )
    told = backgrounds_of(row for result in results for row in result.rows.values())
    if told:
        console.print("; ".join(told) + ".", highlight=False)
