"""Correlation of two measures over the same runs: Pearson's and Spearman's coefficients with bootstrap intervals.

Runs of one method resemble each other, so they are resampled within their method, and the correlation within methods is
reported as well: where methods differ in both measures, all runs together correlate even if those of no single method
do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saccade.bench import resampling
from saccade.bench.statistics import CONFIDENCE, REPETITIONS

Numbers: TypeAlias = NDArray[np.float64]
FEWEST_POINTS = 3
"""Fewest runs for a coefficient: two points always lie on a line."""
FEWEST_FREE = 4
"""Runs needed beyond one per group for an interval: with fewer, most draws lie on a line or in one point."""
SAME = 1e-12  # relative to the largest number: smaller differences are rounding


@final
@dataclass(frozen=True)
class Coefficient:
    """A coefficient in -1..1 and its interval; ``low`` and ``high`` are None where there are too few runs for one."""

    value: float
    low: float | None
    high: float | None

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def text(self) -> str:
        """Return ``0.62 [0.31, 0.84]``, or the number with a note that there is no interval."""
        ends = "(no interval)" if self.low is None or self.high is None else f"[{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f} {ends}".replace("-", "\u2212")


@final
@dataclass(frozen=True)
class Correlation:
    """The correlation of two measures over ``runs`` runs.

    Attributes:
        pearson: Pearson's coefficient (1895), linear correlation.
        spearman: Pearson's coefficient of the ranks, ties sharing their mean rank (Spearman, 1904).
        within: Pearson's coefficient of each run's deviation from the mean of its group; None with one group, or where
            no group varies within itself.
    """

    runs: int
    pearson: Coefficient
    spearman: Coefficient
    within: Coefficient | None = None


def ranks(values: Numbers) -> Numbers:
    """Return ranks along the last axis, from 1; equal numbers share their mean rank."""
    below = (values[..., :, None] > values[..., None, :]).sum(-1)
    equal = (values[..., :, None] == values[..., None, :]).sum(-1)  # each number equals itself
    return below + (equal + 1) / 2


def pearson(first: Numbers, second: Numbers) -> Numbers:
    """Return Pearson's coefficient over the last axis; NaN where all numbers of one measure are equal."""
    centred = [values - values.mean(-1, keepdims=True) for values in (first, second)]
    lengths = [np.sqrt((values**2).sum(-1)) for values in centred]
    same = [
        length <= SAME * np.abs(values).max(-1, initial=0.0) * np.sqrt(values.shape[-1])
        for length, values in zip(lengths, (first, second), strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (centred[0] * centred[1]).sum(-1) / (lengths[0] * lengths[1])
    return np.where(same[0] | same[1], np.nan, np.clip(found, -1.0, 1.0))


def spearman(first: Numbers, second: Numbers) -> Numbers:
    """Return Spearman's coefficient over the last axis; NaN where all numbers of one measure are equal."""
    return pearson(ranks(first), ranks(second))


def correlation(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    repetitions: int = REPETITIONS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Correlation | None:
    """Return the correlation of two measures of the same runs with percentile intervals, or None where it is undefined.

    Runs are resampled as pairs within their group. A draw in which all numbers of one measure are equal has no
    coefficient and is left out. The correlation is undefined with fewer than three runs, or where one measure is the
    same in all of them.

    Args:
        first, second: one finite number for each run.
        groups: the group of each run, such as its method; by default all runs are one group.

    Raises:
        ValueError: the three differ in length, or a number is not finite.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    labels = [0] * len(x) if groups is None else list(groups)
    if x.ndim != 1 or x.shape != y.shape or len(labels) != len(x):
        raise ValueError(
            f"each run has one number of each measure and a group, not {x.shape}, {y.shape} and {len(labels)}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("numbers to correlate must be finite")
    if len(x) < FEWEST_POINTS or np.isnan(pearson(x, y)):
        return None
    known = list(dict.fromkeys(labels))
    numbers = np.array([known.index(label) for label in labels])
    order = np.argsort(numbers, kind="stable")
    x, y, numbers = x[order], y[order], numbers[order]
    sizes = np.bincount(numbers)

    def found(statistic: Callable[[Numbers, Numbers], Numbers]) -> Coefficient:
        value = float(statistic(x, y))
        if len(x) - len(known) < FEWEST_FREE:
            return Coefficient(value, None, None)
        low, high = _ends(statistic, x, y, sizes, repetitions, confidence, seed)
        return Coefficient(value, low, high)

    inside = None
    if len(known) > 1:
        mean = (numbers[:, None] == numbers) / sizes[numbers]  # a run's row averages its group

        def of_deviations(some: Numbers, others: Numbers) -> Numbers:
            deviations = [
                np.where(np.abs(left := values - values @ mean.T) <= SAME * np.abs(values).max(), 0.0, left)
                for values in (some, others)
            ]
            return pearson(deviations[0], deviations[1])

        inside = None if np.isnan(of_deviations(x, y)) else found(of_deviations)
    return Correlation(len(x), found(pearson), found(spearman), inside)


def _ends(
    statistic: Callable[[Numbers, Numbers], Numbers],
    x: Numbers,
    y: Numbers,
    sizes: NDArray[np.int64],
    repetitions: int,
    confidence: float,
    seed: int,
) -> tuple[float | None, float | None]:
    """Return the ends of a coefficient's interval, from pairs resampled within groups of these sizes."""
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat = resampling.Flat(x, starts, np.repeat(sizes, sizes))
    at_once = max(1, resampling.AT_ONCE // len(x) ** 2)  # ranks compare each run with each
    drawn = [
        statistic(x[some], y[some])
        for places in resampling.draws(flat, repetitions, np.random.default_rng(seed))
        for some in np.split(places, range(at_once, len(places), at_once))
    ]
    known = np.concatenate(drawn)
    known = known[~np.isnan(known)]
    if not len(known):
        return None, None
    low, high = resampling.ends(known, confidence)
    return float(low), float(high)
