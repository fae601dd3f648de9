"""What a grid's runs lack, in words: numbers, an end, and why the last attempt gave some of them up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from saccade.bench.cells import TRAIN, Cell
from saccade.bench.running import FAILURES
from saccade.bench.standing import DONE, standing_of
from saccade.data.documents import read_document
from saccade.types import UserError


def lacking(cells: Sequence[Cell], folder: Path, done: Collection[str]) -> Iterator[str]:
    """Sentences on runs without numbers, on runs that have some and are not finished, and on those that were given up.

    done: names of cells that have numbers.
    """
    empty = [cell for cell in cells if cell.name not in done]
    if empty:
        yield f"Runs without numbers: {_seeds_of(empty)}."
    begun: dict[str, list[Cell]] = {}
    for cell in cells:
        standing = standing_of(cell, folder)
        if cell.name in done and standing.state != DONE:
            # How far training came is of each run; what comes after it is there or not.
            after = f" after {standing.env_steps:,} agent steps" if standing.step == TRAIN else ""
            begun.setdefault(f"{standing.step}{after}", []).append(cell)
    if begun:
        listing = "; ".join(f"{_seeds_of(several)} ({step})" for step, several in begun.items())
        yield f"Runs that are not finished, with the step that they are in: {listing}."
    yield from given_up(cells, folder)


def given_up(cells: Sequence[Cell], folder: Path) -> Iterator[str]:
    """A sentence for each reason why runs that are not done were given up when the grid was last run."""
    why = failures_of(folder)
    reasons: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.name in why and standing_of(cell, folder).state != DONE:
            reasons.setdefault(why[cell.name], []).append(cell)
    for reason, several in reasons.items():
        yield f"Given up: {_seeds_of(several)}: {reason.rstrip('.')}."


def failures_of(folder: Path) -> Mapping[str, str]:
    """By name of a cell why it was given up when the grid was last run; empty where nothing says."""
    try:
        return read_document(folder / FAILURES, dict[str, str])
    except (OSError, UserError):
        return {}


def _seeds_of(cells: Sequence[Cell]) -> str:
    """``sac on dmc/walker_walk, seeds 1, 2; sgqn on dmc/walker_walk, seed 0``."""
    found: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        found.setdefault((cell.task, cell.arm.name), []).append(cell.seed)
    return "; ".join(
        f"{arm} on {task}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        for (task, arm), seeds in found.items()
    )
