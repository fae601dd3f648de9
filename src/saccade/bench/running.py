"""Run a grid: give what is missing to an executor, teachers before students, and retry what broke.

All state is in files in the grid's folder, so that a grid can be stopped at any moment and started again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from saccade.bench.cells import Cell, cells_of
from saccade.bench.executors import Executor
from saccade.bench.grids import Grid
from saccade.bench.standing import DONE, MISSING, Standing, standing_of
from saccade.bench.work import BAD_INPUT, PROGRAM, Ended, Job, job_of
from saccade.data.documents import read_document
from saccade.train.logs import cannot_write, held, write_aside
from saccade.types import UserError

PLAN, LOCK, FAILURES = "grid.json", ".grid.lock", "failures.json"
"""The arguments of every cell's steps, so that a folder of runs says how they were made; and what went wrong."""
RETRIES, MOST_LOSSES = 2, 20
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_SHOWS = 0.05, 1.0
WAITING, RUNNING, FAILED, SKIPPED = "waiting", "running", "failed", "skipped"


@dataclass(frozen=True)
class Shown:
    """A cell at one moment: ``state`` is waiting, running, done, failed or skipped."""

    cell: Cell
    state: str
    standing: Standing
    step: str = ""
    place: str = ""
    reason: str = ""
    tries: int = 0


@dataclass(frozen=True)
class Moment:
    """A grid at one moment: its cells, how long it has run, and an estimate of the time left."""

    grid: Grid
    cells: tuple[Shown, ...]
    seconds: float
    seconds_left: float | None
    slots: int
    stopping: bool = False
    at_least: bool = False
    """Whether ``seconds_left`` leaves out steps after training, because none of them has been done yet."""

    def count(self, *states: str) -> int:
        """Return how many cells are in one of these states."""
        return sum(shown.state in states for shown in self.cells)


@dataclass(frozen=True)
class Finished:
    """What became of a grid: how many cells were done before, are done now, failed with a sentence, or were left."""

    before: int
    done: int
    failed: Mapping[str, str]
    left: int
    seconds: float
    busy_seconds: float
    """Seconds of all slots in use; divided by ``seconds * slots`` they give the utilisation."""


@dataclass
class _State:
    """What is known of the cells while they run."""

    cells: dict[str, Cell]
    waiting: dict[str, Job]
    program: tuple[str, ...]
    running: dict[str, float] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    """Standings as last read: reading a hundred takes long, and only running cells change."""
    busy_seconds: float = 0.0


def run_grid(
    grid: Grid,
    folder: Path,
    executor: Executor,
    show: Callable[[Moment], None] = lambda moment: None,
    stopped: Callable[[], bool] = lambda: False,
    retries: int = RETRIES,
    program: tuple[str, ...] = PROGRAM,
) -> Finished:
    """Run what is missing of a grid in ``folder``, which ``planned`` has prepared.

    show: called once a second, and at the beginning and the end. stopped: whether every job should save and stop.
    """
    cells = {cell.name: cell for cell in cells_of(grid)}
    jobs = {name: job_of(cell, folder, program) for name, cell in cells.items()}
    state = _State(cells, {name: job for name, job in jobs.items() if job is not None}, program)
    state.done = {name for name, job in jobs.items() if job is None}
    before, start, shown_at, told_to_stop = len(state.done), time.monotonic(), -SECONDS_BETWEEN_SHOWS, False
    try:
        while state.running or (state.waiting and not told_to_stop):
            if stopped() and not told_to_stop:
                executor.stop()
                told_to_stop = True
            for ended in executor.ended():
                _settle(state, ended, folder, retries, told_to_stop)
            if not told_to_stop:
                _skip_orphans(state)
                for job in _ready(state, executor.slots):
                    state.running[job.name] = time.monotonic()
                    executor.start(job)
            if time.monotonic() - shown_at >= SECONDS_BETWEEN_SHOWS:
                shown_at = time.monotonic()
                show(_moment(grid, state, folder, executor, shown_at - start, told_to_stop))
            if state.running:
                time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        executor.close()
    seconds = time.monotonic() - start
    show(_moment(grid, state, folder, executor, seconds, told_to_stop))
    failed = {**state.failed, **state.skipped}
    write_aside(folder / FAILURES, json.dumps(failed, indent=1))
    return Finished(before, len(state.done) - before, failed, len(state.waiting), seconds, state.busy_seconds)


def _ready(state: _State, slots: int) -> Iterator[Job]:
    """Yield jobs to start now: as many as there are free slots, of cells whose teachers are done."""
    for name in list(state.waiting):
        if len(state.running) >= slots:
            return
        needs = state.cells[name].needs
        if needs is None or needs in state.done:
            yield state.waiting.pop(name)


def _settle(state: _State, ended: Ended, folder: Path, retries: int, stopping: bool) -> None:
    """Record how a job ended: done, to be retried, or given up."""
    name = ended.name
    state.busy_seconds += time.monotonic() - state.running.pop(name)
    state.standings.pop(name, None)
    again = job_of(state.cells[name], folder, state.program)
    if again is None:
        state.done.add(name)
        return
    if stopping or ended.stopped:
        state.waiting[name] = again
        return
    if ended.lost:
        state.losses[name] = state.losses.get(name, 0) + 1
        hopeless = state.losses[name] > MOST_LOSSES
    else:
        state.tries[name] = state.tries.get(name, 0) + 1
        hopeless = ended.code == BAD_INPUT or state.tries[name] > retries
    if hopeless:
        state.failed[name] = ended.reason or f"exit code {ended.code}"
    else:
        state.waiting = {name: again, **state.waiting}  # first, so that what was begun is finished


def _skip_orphans(state: _State) -> None:
    """Skip cells whose teachers have failed."""
    for name in list(state.waiting):
        needs = state.cells[name].needs
        if needs in state.failed or needs in state.skipped:
            del state.waiting[name]
            state.skipped[name] = f"its teacher {needs} failed"


def _moment(grid: Grid, state: _State, folder: Path, executor: Executor, seconds: float, stopping: bool) -> Moment:
    doing = executor.doing()
    shown = []
    for name, cell in state.cells.items():
        if name in state.running or name not in state.standings:
            state.standings[name] = standing_of(cell, folder)
        step, place = doing.get(name, ("", ""))
        reason = state.failed.get(name) or state.skipped.get(name) or ""
        known = {RUNNING: state.running, DONE: state.done, FAILED: state.failed, SKIPPED: state.skipped}
        what = next((word for word, names in known.items() if name in names), WAITING)
        shown.append(Shown(cell, what, state.standings[name], step, place, reason, state.tries.get(name, 0)))
    left, at_least = seconds_left(shown, executor.slots), not measuring_known(shown)
    return Moment(grid, tuple(shown), seconds, left, executor.slots, stopping, at_least)


def seconds_left(cells: Sequence[Shown], slots: int) -> float | None:
    """Estimate the time left: for each cell that is not done, at its own rate or the mean rate of its method.

    None until a run has shown how fast it learns. Steps after training count as long as they took in runs that are
    done; while no run is done, they are left out (``measuring_known``). The estimate is never shorter than the longest
    running run.
    """
    rates: dict[str, list[tuple[float, int]]] = {}
    measured: dict[str, list[float]] = {}
    for shown in cells:
        rate, steps = shown.standing.rate, shown.standing.steps
        if rate is not None and steps is not None:
            rates.setdefault(shown.cell.arm.name, []).append((rate, steps))
        if shown.standing.state == DONE:
            measured.setdefault(shown.cell.arm.name, []).append(shown.standing.measuring_seconds)
    everything = [pair for pairs in rates.values() for pair in pairs]
    if not everything:
        return None
    all_measured = [one for several in measured.values() for one in several] or [0.0]
    each = []
    for shown in cells:
        if shown.state not in (WAITING, RUNNING):
            continue
        after = measured.get(shown.cell.arm.name, all_measured)
        left = max(0.0, sum(after) / len(after) - shown.standing.measuring_seconds)
        own = shown.standing.seconds_left
        if shown.standing.state != MISSING and own is not None:
            left += own
        else:
            pairs = rates.get(shown.cell.arm.name, everything)
            left += sum(steps / rate for rate, steps in pairs) / len(pairs)
        each.append(left)
    return max(sum(each) / slots, max(each, default=0.0))


def measuring_known(cells: Sequence[Shown]) -> bool:
    """Whether a run that is done shows how long steps after training take, or there are none."""
    measures = any(len(shown.cell.steps) > 1 for shown in cells)
    return not measures or any(shown.standing.state == DONE for shown in cells)


@contextmanager
def planned(grid: Grid, folder: Path) -> Iterator[None]:
    """Hold the lock on a grid's folder, whose runs belong to this grid or have not begun.

    Raises:
        UserError: it has runs made with other settings, another process runs a grid there, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with held(folder / LOCK, f"Another process runs a grid in {folder}: wait for it, or give another --out."):
        check_folder(grid, folder)
        cells = {cell.name: _words(cell) for cell in cells_of(grid)}
        plan = {"grid": grid.name, "preset": grid.preset, "cells": {**_plan_of(folder), **cells}}
        write_aside(folder / PLAN, json.dumps(plan, indent=1))
        yield


def check_folder(grid: Grid, folder: Path) -> None:
    """Raise UserError where a run of the grid was made with other settings, or by an unknown grid."""
    known = _plan_of(folder)
    for cell in cells_of(grid):
        run = folder / cell.name
        if not run.exists() or not any(run.iterdir()):
            continue
        if cell.name not in known:
            raise UserError(f"{run} holds a run that no grid in {folder} made: give another --out.")
        for step, words in _words(cell).items():
            made = known[cell.name].get(step, words)
            if made != words:
                raise UserError(
                    f"{run} was made with other settings ({_difference(made, words)}): give another --out, or the "
                    "settings that it was made with."
                )


def _difference(made: Sequence[str], words: Sequence[str]) -> str:
    """Return the words around the first difference of two command lines."""
    place = next((i for i, (a, b) in enumerate(zip(made, words, strict=False)) if a != b), min(len(made), len(words)))
    around = slice(max(0, place - 1), place + 2)
    was, now = " ".join(made[around]) or "nothing", " ".join(words[around]) or "nothing"
    return f"{was}, and now {now}"


def _words(cell: Cell) -> dict[str, list[str]]:
    return {step.name: list(step.words) for step in cell.steps}


class _Plan(TypedDict):
    """What is read from a grid's plan."""

    cells: dict[str, dict[str, list[str]]]


def _plan_of(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Return the arguments with which grids here made each cell. Raises UserError for a damaged file."""
    try:
        return read_document(folder / PLAN, _Plan)["cells"]
    except FileNotFoundError:
        return {}
    except (UserError, OSError) as error:
        raise UserError(f"{folder / PLAN} cannot be read ({error}): give another --out.") from error
