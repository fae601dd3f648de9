"""Gaussian blur of observations, with the conventions of ``scipy.ndimage.gaussian_filter``."""

from __future__ import annotations

import torch
from torch import Tensor

TRUNCATION = 4.0  # standard deviations at which a Gaussian is cut off


def gaussian_blur(obs: Tensor, sigma: float) -> Tensor:
    """Blur ``[..., height, width]`` by a Gaussian of ``sigma`` pixels; pictures are mirrored at their edges."""
    height, width = obs.shape[-2:]
    return blur_matrix(height, sigma).to(obs) @ obs @ blur_matrix(width, sigma).to(obs).T


def blur_matrix(side: int, sigma: float) -> Tensor:
    """Matrix ``[side, side]`` in float64 that blurs a line of pixels, mirrored with its last pixels repeated."""
    reach = int(TRUNCATION * sigma + 0.5)
    offset = torch.arange(-reach, reach + 1)
    weight = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    source = (torch.arange(side)[:, None] + offset) % (2 * side)
    source = torch.minimum(source, 2 * side - 1 - source)
    blurred = torch.zeros(side, side, dtype=torch.float64)
    return blurred.scatter_add_(1, source, (weight / weight.sum()).expand(side, -1))
