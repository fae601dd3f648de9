"""Check a grid's commands before the first of them runs, so that the last does not fail because of a misspelt word."""

from __future__ import annotations

from collections.abc import Callable, Collection

from saccade.agents import METHODS
from saccade.agents.methods_of import is_own
from saccade.agents.presets import SIZES
from saccade.attacks import ATTACKS
from saccade.bench.catalogue import TABLES
from saccade.bench.cells import RUN, TEACHER, Step, cells_of
from saccade.bench.grids import Grid
from saccade.envs.config import EnvConfig, check_data
from saccade.saliency import METHODS as SALIENCY
from saccade.spelling import close_names
from saccade.types import UserError

PLACE = "run"
"""Stands in for a folder while commands are checked."""


def check_names(grid: Grid) -> None:
    """Raise UserError for a preset, task, mode, method, saliency method, attack or table that does not exist."""
    _check(grid, "preset", grid.preset, SIZES)
    for arm in grid.arms:
        if not is_own(arm.method):
            _check(grid, "method", arm.method, METHODS)
    for task in grid.tasks:
        env = EnvConfig.parse(task)
        if grid.evaluation is not None:
            check_data(env, grid.evaluation.modes)
        if grid.scores is not None:
            check_data(env, grid.scores.modes)
    for method in () if grid.scores is None else grid.scores.methods:
        _check(grid, "saliency method", method, {"all", *SALIENCY})
    for attack in () if grid.attacks is None else grid.attacks.attacks:
        _check(grid, "attack", attack, ATTACKS)
    for name in grid.published:
        _check(grid, "published table", name, TABLES)


def check_words(grid: Grid, parse: Callable[[list[str]], object]) -> None:
    """Give the arguments of every arm's steps on every task to ``parse``, which raises UserError if one is invalid."""
    for cell in cells_of(grid):
        if cell.seed != grid.seeds[0]:
            continue  # the other seeds differ in a number only
        for step in cell.steps:
            try:
                parse(words_to_check(step))
            except UserError as error:
                raise UserError(f"{grid.name}, {cell.name}, {step.name}: {error}") from error


def words_to_check(step: Step) -> list[str]:
    """Return the arguments of a step, with a placeholder for folders that do not exist yet."""
    return [PLACE if word in (RUN, TEACHER) else word for word in step.words]


def _check(grid: Grid, what: str, name: str, allowed: Collection[str]) -> None:
    if name not in allowed:
        close = close_names(name, allowed)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(allowed)}."
        raise UserError(f"{grid.name} names the {what} {name!r}, which does not exist: {hint}")
