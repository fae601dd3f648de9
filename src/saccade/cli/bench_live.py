"""A grid while it runs: a table in the terminal, lines in a log, and one page that a browser reads again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rich import live
from rich.console import Console
from rich.table import Table

from saccade.bench.running import FAILED, RUNNING, SKIPPED, WAITING, Moment
from saccade.bench.standing import DONE
from saccade.cli import terminal
from saccade.viewer.grid import HEAD, STATES, cells_of_line, left_told, write_page

MOST_LINES = 24
SECONDS_OF_SILENCE = 300.0
"""In a log, after which a line comes although no run has begun or ended."""


class Live:
    """Shows moments of a grid; used in a ``with`` block."""

    def __init__(self, console: Console, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._folder = console, folder
        self._lines = terminal.LogLines(console, clock)
        self._clock, self._told_at = clock, clock()
        self._told: tuple[int, ...] = ()
        self._live = live.Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, moment: Moment) -> None:
        """Draw a moment, and write the page."""
        write_page(moment, self._folder)
        if self._live is not None:
            self._live.update(table_of(moment), refresh=True)
        self._lines.say(lambda: self._news(moment))

    def _news(self, moment: Moment) -> str | None:
        """A line for a log; none where no run has begun or ended since the last one, and that is not long ago."""
        counts = tuple(moment.count(state) for state in STATES)
        if counts == self._told and self._clock() - self._told_at < SECONDS_OF_SILENCE:
            return None
        self._told, self._told_at = counts, self._clock()
        return sentence(moment)


def sentence(moment: Moment) -> str:
    """A grid in a line: ``3 of 12 runs done, 2 running, 7 waiting, about 21 min left``."""
    parts = [f"{moment.count(DONE)} of {len(moment.cells)} runs done"]
    parts += [f"{moment.count(state)} {state}" for state in (RUNNING, WAITING, FAILED, SKIPPED) if moment.count(state)]
    if moment.seconds_left is not None and moment.count(RUNNING, WAITING):
        parts.append(left_told(moment))
    return ("Stopping: " if moment.stopping else "") + ", ".join(parts)


def table_of(moment: Moment) -> Table:
    """What runs where, returns so far, and the time left."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=sentence(moment), title_justify="left")
    for name in HEAD:
        table.add_column(name, justify="right" if name in ("steps", "return", "left") else "left", no_wrap=True)
    ordered = sorted(moment.cells, key=lambda shown: STATES.index(shown.state))
    for shown in ordered[:MOST_LINES]:
        table.add_row(*cells_of_line(shown))
    if len(ordered) > MOST_LINES:
        table.add_row(f"and {len(ordered) - MOST_LINES} more")
    return table
