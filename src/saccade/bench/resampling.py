"""Runs resampled within their own task, all repetitions at once, from which intervals are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]
"""``[runs, tasks]``, NaN where there is no run."""
Statistic: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From ``[..., runs of all tasks]`` to ``[...]``."""

AT_ONCE = 4_000_000  # numbers that the draws of several repetitions may hold together: 32 MB


@final
@dataclass(frozen=True)
class Flat:
    """All runs of all tasks in one row: each run's number, where its task begins, and how many runs that task has."""

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]


def flat_of(scores: Scores) -> Flat:
    """Return the runs of a score matrix, task after task."""
    present = ~np.isnan(scores)
    counts = present.sum(0)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return Flat(scores.T[present.T], np.repeat(starts, counts), np.repeat(counts, counts))


def draws(flat: Flat, repetitions: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the positions of runs drawn within their own task, ``[some repetitions, runs]`` at a time."""
    count = len(flat.values)
    step = max(1, AT_ONCE // count)
    for begin in range(0, repetitions, step):
        some = min(step, repetitions - begin)
        yield flat.starts + (generator.random((some, count)) * flat.counts).astype(np.int64)


def drawn(flat: Flat, statistic: Statistic, repetitions: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a statistic of resampled runs: ``[repetitions]``."""
    return np.concatenate([statistic(flat.values[places]) for places in draws(flat, repetitions, generator)])


def drawn_means(flat: Flat, columns: NDArray[Any], repetitions: int, seed: int) -> NDArray[np.float64]:
    """Means of columns ``[runs, places]`` over resampled runs: ``[repetitions, places]``, as one matrix product."""
    count = len(flat.values)
    means = []
    for places in draws(flat, repetitions, np.random.default_rng(seed)):
        rows = np.arange(len(places))[:, None] * count
        times = np.bincount((rows + places).ravel(), minlength=len(places) * count).reshape(len(places), count)
        means.append(times @ columns / count)
    return np.concatenate(means)


def counts_of_draws(runs: int, repetitions: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each run is drawn in each repetition: ``[repetitions, runs]``."""
    return generator.multinomial(runs, np.full(runs, 1 / runs), size=repetitions).astype(np.float64)


def ends(drawn: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Return the two ends of the percentile interval over the first axis."""
    outside = (1 - confidence) / 2
    return np.quantile(drawn, (outside, 1 - outside), axis=0)
