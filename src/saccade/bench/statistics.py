"""Statistics of a few runs on several tasks: what a table may say about them, and with which intervals.

Scores are a matrix ``[runs, tasks]``, one number for each run; NaN where a run is missing, so that tasks may have
different numbers of runs. Runs are resampled *within* each task (the stratified bootstrap), all repetitions at once.
Source: Agarwal et al., 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saccade.bench import resampling
from saccade.bench.resampling import Scores, Statistic

FEWEST_SEEDS = 3
"""Fewest runs of a task for an interval: two of them have only three different means when resampled."""
TRIMMED = 0.25  # of the runs at either end, left out of the interquartile mean
CONFIDENCE = 0.95
REPETITIONS = 10_000


@final
@dataclass(frozen=True)
class Estimate:
    """A statistic and its interval; ``low`` and ``high`` are None where there are too few runs for one.

    ``seeds`` is the number of runs of the task that has the fewest.
    """

    value: float
    low: float | None
    high: float | None
    seeds: int

    def text(self, decimals: int = 0) -> str:
        """Return ``431 [398, 460]``, or the number with the reason why there is no interval."""
        if self.low is None or self.high is None:
            return f"{self.value:.{decimals}f} ({too_few(self.seeds)})"
        return f"{self.value:.{decimals}f} [{self.low:.{decimals}f}, {self.high:.{decimals}f}]"


@final
@dataclass(frozen=True)
class Band:
    """A statistic at every place, and its interval there: arrays ``[places]``.

    ``low`` and ``high`` are None where there are too few runs. ``seeds`` is the smallest number of runs of any place.
    """

    places: NDArray[np.float64]
    value: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    seeds: int


def too_few(seeds: int) -> str:
    """Return why there is no interval: ``2 seeds, and an interval takes 3``."""
    return f"{seeds} seed{'s' * (seeds != 1)}, and an interval takes {FEWEST_SEEDS}"


def as_scores(values: ArrayLike) -> Scores:
    """Return numbers as a score matrix; those of a single task may come without the task axis.

    Raises:
        ValueError: there are not one or two axes, no number at all, an infinite one, or a task without any run.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim == 1:
        scores = scores[:, None]
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"scores are a matrix [runs, tasks] with at least one number, not of shape {scores.shape}")
    if np.isinf(scores).any():
        raise ValueError("scores must be finite, or NaN where there is no run")
    empty = np.flatnonzero(np.isnan(scores).all(0))
    if len(empty):
        raise ValueError(f"task {empty[0]} has no run: leave it out")
    return scores


def fewest_runs(scores: Scores) -> int:
    """Return the number of runs of the task that has the fewest."""
    return int((~np.isnan(scores)).sum(0).min())


# ------------------------------------------------------------------------------------------------ statistics


def mean_and_deviation(scores: ArrayLike) -> tuple[float, float]:
    """Return mean and standard deviation over the runs of one task, as papers print them: ``mean ± deviation``.

    The deviation is that of the runs' means around their mean (population, ``numpy.std``); for one run it is 0. Source:
    the authors of DMC-GB (issues 4 and 20 of their repository): mean over episodes, then deviation over seeds.
    """
    values = as_scores(scores)
    if values.shape[1] != 1:
        raise ValueError(f"mean and deviation take the runs of one task, not of {values.shape[1]}")
    return float(np.nanmean(values)), float(np.nanstd(values))


def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis."""
    return values.mean(-1)


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the middle half of the last axis: a quarter of the numbers, rounded down, is cut at either end."""
    count = values.shape[-1]
    cut = int(TRIMMED * count)
    if cut == 0:
        return values.mean(-1)
    middle = np.partition(values, (cut, count - cut - 1), axis=-1)[..., cut : count - cut]
    return middle.mean(-1)


def optimality_gap(values: NDArray[np.float64], target: float = 1.0) -> NDArray[np.float64]:
    """Return by how much numbers fall short of ``target`` on average; those above it count as ``target``."""
    return target - np.minimum(values, target).mean(-1)


# ------------------------------------------------------------------------------------------------- bootstrap


def estimate(
    scores: ArrayLike,
    statistic: Statistic = interquartile_mean,
    *,
    repetitions: int = REPETITIONS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """Return a statistic of all runs on all tasks together, with its percentile interval from the stratified bootstrap.

    There is no interval where a task has fewer than three runs.
    """
    matrix = as_scores(scores)
    flat, seeds = resampling.flat_of(matrix), fewest_runs(matrix)
    value = float(statistic(flat.values))
    if seeds < FEWEST_SEEDS:
        return Estimate(value, None, None, seeds)
    drawn = resampling.drawn(flat, statistic, repetitions, np.random.default_rng(seed))
    low, high = resampling.ends(drawn, confidence)
    return Estimate(value, float(low), float(high), seeds)


def difference(
    scores: ArrayLike,
    others: ArrayLike,
    statistic: Statistic = interquartile_mean,
    *,
    repetitions: int = REPETITIONS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """Return by how much a statistic of one method's runs exceeds that of another's; the runs of both are resampled."""
    ours, theirs = as_scores(scores), as_scores(others)
    first, second = resampling.flat_of(ours), resampling.flat_of(theirs)
    seeds = min(fewest_runs(ours), fewest_runs(theirs))
    value = float(statistic(first.values) - statistic(second.values))
    if seeds < FEWEST_SEEDS:
        return Estimate(value, None, None, seeds)
    of_first, of_second = np.random.default_rng(seed).spawn(2)
    drawn = resampling.drawn(first, statistic, repetitions, of_first) - resampling.drawn(
        second, statistic, repetitions, of_second
    )
    low, high = resampling.ends(drawn, confidence)
    return Estimate(value, float(low), float(high), seeds)


def probability_of_improvement(
    scores: ArrayLike,
    others: ArrayLike,
    *,
    repetitions: int = REPETITIONS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """How often a run of the first method beats one of the second on the same task, in 0..1, averaged over tasks.

    A tie counts half. Both matrices have the same tasks, and each has its own runs, which are resampled.
    """
    ours, theirs = as_scores(scores), as_scores(others)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"both need the same tasks, not {ours.shape[1]} and {theirs.shape[1]}")
    of_ours, of_theirs = np.random.default_rng(seed).spawn(2)
    seeds = min(fewest_runs(ours), fewest_runs(theirs))
    values, drawn = [], np.zeros(repetitions)
    for task in range(ours.shape[1]):
        first, second = (matrix[~np.isnan(matrix[:, task]), task] for matrix in (ours, theirs))
        beats = (first[:, None] > second) + 0.5 * (first[:, None] == second)
        values.append(beats.mean())
        if seeds >= FEWEST_SEEDS:
            # Counting how often each run is drawn is equivalent to listing the runs.
            left, right = (
                resampling.counts_of_draws(len(runs), repetitions, own)
                for runs, own in ((first, of_ours), (second, of_theirs))
            )
            drawn += ((left @ beats) * right).sum(-1) / beats.size
    value = float(np.mean(values))
    if seeds < FEWEST_SEEDS:
        return Estimate(value, None, None, seeds)
    low, high = resampling.ends(drawn / ours.shape[1], confidence)
    return Estimate(value, float(low), float(high), seeds)


def performance_profile(
    scores: ArrayLike,
    thresholds: ArrayLike,
    *,
    repetitions: int = 2_000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Band:
    """For each threshold the share of runs, over all tasks, with a score above it, and the band around that share."""
    matrix, places = as_scores(scores), np.asarray(thresholds, dtype=np.float64)
    flat, seeds = resampling.flat_of(matrix), fewest_runs(matrix)
    above = (flat.values[:, None] > places).astype(np.float64)
    if seeds < FEWEST_SEEDS:
        return Band(places, above.mean(0), None, None, seeds)
    low, high = resampling.ends(resampling.drawn_means(flat, above, repetitions, seed), confidence)
    return Band(places, above.mean(0), low, high, seeds)


# ------------------------------------------------------------------------------------------- learning curves


def along(curves: Sequence[tuple[ArrayLike, ArrayLike]], places: ArrayLike) -> NDArray[np.float64]:
    """Return curves of runs, each ``(x, y)`` with rising x, at common places: ``[runs, places]``.

    Curves are interpolated linearly between their own points and NaN outside them. Places may be agent steps or seconds
    of wall-clock time.
    """
    at = np.asarray(places, dtype=np.float64)
    rows = []
    for x, y in curves:
        where, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if len(where) != len(values) or len(where) == 0 or (np.diff(where) < 0).any():
            raise ValueError("a curve has one number for each of its places, at least one, and its places rise")
        rows.append(np.interp(at, where, values, left=np.nan, right=np.nan))
    return np.stack(rows)


def learning_curve(
    curves: Sequence[tuple[ArrayLike, ArrayLike]],
    places: ArrayLike | None = None,
    *,
    most_places: int = 100,
    repetitions: int = 2_000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Band:
    """Return the mean over the runs of one task at each place, with its bootstrap band; all places use the same draws.

    places: by default ``most_places`` evenly spaced ones in the range that all runs share, from the latest first point
    to the earliest last one.
    """
    if places is None:
        begin, end = max(float(np.asarray(x)[0]) for x, _ in curves), min(float(np.asarray(x)[-1]) for x, _ in curves)
        if end < begin:
            raise ValueError("the runs have no place in common")
        places = np.linspace(begin, end, most_places if end > begin else 1)
    at, runs = np.asarray(places, dtype=np.float64), along(curves, places)
    present = ~np.isnan(runs)
    if not present.all():
        kept = present.all(0)
        at, runs = at[kept], runs[:, kept]
    seeds = len(runs)
    if seeds < FEWEST_SEEDS:
        return Band(at, runs.mean(0), None, None, seeds)
    drawn = resampling.drawn_means(resampling.flat_of(np.zeros((seeds, 1))), runs, repetitions, seed)
    low, high = resampling.ends(drawn, confidence)
    return Band(at, runs.mean(0), low, high, seeds)
