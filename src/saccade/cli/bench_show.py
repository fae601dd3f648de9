"""``saccade bench show``: print a paper's numbers, what has run, what is missing, and what it would cost."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Lines

from saccade.bench import costs, outcomes
from saccade.bench.apart import not_averaged
from saccade.bench.catalogue import published_of
from saccade.bench.cells import Cell, cells_of
from saccade.bench.checking import check_names, words_to_check
from saccade.bench.grids import Grid
from saccade.bench.lacking import given_up
from saccade.bench.outcomes import Outcome
from saccade.bench.published import RETURN, Published, Table
from saccade.bench.standing import DONE, MISSING, STARTED, standing_of
from saccade.cli import terminal
from saccade.types import UserError
from saccade.viewer.grid import duration_text


def show(grid: Grid | None, table: Table | None, folder: Path | None, console: Console, measure: bool = False) -> int:
    """Print everything that is known; return the exit code."""
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
    title = f"{table.paper}: {table.title}"
    wide = _side_by_side(table)
    console.print(terminal.heading(title), soft_wrap=True)
    if table.rows:
        console.print(wide if terminal.fits(wide, console) else _one_below_the_other(table))
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


def _side_by_side(table: Table) -> Lines:
    """A column for each task, mode and measure, as papers have it."""
    columns = list(dict.fromkeys((row.task, row.measure, row.mode) for row in table.rows))
    lines = terminal.table("")
    for task, measure, mode in columns:
        lines.add_column("\n".join(filter(None, (task, mode, "" if measure == RETURN else measure))))
    for arm in dict.fromkeys(row.arm for row in table.rows):
        own = {(row.task, row.measure, row.mode): row for row in table.rows if row.arm == arm}
        lines.add_row(arm, *(_number(own.get(column)) for column in columns))
    return lines


def _one_below_the_other(table: Table) -> Lines:
    """A line for each number; what is the same of all of them stands above."""
    labels = [{"task": row.task, "measure": row.measure, "mode": row.mode} for row in table.rows]
    varied = [name for name in labels[0] if len({one[name] for one in labels}) > 1]
    lines = terminal.table("method", *varied, "published")
    lines.title = ", ".join(value for name, value in labels[0].items() if value and name not in varied)
    lines.title_justify = "left"
    for row, one in zip(table.rows, labels, strict=True):
        lines.add_row(row.arm, *(one[name] for name in varied), _number(row))
    return lines


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
    for sentence in given_up(cells, folder):
        console.print(sentence, soft_wrap=True, style="yellow")
    rows = outcomes.outcomes_of(grid, folder)
    returns = [row for row in rows if row.measure == RETURN]
    width = max((len(row.arm) for row in returns), default=0)
    for task in dict.fromkeys(row.task for row in returns):
        own = [row for row in returns if row.task == task]
        console.print(terminal.heading(task), soft_wrap=True)
        console.print(_returns([row for row in own if row.attack is None], width))
        if any(row.attack is not None for row in own):
            console.print(_under_attack([row for row in own if row.attack is not None]))
    for sentence in not_averaged(rows):
        console.print(f"{sentence}.", soft_wrap=True, style="yellow")


def _returns(rows: Sequence[Outcome], width: int) -> Lines:
    lines = terminal.table("method", "mode", right=("return", "runs", "steps"))
    lines.columns[0].min_width = width
    for (arm, _, _, mode), kinds in outcomes.alike(rows).items():
        for kind, same in kinds.items():
            lines.add_row(arm, mode, _mean(same), str(len(same)), f"{kind.env_steps:,}")
    return lines


def _under_attack(rows: Sequence[Outcome]) -> Lines:
    """A line for each method without an attack, and one for each attack, with a column for each budget."""
    budgets = sorted({row.attack[1] for row in rows if row.attack is not None})
    lines = terminal.table("return under attack, of 255", right=[f"{budget:g}" for budget in budgets])
    found: dict[str, dict[str, dict[float, list[Outcome]]]] = {}
    for row in rows:
        assert row.attack is not None
        attack, budget = row.attack
        found.setdefault(row.arm, {"": {}}).setdefault(attack if budget else "", {}).setdefault(budget, []).append(row)
    for arm, attacks in found.items():
        for attack, by_budget in attacks.items():
            means = [_mean(by_budget[budget], 3) if budget in by_budget else "" for budget in budgets]
            lines.add_row(f"  {attack}" if attack else arm, *means)
    return lines


def _mean(rows: Sequence[Outcome], digits: int = 4) -> str:
    return f"{sum(row.value for row in rows) / len(rows):.{digits}g}"


def _what_it_costs(grid: Grid, folder: Path, console: Console, measure: bool) -> None:
    rates = costs.known_rates()
    if measure:
        rates = costs.measured(grid, lambda sentence: console.print(f"Measured: {sentence}", soft_wrap=True))
    found = [cost for cost in costs.costs_of(grid, folder, _steps_of, rates) if cost.runs]
    if not found:
        console.print("Nothing is missing.")
        return
    width = max(len(cost.arm) for cost in found)
    for task in dict.fromkeys(cost.task for cost in found):
        console.print(terminal.heading(task, ": missing"), soft_wrap=True)
        console.print(_costs([cost for cost in found if cost.task == task], width))
    known = [cost.seconds for cost in found if cost.seconds is not None]
    unknown = len(found) - len(known)
    if known:
        rest = f", and {unknown} that were not measured" if unknown else ""
        console.print(f"Training what is missing takes about {duration_text(sum(known))} in one slot{rest}.")
    if any(cost.source == costs.MEASURED for cost in found):
        console.print(f"Measured speeds are kept in {costs.rates_path()}.", soft_wrap=True)
    if unknown and not measure:
        console.print("`--measure` measures how fast each method is here.")


def _costs(found: Sequence[costs.Cost], width: int) -> Lines:
    lines = terminal.table("method", right=("runs", "steps each", "steps/s", "takes"))
    lines.columns[0].min_width = width
    lines.add_column("measured by", no_wrap=True)
    for cost in found:
        lines.add_row(
            cost.arm,
            str(cost.runs),
            "?" if cost.steps is None else f"{cost.steps:,}",
            "?" if cost.rate is None else f"{cost.rate:.1f}",
            "?" if cost.seconds is None else duration_text(cost.seconds),
            cost.source,
        )
    return lines


def _steps_of(cell: Cell) -> int | None:
    """Return the agent steps of a cell's run as the command line parses them; None where it cannot."""
    parse = importlib.import_module("saccade.cli.train_command").parse
    try:
        config, _ = parse(words_to_check(cell.steps[0])[1:])
    except (UserError, SystemExit):
        return None
    steps: int = config.training.steps
    return steps
