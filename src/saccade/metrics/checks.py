"""Check a metric's inputs: one sentence for a person if a map cannot be scored."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.types import UserError

AXES = {3: "[batch, height, width]", 4: "[batch, frame, height, width]"}


def checked_map(values: Tensor, *, name: str = "saliency map", axes: int = 3) -> Tensor:
    """Return a finite map with this many axes, in float64.

    Raises:
        UserError: another number of axes, no pixels, complex values, NaN or infinity.
    """
    if values.ndim != axes or 0 in values.shape[1:] or values.is_complex():
        raise UserError(
            f"The {name} has shape {tuple(values.shape)} and type {values.dtype}: it must be real, {AXES[axes]}."
        )
    if not bool(values.isfinite().all()):
        raise UserError(
            f"The {name} has NaN or infinity in it: look for NaN in the network's weights or in the observation."
        )
    return values.detach().double()


def checked_mask(mask: Tensor, like: Tensor, *, name: str) -> Tensor:
    """Return a bool mask of the shape of ``like``. Raises UserError for another type or shape."""
    if mask.dtype != torch.bool:
        raise UserError(f"The {name} is {mask.dtype}: it must be bool, as `mask > 0` makes it.")
    if mask.shape != like.shape:
        raise UserError(
            f"The {name} has shape {tuple(mask.shape)}, the saliency map {tuple(like.shape)}: they must be the same."
        )
    return mask


def checked_fixations(fixations: Tensor, like: Tensor | None = None, *, name: str = "fixation map") -> Tensor:
    """Return counts of gaze samples in float64. Raises UserError for another shape, negative or non-finite counts."""
    counts = checked_map(fixations, name=name)
    if like is not None and counts.shape != like.shape:
        raise UserError(
            f"The {name} has shape {tuple(counts.shape)}, the saliency map {tuple(like.shape)}: "
            "they must be the same, so resize the saliency to the frame that people looked at."
        )
    if bool((counts < 0).any()):
        raise UserError(f"The {name} has a negative count in it: each pixel holds how many gaze samples fell there.")
    return counts
