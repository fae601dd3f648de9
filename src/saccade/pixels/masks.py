"""Masks: the 0/1 thresholds of saliency maps, and observations seen through them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def largest_per_frame(attribution: Tensor) -> Tensor:
    """Reduce an attribution ``[batch, frames * 3, height, width]`` to ``[batch, frames, height, width]``.

    Largest absolute value over the three colours of each frame (SGQN's published code).
    """
    batch, channels, height, width = attribution.shape
    return attribution.abs().view(batch, channels // 3, 3, height, width).amax(2)


def quantile_mask(saliency: Tensor, quantile: float) -> Tensor:
    """True where a map is at or above its own quantile.

    saliency ``[batch, frames, height, width]`` -> bool of the same shape; each frame of each sample has its
    own threshold. Equal to ``saliency >= torch.quantile(...)`` with its ties, but by selecting
    the k-th largest value instead of sorting all: a map that is zero in more than ``quantile`` of its
    pixels has threshold 0 and a mask that is true everywhere.
    """
    flat = saliency.flatten(2)
    count = flat.shape[-1]
    # The smallest order statistic not below the interpolated quantile; 1e-6 forgives rounding of q (n - 1).
    keep = count - math.ceil(quantile * (count - 1) - 1e-6)
    threshold = torch.topk(flat, keep, dim=-1, sorted=False).values.amin(-1)
    return saliency >= threshold[..., None, None]


def per_channel(mask: Tensor) -> Tensor:
    """Repeat a per-frame mask ``[batch, frames, height, width]`` on the three colours of each frame."""
    return mask.repeat_interleave(3, dim=1)


def fill_outside(obs: Tensor, mask: Tensor, fill: Tensor | float) -> Tensor:
    """Keep the pixels of a per-frame mask; write ``fill`` (0..255, broadcast) into the others.

    obs ``[batch, frames * 3, height, width]``; mask bool ``[batch, frames, height, width]``.
    """
    return torch.where(per_channel(mask), obs, fill)
