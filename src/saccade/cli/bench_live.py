"""Show a grid while it runs: a table in the terminal, lines in a log, and a page that a browser keeps reloading."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich import live
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from saccade.bench.running import FAILED, RUNNING, SKIPPED, WAITING, Moment, Shown
from saccade.bench.standing import DONE
from saccade.cli import terminal
from saccade.viewer.grid import HEAD, STATES, cells_of_line, shared_name, time_left_text, write_page

MOST_LINES, FEWEST_LINES = 24, 3
"""Of runs; as many of them as the terminal has room for."""
LINES_AROUND = 6
"""The sentence, which may take two, what all names begin with, the heads of columns, how many more there are, and where
the cursor stands."""
MOST_FAILURES = 3
LONGEST_WORD = 20
"""By how much less than the room of two lines is used, since words stay whole."""
SECONDS_OF_SILENCE = 300.0
"""Seconds after which a log gets a line even if no run has begun or ended."""


class Live:
    """Show the progress of a grid; used in a ``with`` block."""

    def __init__(self, console: Console, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._folder = console, folder
        self._lines = terminal.LogLines(console, clock)
        self._clock, self._printed_at = clock, clock()
        self._printed: tuple[int, ...] = ()
        self._live = live.Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Live:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, moment: Moment) -> None:
        """Draw the grid's state and write the page."""
        write_page(moment, self._folder)
        if self._live is not None:
            self._live.update(drawn(moment, self._console), refresh=True)
        self._lines.say(lambda: self._news(moment))

    def _news(self, moment: Moment) -> str | None:
        """Return a line for a log; None where no run has begun or ended since the last line, which is recent."""
        counts = tuple(moment.count(state) for state in STATES)
        if counts == self._printed and self._clock() - self._printed_at < SECONDS_OF_SILENCE:
            return None
        self._printed, self._printed_at = counts, self._clock()
        return sentence(moment)


def sentence(moment: Moment) -> str:
    """Describe a grid in a line: ``3 of 12 runs done, 2 running, 7 waiting, about 21 min left``."""
    parts = [f"{moment.count(DONE)} of {len(moment.cells)} runs done"]
    parts += [f"{moment.count(state)} {state}" for state in (RUNNING, WAITING, FAILED, SKIPPED) if moment.count(state)]
    if moment.seconds_left is not None and moment.count(RUNNING, WAITING) and not moment.stopping:
        parts.append(time_left_text(moment))
    return ("Stopping: " if moment.stopping else "") + ", ".join(parts)


def drawn(moment: Moment, console: Console) -> RenderableType:
    """Return a table that fits the terminal: what runs where, returns, the time left, and why runs were given up.

    What takes too much room is told in a shorter way, and not cut: first runs by what their names do not share, then
    steps in per cent, then no place.
    """
    ordered = sorted(moment.cells, key=lambda shown: STATES.index(shown.state))
    given_up = [shown for shown in ordered if shown.reason]
    failures = [
        Text(_failure(shown, 2 * console.width - LONGEST_WORD), style="yellow") for shown in given_up[:MOST_FAILURES]
    ]
    room = console.height - LINES_AROUND - 2 * len(failures)
    seen, rest = _parted(ordered, max(FEWEST_LINES, min(MOST_LINES, room)))
    shared = shared_name(moment)
    forms = (("", False, True), (shared, False, True), (shared, True, True), (shared, True, False))
    tables = ((form, _table(seen, *form)) for form in forms)
    last = forms[-1], _table(seen, *forms[-1])
    form, table = next(((form, one) for form, one in tables if terminal.fits(one, console)), last)
    lines: list[RenderableType] = [
        Text(sentence(moment), style="bold"),
        *([Text(f"in {form[0]}")] if form[0] else []),
        table,
    ]
    if rest:
        states = [one.state for one in rest]
        counts = ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
        lines.append(Text(f"and {len(rest)} more: {counts}"))
    return Group(*lines, *failures)


def _parted(ordered: Sequence[Shown], most: int) -> tuple[Sequence[Shown], Sequence[Shown]]:
    """The runs that are shown, and those that are counted."""
    return (ordered, ()) if len(ordered) <= most else (ordered[: most - 1], ordered[most - 1 :])


def _table(seen: Sequence[Shown], shared: str, percent: bool, places: bool) -> Table:
    """Runs without what all names begin with, steps as numbers or in per cent, with the places or without."""
    places = places and any(shown.place for shown in seen)
    head = [name for name in HEAD if places or name != "where"]
    table = terminal.table()
    for name in head:
        # The last way out, where a terminal is narrower than all else: a line more.
        table.add_column(
            name,
            justify="right" if name in ("steps", "return", "left") else "left",
            no_wrap=name != "run",
            overflow="fold",
        )
    for shown in seen:
        cells = dict(zip(HEAD, cells_of_line(shown), strict=True))
        cells["run"] = cells["run"].removeprefix(shared)
        if percent and shown.standing.steps:
            cells["steps"] = f"{100 * shown.standing.env_steps // shown.standing.steps} %"
        table.add_row(*(cells[name] for name in head))
    return table


def _failure(shown: Shown, most: int) -> str:
    line = " ".join(f"{shown.cell.name} {shown.state}: {shown.reason}".split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
