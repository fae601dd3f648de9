"""``saccade bench list | show NAME | run NAME | report NAME``."""

from __future__ import annotations

import dataclasses
import importlib
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from saccade.bench.catalogue import GRIDS, TABLES
from saccade.bench.cells import cells_of
from saccade.bench.checking import check_names, check_words
from saccade.bench.described import grid_named
from saccade.bench.executors import EXECUTORS, Wanted
from saccade.bench.grids import PAPER, Grid, in_form, part_of
from saccade.bench.running import Finished, check_folder, planned, run_grid
from saccade.cli import terminal
from saccade.cli.bench_live import Live
from saccade.cli.bench_options import Bench
from saccade.cli.bench_show import show
from saccade.cli.commands import COMMANDS
from saccade.cli.interrupts import INTERRUPTED, Asked
from saccade.cli.nearest import nearest
from saccade.cli.parsing import parsed
from saccade.types import UserError

VERBS = ("list", "show", "run", "report")
SOME_FAILED = 1
DRY_RUN = "--dry-run"
"""What many other programs have; here it is a verb."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    if DRY_RUN in words:
        raise UserError(
            f"`saccade bench` has no {DRY_RUN}: `saccade bench show NAME` says what would be run and what it costs."
        )
    options = parsed(Bench, "saccade bench", words)
    if options.verb not in VERBS:
        raise UserError(f"There is no `saccade bench {options.verb}`. {nearest(options.verb, VERBS)}")
    if options.verb == "list":
        return _list(terminal.console())
    if options.name is None:
        raise UserError(f"Name a grid, such as `saccade bench {options.verb} sgqn-table-6`; `saccade bench list` does.")
    if options.verb == "show" and options.name in TABLES and options.name not in GRIDS:
        return show(None, TABLES[options.name], None, terminal.console())
    grid = grid_asked(options)
    folder = folder_of(grid, options)
    if options.verb == "show":
        return show(grid, TABLES.get(options.name), folder, terminal.console(), options.measure)
    if options.verb == "report":
        code: int = importlib.import_module("saccade.cli.bench_report").report(grid, folder, options)
        return code
    return _run(grid, folder, options)


def grid_asked(options: Bench) -> Grid:
    """Return the named grid, restricted to the requested preset, arms, tasks and seeds."""
    assert options.name is not None
    grid = grid_named(options.name)
    if options.preset is not None and options.preset != grid.preset:
        grid = in_form(grid, options.preset)
    given = {name: getattr(options, name) for name in ("images", "data", "device") if getattr(options, name)}
    if given:
        grid = dataclasses.replace(grid, options={**grid.options, **given})
    return part_of(grid, options.methods, options.tasks, options.seeds)


def folder_of(grid: Grid, options: Bench) -> Path:
    """Return the folder of a grid's runs; the default has no time stamp, so that a grid can be continued."""
    own = grid.name if grid.preset == PAPER else f"{grid.name}-{grid.preset}"
    return options.out or Path("runs") / "bench" / own


def _list(console: Console) -> int:
    table = Table(box=None, pad_edge=False, padding=(0, 1), title="Grids, for `saccade bench run`")
    for name, justify in (("name", "left"), ("runs", "right"), ("small", "right"), ("what it is", "left")):
        table.add_column(name, justify=justify, no_wrap=name != "what it is")  # type: ignore[arg-type]
    for grid in GRIDS.values():
        small = len(cells_of(in_form(grid, "small"))) if "small" in grid.forms else ""
        table.add_row(grid.name, str(len(cells_of(grid))), str(small), grid.title)
    console.print(table)
    table = Table(box=None, pad_edge=False, padding=(0, 1), title="Published tables, for `saccade bench show`")
    for name, justify in (("name", "left"), ("numbers", "right"), ("what it is", "left")):
        table.add_column(name, justify=justify, no_wrap=name != "what it is")  # type: ignore[arg-type]
    for one in TABLES.values():
        table.add_row(one.name, str(len(one.rows)) if one.rows else "not read", f"{one.paper}: {one.title}")
    console.print(table)
    return 0


def _run(grid: Grid, folder: Path, options: Bench) -> int:
    if options.executor not in EXECUTORS:
        raise UserError(f"There is no executor {options.executor!r}. {nearest(options.executor, EXECUTORS)}")
    if options.retries < 0:
        raise UserError(f"--retries {options.retries} is too small: it must be at least 0.")
    console = terminal.console()
    check_names(grid)
    check_words(grid, parse_step)
    wanted = Wanted(
        folder.absolute(),
        options.slots,
        options.threads,
        options.gpus,
        options.address,
        options.partition,
        options.hours,
        options.seconds_between_copies,
    )
    check_folder(grid, folder)
    executor = EXECUTORS[options.executor](wanted)  # may be refused, while there is no folder yet
    asked = Asked(lambda: console.print("Every run saves and stops; press again to stop at once."))
    with closing(executor), planned(grid, folder), asked, Live(console, folder) as live:
        finished = run_grid(grid, folder.absolute(), executor, live.show, asked.to_stop, options.retries)
    return _tell(grid, folder, finished, asked.to_stop(), console)


def parse_step(words: list[str]) -> None:
    """Parse the arguments of a step without running it. Raises UserError."""
    verb, rest = words[0], words[1:]
    if verb not in COMMANDS:
        raise UserError(f"There is no command {verb!r}. {nearest(verb, COMMANDS)}")
    try:
        kind = COMMANDS[verb].options
        if kind is not None:
            parsed(kind, f"saccade {verb}", rest)
        else:
            importlib.import_module("saccade.cli.train_command").parse(rest)
    except SystemExit as error:  # its message was printed above
        raise UserError(f"`saccade {' '.join(words)}` is no command") from error


def _tell(grid: Grid, folder: Path, finished: Finished, stopped: bool, console: Console) -> int:
    for name, reason in finished.failed.items():
        console.print(f"{name} failed: {reason}. Its log: {folder / 'logs'}", style="yellow", soft_wrap=True)
    there = f" ({finished.before} were there)" if finished.before else ""
    what = f"{finished.before + finished.done} of {len(cells_of(grid))} runs done{there}"
    if finished.left:
        what += f", {finished.left} left"
    console.print(f"{what}, {len(finished.failed)} failed, in {folder}.", soft_wrap=True)
    if stopped:
        console.print("Saved. The same command continues.", soft_wrap=True)
        return INTERRUPTED
    return SOME_FAILED if finished.failed else 0
