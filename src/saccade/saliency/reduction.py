"""Reduce a map per channel to one per frame, and to one in all; every choice has a name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from saccade.types import UserError

Sign = Literal["absolute", "signed", "positive"]
Over = Literal["max", "sum"]
Scale = Literal["max", "min_max", "none"]


def per_frame(
    saliency: Tensor, colours: int, *, frames: int | None = None, sign: Sign = "absolute", over: Over = "max"
) -> Tensor:
    """Reduce a map with a value per channel to one with a value per frame: ``[batch, frames, h, w]``.

    For a map that already has one value per frame, or one for all frames (``[batch, 1, h, w]``), only ``sign`` applies.

    Args:
        saliency: ``[batch, frames * colours, h, w]``, or one of the above.
        colours: channels per frame of the observation, adjacent to each other.
        frames: of the observation; None for a map with a value per channel, or one for all.
        sign: applied first: ``absolute`` values, only the ``positive`` ones (others become 0), or unchanged.
        over: the ``max`` or the ``sum`` of a frame's colours; of signed values ``max`` is the largest in magnitude.
    """
    channels = saliency.shape[1]
    frames = frames or max(1, channels // colours)
    signed = _signed(saliency, sign)
    if channels == frames * colours:
        return _over(signed.unflatten(1, (frames, colours)), 2, over)
    if channels not in (1, frames):
        raise UserError(
            f"A map of {channels} channels is not one of {frames} frames with {colours} colours each: "
            f"it must have {frames * colours}, {frames} or 1."
        )
    return signed


def one_map(saliency: Tensor, *, over: Over = "max") -> Tensor:
    """Reduce a map per frame ``[batch, frames, h, w]`` to one, ``[batch, h, w]``; ``over`` as in ``per_frame``."""
    return _over(saliency, 1, over)


def normalised(saliency: Tensor, how: Scale = "max") -> Tensor:
    """Scale a map ``[batch, ...]``, each sample by its own values.

    how: ``max`` divides by the largest magnitude, so that zero stays zero; ``min_max`` maps the smallest to 0 and the
        largest to 1. A sample with nothing to divide by becomes 0 everywhere.
    """
    if how == "none":
        return saliency
    dims = tuple(range(1, saliency.ndim))
    low = saliency.amin(dims, keepdim=True) if how == "min_max" else torch.zeros((), device=saliency.device)
    shifted = saliency - low
    largest = shifted.abs().amax(dims, keepdim=True)
    return torch.where(largest > 0, shifted / torch.where(largest > 0, largest, 1), 0)


def _signed(saliency: Tensor, sign: Sign) -> Tensor:
    if sign == "absolute":
        return saliency.abs()
    return saliency.clamp(min=0) if sign == "positive" else saliency


def _over(saliency: Tensor, dim: int, over: Over) -> Tensor:
    if over == "sum":
        return saliency.sum(dim)
    return saliency.gather(dim, saliency.abs().argmax(dim, keepdim=True)).squeeze(dim)
