"""Summarise one metric over many frames: the mean where it is defined, and on how many frames that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True)
class Summary:
    """The summary of a metric over frames.

    Attributes:
        mean: over the defined frames; NaN if there are none.
        std: population standard deviation over the defined frames; NaN if there are none.
        count: frames where the metric is defined.
        undefined: frames that were left out because it is not.
    """

    mean: float
    std: float
    count: int
    undefined: int


def summary_of(values: Tensor) -> Summary:
    """Return mean and spread of the values of a metric; NaN values are left out and counted."""
    flat = values.detach().double().flatten()
    defined = flat[~flat.isnan()]
    count = len(defined)
    if not count:
        return Summary(math.nan, math.nan, 0, len(flat))
    return Summary(float(defined.mean()), float(defined.std(correction=0)), count, len(flat) - count)
