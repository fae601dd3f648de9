"""What commands print to: a console that takes names as they are, progress bars, and lines for a log in their place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

SECONDS_BETWEEN_LINES = 60.0
FIRST_LINE_SECONDS = 10.0
SECONDS_BETWEEN_LOOKS = 0.5
MOST_COLUMNS = 10_000  # of a terminal, while a table is measured


class _Plain(Console):
    """Leaves it to the program what a reader that has left means: rich would end it with code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(width: int | None = None) -> Console:
    """Prints what it is given: brackets and colons in the name of a folder are no markup and no picture."""
    return _Plain(width=width, markup=False, highlight=False, emoji=False)


def column(template: str) -> TextColumn:
    """A column of a progress bar that shows names as they are."""
    return TextColumn(template, markup=False)


def progress(console: Console, *columns: ProgressColumn, transient: bool = True) -> Progress:
    """A progress bar; by default of a description, the share that is done and the time left."""
    usual = (column("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*(columns or usual), console=console, transient=transient)


def table(*left: str, right: Sequence[str] = ()) -> Table:
    """A table without lines, of columns with these names, numbers to the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in left:
        made.add_column(name, overflow="fold")
    for name in right:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def fits(made: Table, console: Console) -> bool:
    """Whether a table is as narrow as the terminal, so that nothing of it is cut."""
    return console.measure(made, options=console.options.update(max_width=MOST_COLUMNS)).maximum <= console.width


def heading(bold: str, rest: str = "") -> Text:
    """A line that begins in bold."""
    return Text.assemble((bold, "bold"), rest)


class LogLines:
    """Now and then a line where output goes to a file, which shows no bar: soon after the start, then every minute."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._due = clock() + FIRST_LINE_SECONDS
        self._lock = threading.Lock()

    def say(self, sentence: Callable[[], str | None]) -> None:
        """Print the sentence if a line is due, and there is one."""
        with self._lock:
            if self._console.is_terminal or self._clock() < self._due:
                return
            told = sentence()
            if told is not None:
                self._due = self._clock() + SECONDS_BETWEEN_LINES
                self._console.print(told, soft_wrap=True)

    @contextmanager
    def waiting(self, sentence: Callable[[], str | None]) -> Iterator[None]:
        """Meanwhile the sentence is printed when a line is due, also while nobody says anything."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(SECONDS_BETWEEN_LOOKS):
                self.say(sentence)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
