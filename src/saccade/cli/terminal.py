"""Console output of commands: names are printed as they are, with progress bars, or lines for a log instead."""

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
    """Lets the program decide what to do when the reader of its output has left: rich would exit with code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(width: int | None = None) -> Console:
    """Make a console that prints text as it is: brackets and colons in folder names are no markup or emoji."""
    return _Plain(width=width, markup=False, highlight=False, emoji=False)


def column(template: str) -> TextColumn:
    """Make a column of a progress bar that shows names as they are."""
    return TextColumn(template, markup=False)


def progress(console: Console, *columns: ProgressColumn, transient: bool = True) -> Progress:
    """Make a progress bar; by default with a description, the share that is done and the time left."""
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
    """Return a line that begins in bold."""
    return Text.assemble((bold, "bold"), rest)


class LogLines:
    """Prints a line now and then if output goes to a file: soon after the start, then every minute."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._due = clock() + FIRST_LINE_SECONDS
        self._lock = threading.Lock()

    def say(self, sentence: Callable[[], str | None]) -> None:
        """Print the sentence if a line is due and there is one."""
        with self._lock:
            if self._console.is_terminal or self._clock() < self._due:
                return
            line = sentence()
            if line is not None:
                self._due = self._clock() + SECONDS_BETWEEN_LINES
                self._console.print(line, soft_wrap=True)

    @contextmanager
    def waiting(self, sentence: Callable[[], str | None]) -> Iterator[None]:
        """Inside the block, print the sentence whenever a line is due, even if nothing else is printed."""
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
