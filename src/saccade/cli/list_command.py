"""``saccade list`` and ``saccade list --preset METHOD``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS, preset
from saccade.cli import nearest
from saccade.envs.env import EnvConfig
from saccade.envs.suites import BENCHMARK_TASKS, DMC_DOMAINS, MODES, action_repeat_of
from saccade.types import UserError


@dataclass(frozen=True)
class List:
    """Show the methods, saliency methods, tasks and modes there are, or every setting of one method."""

    preset: str | None = None
    """A method: show its hyper-parameters, at the paper's size and small."""
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
    from saccade.policies.scores import SCORES
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
    console.print("\n[bold]modes[/]  " + " ".join(MODES), highlight=False)
    console.print("\n[bold]tasks of the benchmark[/], with their action repeats")
    console.print("  " + "  ".join(f"{task} ({action_repeat_of(task)})" for task in BENCHMARK_TASKS), highlight=False)
    console.print("\n[bold]all tasks[/], as dmc/DOMAIN_TASK")
    for domain, tasks in DMC_DOMAINS.items():
        console.print(f"  {domain}: {' '.join(tasks)}", highlight=False)
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
    table = Table("option", "paper", "small", box=None, pad_edge=False)
    small = dict(_settings(preset(name, task, "small")))
    for option, value in _settings(preset(name, task)):
        table.add_row(f"--{option.replace('_', '-')}", str(value), "" if small[option] == value else str(small[option]))
    console.print(table)


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield field.name, value
