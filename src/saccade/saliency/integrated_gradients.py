"""Integrated gradients (Sundararajan et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, in_fast_layout, rows_of, slices
from saccade.saliency.checks import check_gradient_explains, check_least, check_obs
from saccade.saliency.gradient import derivative
from saccade.types import Score


def integrated_gradients(score: Score, obs: Tensor, *, steps: int = 50, max_batch: int = 256) -> Tensor:
    """Return the observation times the mean gradient on the straight path to it from black, by the midpoint rule.

    Signed, in the shape of ``obs``; the sum over a sample's pixels approaches score(obs) - score(black) as ``steps``
    grows (section 3, with baseline 0). It takes ``steps`` gradients per sample.

    Raises:
        UserError: what ``gradient`` refuses, or steps below 1.
    """
    check_obs(obs, max_batch)
    check_gradient_explains(score)
    check_least("steps", steps, 1)
    run = in_fast_layout(derivative)
    share = (torch.arange(steps, device=obs.device, dtype=obs.dtype) + 0.5) / steps
    parts, at_once = [], batch_size(obs, max_batch)
    for samples in slices(len(obs), at_once):
        part, total = obs[samples], torch.zeros_like(obs[samples])
        for points in slices(steps, max(1, at_once // len(part))):
            copies = points.stop - points.start
            path = part[:, None] * share[points, None, None, None]
            found = run(rows_of(score, samples, obs, copies), path.flatten(0, 1))
            total = total + found.unflatten(0, (len(part), copies)).sum(1)
        parts.append(part * total / steps)
    return torch.cat(parts)


def integrated_derivative(score: Callable[[Tensor], Tensor], obs: Tensor, *, steps: int) -> Tensor:
    """Return integrated gradients of one batch without checks, as losses use it: it compiles, and never waits."""
    total = torch.zeros_like(obs)
    for step in range(steps):
        total = total + derivative(score, obs * ((step + 0.5) / steps))
    return obs * total / steps
