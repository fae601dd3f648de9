"""Numbers that papers print, each with its spread and source, to stand beside ours.

The papers' tables are in ``bench/papers``, one file each. Only numbers that were read are there: what is missing from a
table is said in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

RETURN, HOURS, PARAMETERS = "return", "hours", "parameters"
TRAIN = "train"
NUMBER = re.compile(r"^(-?\d*\.?\d+)(?:±(\d*\.?\d+))?$")


@dataclass(frozen=True)
class Published:
    """One number that a paper prints.

    Attributes:
        arm: the row, named as the arm of the table's grid.
        task, measure, mode: what was measured, as in ``bench/outcomes.py``: ``return``, ``success``,
            ``auc:gradient`` of a saliency method, ...; an attack's mode is ``train+fgsm:4``.
        value: the mean.
        spread: the number after ±, usually the standard deviation over seeds; None where there is none.
        source: who printed it, and where it was read if not in the paper.
    """

    arm: str
    task: str
    measure: str
    mode: str
    value: float
    spread: float | None
    source: str


@dataclass(frozen=True)
class Average:
    """A mean that a paper prints over numbers of a table; ``tolerance`` is what its rounding allows.

    It is taken over all tasks that the table has for the arm, in each of ``modes``.
    """

    arm: str
    measure: str
    modes: tuple[str, ...]
    value: float
    source: str
    tolerance: float = 0.5


@dataclass(frozen=True)
class Table:
    """A table or figure of a paper, as far as it was read.

    Attributes:
        name: ``sgqn-table-1``; a grid of this name runs it, where there is one.
        protocol: seeds, episodes, steps and whatever else decides whether our numbers are comparable.
        missing: what the paper's table has and nobody has read yet, in words.
        remarks: contradictions in the paper and the like.
    """

    name: str
    paper: str
    title: str
    rows: tuple[Published, ...] = ()
    averages: tuple[Average, ...] = ()
    protocol: str = ""
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def across(
    arm: str, mode: str, tasks: Sequence[str], numbers: str, source: str, measure: str = RETURN
) -> tuple[Published, ...]:
    """Return one row of a table: ``numbers`` such as ``739±21 851±24 -``, one for each task; a dash is no number."""
    words = numbers.split()
    assert len(words) == len(tasks), (arm, mode, numbers)
    return tuple(
        Published(arm, task, measure, mode, *number_of(word), source)
        for task, word in zip(tasks, words, strict=True)
        if word != "-"
    )


def down(arm: str, task: str, numbers: Mapping[str, str], source: str, measure: str = RETURN) -> tuple[Published, ...]:
    """Return one row of a table whose columns are modes."""
    return tuple(
        Published(arm, task, measure, mode, *number_of(word), source) for mode, word in numbers.items() if word != "-"
    )


def number_of(word: str) -> tuple[float, float | None]:
    """Return ``739±21`` as a mean and its spread."""
    found = NUMBER.match(word)
    assert found is not None, word
    mean, spread = found.groups()
    return float(mean), None if spread is None else float(spread)


def mean_of(table: Table, average: Average) -> float:
    """Return the mean of the table's own numbers where the paper prints an average."""
    return fmean(
        row.value
        for row in table.rows
        if (row.arm, row.measure) == (average.arm, average.measure) and row.mode in average.modes
    )
