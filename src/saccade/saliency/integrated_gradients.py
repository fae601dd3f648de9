"""Integrated gradients (Sundararajan et al., 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saccade.saliency.gradient import gradient

if TYPE_CHECKING:
    from saccade.types import Score


def integrated_gradients(score: Score, obs: Tensor, *, steps: int = 16) -> Tensor:
    """(obs - black) times the mean gradient on the straight path from a black observation, midpoint rule.

    Signed, in the shape of ``obs``; the sum over a sample's pixels approaches score(obs) - score(black) as
    ``steps`` grows. One gradient per step.
    """
    total = torch.zeros_like(obs)
    for step in range(steps):
        total = total + gradient(score, obs * ((step + 0.5) / steps))
    return obs * total / steps
