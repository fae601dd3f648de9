"""What ``saccade bench show`` prints: what a paper printed, what has run, what is missing, and what it would cost."""

from __future__ import annotations

import importlib
from pathlib import Path

from rich.console import Console
from rich.table import Table as Lines

from saccade.bench import costs, outcomes
from saccade.bench.catalogue import published_of
from saccade.bench.cells import Cell, cells_of
from saccade.bench.checking import check_names, words_to_check
from saccade.bench.grids import Grid
from saccade.bench.published import Published, Table
from saccade.bench.standing import DONE, MISSING, STARTED, standing_of
from saccade.cli import terminal
from saccade.types import UserError
from saccade.viewer.grid import told_seconds


def show(grid: Grid | None, table: Table | None, folder: Path | None, console: Console, measure: bool = False) -> int:
    """Print all that is known; returns the exit code."""
    tables = [] if table is None else [table]
    if grid is not None:
        tables += [one for one in published_of(grid) if one not in tables]
    for one in tables:
        _published(one, console)
    if grid is None:
        console.print("No grid runs it: `saccade bench list` shows those there are.")
        return 0
    assert folder is not None
    console.print(terminal.heading(grid.title, f"  ({grid.source})" if grid.source else ""))
    _what_it_is(grid, console)
    _what_has_run(grid, folder, console)
    _what_it_costs(grid, folder, console, measure)
    return 0


def _published(table: Table, console: Console) -> None:
    lines = Lines(box=None, pad_edge=False, padding=(0, 1), title=f"{table.paper}: {table.title}", title_justify="left")
    columns = list(dict.fromkeys((row.task, row.measure, row.mode) for row in table.rows))
    wide = len(columns) <= 6
    if table.rows and wide:
        lines.add_column("")
        for task, measure, mode in columns:
            lines.add_column("\n".join(filter(None, (task, mode, "" if measure == "return" else measure))))
        for arm in dict.fromkeys(row.arm for row in table.rows):
            own = {(row.task, row.measure, row.mode): row for row in table.rows if row.arm == arm}
            lines.add_row(arm, *(_number(own.get(column)) for column in columns))
    elif table.rows:
        for name in ("method", "task", "measure", "mode", "published"):
            lines.add_column(name)
        for row in table.rows:
            lines.add_row(row.arm, row.task, row.measure, row.mode, _number(row))
    console.print(lines if table.rows else terminal.heading(f"{table.paper}: {table.title}"))
    for heading, sentences in (
        ("Protocol", [table.protocol] if table.protocol else []),
        ("Not there", list(table.missing)),
        ("Remark", list(table.remarks)),
        ("Average", [f"{one.arm}, {' '.join(one.modes)}: {one.value:g} ({one.source})" for one in table.averages]),
        ("Source", list(dict.fromkeys(row.source for row in table.rows))),
    ):
        for sentence in sentences:
            console.print(f"{heading}: {sentence}", soft_wrap=True)
    console.print()


def _number(row: Published | None) -> str:
    if row is None:
        return "-"
    return f"{row.value:g}" if row.spread is None else f"{row.value:g} ± {row.spread:g}"


def _what_it_is(grid: Grid, console: Console) -> None:
    for heading, words in (("Assumption", grid.assumptions), ("Deviation", grid.deviations)):
        for sentence in words:
            console.print(f"{heading}: {sentence}", soft_wrap=True)
    try:
        check_names(grid)
    except UserError as error:
        console.print(f"It cannot run here: {error}", soft_wrap=True, style="yellow")
    console.print()


def _what_has_run(grid: Grid, folder: Path, console: Console) -> None:
    cells = cells_of(grid)
    standings = {cell.name: standing_of(cell, folder) for cell in cells}
    count = {state: sum(one.state == state for one in standings.values()) for state in (DONE, STARTED, MISSING)}
    console.print(
        f"{len(cells)} runs in {folder}: {count[DONE]} done, {count[STARTED]} begun, {count[MISSING]} missing.",
        soft_wrap=True,
    )
    rows = outcomes.outcomes_of(grid, folder)
    groups = outcomes.alike(row for row in rows if row.measure == "return")
    if groups:
        lines = Lines(box=None, pad_edge=False, padding=(0, 1))
        for name in ("method", "task", "mode", "return", "runs", "steps"):
            lines.add_column(name, justify="right" if name in ("return", "runs", "steps") else "left")
        for (arm, task, _, mode), kinds in groups.items():
            for kind, same in kinds.items():
                mean = sum(row.value for row in same) / len(same)
                lines.add_row(arm, task, mode, f"{mean:.4g}", str(len(same)), f"{kind.env_steps:,}")
        console.print(lines)
    for sentence in outcomes.mixed(rows):
        console.print(f"{sentence}.", soft_wrap=True, style="yellow")


def _what_it_costs(grid: Grid, folder: Path, console: Console, measure: bool) -> None:
    rates = costs.known_rates()
    if measure:
        rates = costs.measured(grid, lambda sentence: console.print(f"Measured: {sentence}", soft_wrap=True))
    found = [cost for cost in costs.costs_of(grid, folder, _steps_of, rates) if cost.runs]
    if not found:
        console.print("Nothing is missing.")
        return
    lines = Lines(box=None, pad_edge=False, padding=(0, 1))
    for name in ("missing of", "on", "runs", "steps each", "steps/s", "takes", "measured by"):
        lines.add_column(name, justify="left" if name in ("missing of", "on", "measured by") else "right")
    for cost in found:
        lines.add_row(
            cost.arm,
            cost.task,
            str(cost.runs),
            "?" if cost.steps is None else f"{cost.steps:,}",
            "?" if cost.rate is None else f"{cost.rate:.1f}",
            "?" if cost.seconds is None else told_seconds(cost.seconds),
            cost.source,
        )
    console.print(lines)
    known = [cost.seconds for cost in found if cost.seconds is not None]
    unknown = len(found) - len(known)
    if known:
        rest = f", and {unknown} that nobody measured" if unknown else ""
        console.print(f"Training what is missing takes about {told_seconds(sum(known))} in one slot{rest}.")
    if any(cost.source == costs.MEASURED for cost in found):
        console.print(f"Speeds that were measured lie in {costs.rates_path()}.", soft_wrap=True)
    if unknown and not measure:
        console.print("`--measure` measures how fast each method is here.")


def _steps_of(cell: Cell) -> int | None:
    """Agent steps of a cell's run, as the command line understands its words; None where it does not."""
    parse = importlib.import_module("saccade.cli.train_command").parse
    try:
        config, _ = parse(words_to_check(cell.steps[0])[1:])
    except (UserError, SystemExit):
        return None
    steps: int = config.training.steps
    return steps
