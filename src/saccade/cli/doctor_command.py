"""``saccade doctor``."""

from __future__ import annotations

from saccade.cli import terminal
from saccade.cli.options import Doctor
from saccade.cli.parsing import parsed
from saccade.doctor.examination import examine, print_report


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Doctor, "saccade doctor", words)
    console = terminal.console()
    if options.bench:
        from saccade.doctor.speed import measure_speeds, print_speeds

        with console.status("Measuring"):
            report = measure_speeds(options.preset)
        print_speeds(report, console)
        return 0
    examination = examine(options.data)
    print_report(examination, console)
    return 1 if examination.problems else 0
