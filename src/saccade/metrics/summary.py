"""One metric over many frames: the mean of those that it is defined on, and how many those are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True)
class Summary:
    """What is told of a metric.

    Attributes:
        mean: over the defined frames; NaN if there are none.
        std: how much they differ: the root of their mean squared deviation; NaN if there are none.
        count: frames that the metric is defined on.
        undefined: frames that were left out because it is not.
    """

    mean: float
    std: float
    count: int
    undefined: int


def summary_of(values: Tensor) -> Summary:
    """Mean and spread of the values of a metric, leaving out and counting those that are NaN."""
    flat = values.detach().double().flatten()
    defined = flat[~flat.isnan()]
    count = len(defined)
    if not count:
        return Summary(math.nan, math.nan, 0, len(flat))
    return Summary(float(defined.mean()), float(defined.std(correction=0)), count, len(flat) - count)
