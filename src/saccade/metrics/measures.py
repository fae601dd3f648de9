"""Building blocks of several metrics: ranks, the area under a ROC curve, correlation, shares of mass.

All take ``[batch, n]`` in float64 and return NaN for rows where they are undefined.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST_RANGE = 1e-8  # of a map whose largest magnitude is 1: below it, the map is constant (NumPy's isclose)


def is_constant(values: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return which rows are constant, up to rounding, or have no pixel that counts: bool ``[batch]``."""
    kept = torch.ones_like(values, dtype=torch.bool) if counted is None else counted
    highest = values.masked_fill(~kept, -math.inf).amax(-1)
    lowest = values.masked_fill(~kept, math.inf).amin(-1)
    magnitude = values.masked_fill(~kept, 0.0).abs().amax(-1)
    return ~(highest - lowest > SMALLEST_RANGE * magnitude)


def undefined_unless(defined: Tensor, values: Tensor) -> Tensor:
    """Return ``values`` with NaN in the rows that are not defined."""
    return torch.where(defined, values, math.nan)


def tied_groups(ordered: Tensor) -> Tensor:
    """Return, for sorted rows, the index of the run of equal values that each entry is in: long ``[batch, n]``."""
    begins = torch.zeros_like(ordered, dtype=torch.long)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return begins.cumsum(-1)


def mean_ranks(values: Tensor) -> Tensor:
    """Return ranks 1 to n; equal values share the mean of theirs."""
    ordered, order = values.sort(-1)
    group = tied_groups(ordered)
    size = torch.zeros_like(values).scatter_add_(-1, group, torch.ones_like(values))
    rank = size.cumsum(-1) - (size - 1) / 2
    return torch.empty_like(values).scatter_(-1, order, rank.gather(-1, group))


def area_under_curve(values: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the probability that a positive has a larger value than a negative, ties counting half: ``[batch]``.

    This is the whole area under the ROC curve (Mann-Whitney). ``positive`` and ``negative`` are weights, such as how
    often an entry was seen as either; NaN if all of either are 0.
    """
    ordered, order = values.sort(-1)
    group = tied_groups(ordered)
    empty = torch.zeros_like(values)
    positives = empty.scatter_add(-1, group, positive.gather(-1, order))
    negatives = empty.scatter_add(-1, group, negative.gather(-1, order))
    below = negatives.cumsum(-1) - negatives
    wins = (positives * (below + negatives / 2)).sum(-1)
    return wins / (positives.sum(-1) * negatives.sum(-1))


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation, -1..1; NaN if either is constant."""
    defined = ~is_constant(first) & ~is_constant(second)
    a, b = ((values - values.mean(-1, keepdim=True)) for values in (unit_scaled(first), unit_scaled(second)))
    value = (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    return undefined_unless(defined, value.clamp(-1.0, 1.0))


def unit_scaled(values: Tensor) -> Tensor:
    """Divide by the largest magnitude, so that tolerances and squares mean the same for maps of any scale."""
    largest = values.abs().amax(-1, keepdim=True)
    return values / torch.where(largest > 0, largest, 1.0)


def shares(values: Tensor) -> Tensor:
    """Return the positive part, normalised to sum 1; NaN in rows that have none."""
    positive = unit_scaled(values.clamp(min=0.0))
    return positive / positive.sum(-1, keepdim=True)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return the overlap of two distributions, from 0 (disjoint) to 1 (the same); NaN if either has NaN."""
    return torch.minimum(first, second).sum(-1).clamp(max=1.0)  # rounding may exceed it
