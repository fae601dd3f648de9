"""The report of a grid: what lies in its runs' folders, read and written as one page, a Markdown and a LaTeX table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from saccade.bench.apart import not_averaged
from saccade.bench.associations import Association, associations_of
from saccade.bench.catalogue import published_of
from saccade.bench.cells import EVALUATIONS, METRICS, RUN, TEACHER, Cell, cells_of
from saccade.bench.comparison import MEASURES, Line, attacked, groups_of, lines_of, not_run, with_means
from saccade.bench.grids import Grid
from saccade.bench.lacking import lacking
from saccade.bench.outcomes import Outcome, outcomes_of
from saccade.bench.printed import Printed, correlated, latex, markdown, printed
from saccade.bench.published import Table
from saccade.bench.statistics import FEWEST_SEEDS
from saccade.bench.unchanged import unchanged
from saccade.cli import terminal
from saccade.cli.bench_deviations import deviations
from saccade.cli.bench_looking import looks_of
from saccade.cli.explaining import say
from saccade.data.documents import Count
from saccade.data.files import written_aside
from saccade.train.logs import EvaluationRow, read_rows
from saccade.train.ways import facts_of
from saccade.types import UserError
from saccade.viewer.experiment import Experiment, write_experiment
from saccade.viewer.experiment_curves import Learned, Watched

PAGE, MARKDOWN, LATEX = "report.html", "report.md", "report.tex"


class _Metrics(TypedDict):
    """What is read of a row of ``metrics.jsonl``."""

    env_steps: Count
    seconds: float


def write_reports(
    grid: Grid, folder: Path, out: Path | None = None, *, commands: Sequence[str] = (), draw: bool = True
) -> Path:
    """Write ``report.html``, ``report.md`` and ``report.tex`` of a grid's runs; returns the page.

    Args:
        folder: of the grid's runs, one folder each.
        out: where to write; by default ``folder``.
        commands: what made the runs, and this report.
        draw: whether pictures are made of runs without an explanation, which starts their environment.

    Raises:
        UserError: no run has any number yet, or something cannot be read or written.
    """
    measured = outcomes_of(grid, folder)
    outcomes = with_means(measured)
    if not outcomes:
        raise UserError(
            f"There is nothing to report: no run of {grid.name} in {folder} has been evaluated. "
            f"`saccade bench run {grid.name}` does both."
        )
    tables = published_of(grid)
    rows = [row for table in tables for row in table.rows]
    lines = lines_of(outcomes, rows)
    cells = cells_of(grid)
    done = {one.run for one in outcomes}
    present = [cell for cell in cells if (folder / cell.name).is_dir()]
    differs = [*grid.deviations, *deviations(grid, folder, present, lines), *lacking(cells, folder, done)]
    associations = associations_of(lines)
    looks, why = looks_of(grid, folder, present, draw)
    experiment = Experiment(
        grid.name,
        grid.title,
        grid.source,
        lines,
        len(done),
        len(cells),
        not_run(lines, rows),
        [(table.name, " ".join([f"{table.paper}: {table.title}.", *_about(table)])) for table in tables],
        [
            *differs,
            *(f"The paper does not say, and here: {one}" if tables else one for one in grid.assumptions),
        ],
        not_averaged(outcomes),
        list(_learned(folder, present, outcomes)),
        list(_watched(folder, present)),
        looks,
        why,
        list(_facts(folder, present, outcomes)),
        list(_settings(present)),
        commands or [f"saccade bench run {grid.name}", f"saccade bench report {grid.name}"],
        associations,
        list(unchanged(measured)),
        grid.subject,
    )
    place = out or folder
    write_experiment(place / PAGE, experiment)
    notes = [*experiment.unchanged, *experiment.differs]
    texts = list(_texts(lines, associations))
    for name, text in (
        (MARKDOWN, markdown(texts, f"{grid.name}: {grid.title}", notes)),
        (LATEX, latex(texts, f"{grid.name}: {grid.title}", notes)),
    ):
        with written_aside(place / name) as aside:
            aside.write_text(text, encoding="utf-8")
    return place / PAGE


def report(grid: Grid, folder: Path, options: Any) -> int:
    """Carry out ``saccade bench report``, whose options are ``cli.options.Bench``; returns the exit code."""
    page = write_reports(grid, folder, commands=_commands(grid, options))
    console = terminal.console()
    say(console, f"Open {page}; the tables are also in {page.with_name(MARKDOWN)} and {page.with_name(LATEX)}.")
    return 0


def _commands(grid: Grid, options: Any) -> list[str]:
    """What runs the grid as it was asked for, and what writes its report."""
    words = [str(options.name)]
    for name in ("preset", "methods", "tasks", "seeds", "out", "images", "data", "device"):
        value = getattr(options, name)
        if value:
            words += [f"--{name}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return [shlex.join(["saccade", "bench", verb, *words]) for verb in ("run", "report")]


def _about(table: Table) -> Iterator[str]:
    if table.protocol:
        yield f"Measured with {table.protocol}."
    yield from (f"{remark.rstrip('.')}." for remark in table.remarks)
    if table.missing:
        yield f"Not here: {'; '.join(table.missing)}."


def _learned(folder: Path, cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> Iterator[Learned]:
    """Every run's training episodes."""
    # The first of a run is of its own evaluation; others may have been played behind an oracle.
    settings = {one.run: one.setting for one in reversed(outcomes) if one.measure in MEASURES and one.attack is None}
    for cell in cells:
        rows = [row for row in read_rows(folder / cell.name / METRICS, _Metrics) if "episode/return" in row]
        rows.sort(key=lambda row: row["env_steps"])
        if rows:
            yield Learned(
                cell.arm.name,
                cell.task,
                settings.get(cell.name, ""),
                [float(row["env_steps"]) for row in rows],
                [float(row["seconds"]) for row in rows],
                [float(row["episode/return"]) for row in rows],
            )


def _watched(folder: Path, cells: Sequence[Cell]) -> Iterator[Watched]:
    """How well every run's maps found the task in its evaluations."""
    for cell in cells:
        found: dict[tuple[str, str], dict[float, float]] = {}
        for row in read_rows(folder / cell.name / EVALUATIONS, EvaluationRow):
            for name, value in (row.get("maps") or {}).items():
                if value is not None:
                    found.setdefault((row["mode"], name), {})[float(row["env_steps"])] = value
        for (mode, name), values in found.items():
            places = sorted(values)
            yield Watched(cell.arm.name, cell.task, mode, name, places, [values[place] for place in places])


def _facts(folder: Path, cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """Versions, hardware, data and commits of all runs; each answer once, with how many runs gave it."""
    facts = [facts_of(folder / cell.name) for cell in cells]
    yield "runs", str(len(cells))
    for name, answer in (
        ("versions", _versions),
        ("hardware", _hardware),
        ("python", lambda one: str(one.get("python") or "")),
        ("code", _commit),
        ("paths taken", lambda one: "; ".join(map(str, one.get("paths") or ()))),
    ):
        counted: dict[str, int] = {}
        for one in facts:
            counted[answer(one) or "not recorded"] = counted.get(answer(one) or "not recorded", 0) + 1
        several = len(counted) > 1
        yield name, "\n".join(f"{fact} ({count} runs)" if several else fact for fact, count in counted.items())
    data: dict[str, dict[str, None]] = {}
    for outcome in outcomes:
        if outcome.data:
            data.setdefault(outcome.data, {})[outcome.mode] = None
    yield "data", "; ".join(f"{', '.join(modes)}: {source}" for source, modes in data.items()) or "no mode needs any"
    yield "seeds", ", ".join(map(str, sorted({one.seed for one in outcomes})))
    yield "intervals", f"95 %, from runs drawn again within each task; none of fewer than {FEWEST_SEEDS} seeds"


def _versions(facts: Mapping[str, Any]) -> str:
    versions = facts.get("versions")
    return ", ".join(f"{name} {one}" for name, one in versions.items() if one) if isinstance(versions, Mapping) else ""


def _hardware(facts: Mapping[str, Any]) -> str:
    hardware = facts.get("hardware")
    if not isinstance(hardware, Mapping):
        return ""
    gpus = hardware.get("gpus") or ["no GPU"]
    return ", ".join([str(hardware.get("processor")), f"{hardware.get('cores')} cores", *map(str, gpus)])


def _commit(facts: Mapping[str, Any]) -> str:
    git = facts.get("git")
    if not isinstance(git, Mapping):
        return "no commit is known"
    return f"commit {git.get('commit')}" + (", changed since" if git.get("changed") else "")


def _settings(cells: Sequence[Cell]) -> Iterator[tuple[str, str]]:
    """Of the first run of each arm and task every command, as a person would type it."""
    for cell in {(cell.arm.name, cell.task): cell for cell in reversed(cells)}.values():
        yield (
            f"{cell.arm.name}, {cell.task}",
            "\n".join(shlex.join(["saccade", *(_named(word, cell) for word in step.words)]) for step in cell.steps),
        )


def _named(word: str, cell: Cell) -> str:
    return word.replace(RUN, cell.name).replace(TEACHER, cell.needs or "")


def _texts(lines: Sequence[Line], associations: Sequence[Association]) -> Iterator[Printed]:
    """The tables as text: of every task and measure, of how scores go with success, and of attacks."""
    maps: dict[str, list[Line]] = {}
    for group in groups_of(lines):
        metric, colon, method = group.measure.partition(":")
        conditions = f" ({group.conditions})" if group.conditions else ""
        caption = f"{group.task}, {metric.replace('_', ' ')}{conditions}: mean ± standard deviation over seeds."
        if colon:  # the saliency methods of a metric stand in one table
            maps.setdefault(caption, []).extend(
                replace(line, arm=f"{line.arm}, {method.replace('_', ' ')}") for line in group.lines
            )
        else:
            yield printed(group.lines, caption)
    for caption, own in maps.items():
        yield printed(own, caption)
    for task, way in dict.fromkeys((one.task, one.conditions) for one in associations):
        yield correlated([one for one in associations if (one.task, one.conditions) == (task, way)])
    for (task, measure, what), arms in attacked(lines).items():
        attacks = [line for several in arms.values() for line in several]
        yield printed(attacks, f"{task}, {measure} under {what}: mean ± standard deviation over seeds.")
