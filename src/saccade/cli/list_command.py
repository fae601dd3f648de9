"""``saccade list`` and ``saccade list --preset METHOD``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS
from saccade.agents.presets import SIZES, SMG_TABLE, action_repeat_source, preset
from saccade.cli import nearest
from saccade.envs.env import EnvConfig
from saccade.envs.suites import (
    BENCHMARK_TASKS,
    DMC_DOMAINS,
    MANIPULATION_TASKS,
    SUITE_MODES,
    action_repeat_of,
)
from saccade.policies.training import Training
from saccade.types import UserError

BENCHMARK = "DMControl-GB"
OF_AUGMENTATIONS = {
    "overlay_opacity": "SODA's code",
    "overlay_velocity": "SimGRL's code",
    **dict.fromkeys(("spectrum_probability", "spectrum_frequency", "spectrum_width"), "SRM's code"),
}
FOOTNOTE = (
    "The source is that of the first column, `paper`; an empty cell is the same. small: for CPUs, not published. "
    "Choose with --preset NAME."
)
RERUN = "smg_rerun: as SMG's authors ran the baselines of their tables (their code's defaults)."
NO_RERUN = "smg_rerun: sizes as SMG's authors ran their baselines; this method was not among them."


@dataclass(frozen=True)
class List:
    """Show the methods, saliency methods, tasks and modes there are, or every setting of one method."""

    preset: str | None = None
    """A method: show every setting that it is trained with by default, of every preset, and who published it."""
    task: str = "dmc/walker_walk"
    """The task whose settings --preset shows, where they differ between tasks."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = tyro.cli(List, prog="saccade list", args=words)
    console = Console()
    if options.preset is not None:
        _show_preset(options.preset, options.task, console)
        return 0
    table = _names("method", "what it is", "source")
    for name, method in METHODS.items():
        table.add_row(name, method.summary, method.source)
    console.print(table)
    from saccade.policies.score_kinds import SCORES
    from saccade.saliency import METHODS as SALIENCY

    saliency = _names("saliency", "what it is", "explains", "source")
    for name, one in SALIENCY.items():
        saliency.add_row(name, one.summary, one.score or "any", one.source)
    console.print()
    console.print(saliency)
    scores = _names("score", "what is explained")
    for name, kind in SCORES.items():
        scores.add_row(name, kind.summary)
    console.print()
    console.print(scores)
    console.print("\n[bold]modes[/], by suite", highlight=False)
    for suite, modes in SUITE_MODES.items():
        console.print(f"  {suite}: {' '.join(modes)}", highlight=False)
    console.print("\n[bold]tasks of the benchmark[/], with their action repeats")
    console.print("  " + "  ".join(f"{task} ({action_repeat_of(task)})" for task in BENCHMARK_TASKS), highlight=False)
    console.print("\n[bold]all tasks[/], as dmc/DOMAIN_TASK")
    for domain, tasks in DMC_DOMAINS.items():
        console.print(f"  {domain}: {' '.join(tasks)}", highlight=False)
    console.print(f"[bold]robot[/]\n  {' '.join(MANIPULATION_TASKS)}", highlight=False)
    return 0


def _names(name: str, *others: str) -> Table:
    """A table whose first column has names to type, which are never cut or broken."""
    table = Table(box=None, pad_edge=False)
    table.add_column(name, no_wrap=True)
    for other in others:
        table.add_column(other)
    return table


def _show_preset(name: str, task: str, console: Console) -> None:
    if name not in METHODS:
        raise UserError(f"There is no method {name!r}. {nearest(name, list(METHODS))}")
    EnvConfig(task)  # raises for a task that does not exist
    method = METHODS[name]
    console.print(f"[bold]{name}[/]: {method.summary} ({method.source}), on {task}", highlight=False)
    table = _names("option", *SIZES, "source")
    columns = {size: _starts(name, task, size) for size in SIZES}
    shared = dict.fromkeys(dict(_settings(METHODS["sac"].config)), BENCHMARK)
    sources = {**shared, **OF_AUGMENTATIONS, "action_repeat": action_repeat_source(task), **preset(name, task).sources}
    for option, value in columns[SIZES[0]].items():
        others = [columns[size][option] for size in SIZES[1:]]
        cells = ["" if other == value else str(other) for other in others]
        table.add_row(f"--{option.replace('_', '-')}", str(value), *cells, sources.get(option, method.source))
    console.print(table)
    rerun = "" if name == "smg" else RERUN if name in SMG_TABLE else NO_RERUN
    console.print(f"{FOOTNOTE} {rerun}".strip(), highlight=False)


def _starts(name: str, task: str, size: str) -> dict[str, Any]:
    """Every option that a preset may decide, and its value."""
    start = preset(name, task, size)
    return {
        "steps": Training(**start.training).steps,
        "action_repeat": action_repeat_of(task),
        "frame_stack": start.environment.get("frame_stack", EnvConfig(task).frame_stack),
        **dict(_settings(start.agent)),
    }


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield field.name, value
