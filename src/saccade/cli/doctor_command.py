"""``saccade doctor``."""

from __future__ import annotations

from dataclasses import dataclass

import tyro
from rich.console import Console

from saccade.machine.examination import examine, print_report


@dataclass(frozen=True)
class Doctor:
    """Show what this machine has for Saccade, and what is wrong with it. Exit code 1 when something is."""

    data: str | None = None
    """The benchmark's data folder; by default the one that SACCADE_DATA names."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = tyro.cli(Doctor, prog="saccade doctor", args=words)
    report = examine(options.data)
    print_report(report, Console())
    return 1 if report.problems else 0
