"""``saccade doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tyro
from rich.console import Console

from saccade.machine.examination import examine, print_report


@dataclass(frozen=True)
class Doctor:
    """Show what this machine has for Saccade, and what is wrong with it. Exit code 1 when something is."""

    data: str | None = None
    """The benchmark's data folder; by default the one that SACCADE_DATA names."""
    bench: bool = False
    """Show instead how fast the machine is at what training does, and by which paths; takes half a minute."""
    preset: Literal["small", "paper"] = "small"
    """Whose networks and pictures --bench times; paper takes minutes on a CPU."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = tyro.cli(Doctor, prog="saccade doctor", args=words)
    console = Console()
    if options.bench:
        from saccade.machine.speed import measure_speeds, print_speeds

        with console.status("Measuring"):
            report = measure_speeds(options.preset)
        print_speeds(report, console)
        return 0
    examination = examine(options.data)
    print_report(examination, console)
    return 1 if examination.problems else 0
