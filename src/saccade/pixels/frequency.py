"""Observations without some of their spatial frequencies (SRM, Huang et al., 2022)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

EDGE_TOLERANCE = 1e-6  # cycles per pixel: a frequency on an edge is not below it, despite rounding


def mask_spectrum(obs: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Remove a square ring of frequencies: those with an axis at or above ``low`` and both below ``high``.

    obs: float ``[batch, channel, height, width]``; low, high: cycles per pixel, ``[]`` or one per sample ``[batch]``.
    The result is not clamped. A ring from 0 removes the mean; one of zero width changes only rounding errors.
    """
    # The published code transforms the colours as well, but its ring is the same at all of their frequencies:
    # transforming along them and back changes nothing.
    spectrum = torch.fft.rfft2(obs)
    removed = _square(obs, high) & ~_square(obs, low)
    return torch.fft.irfft2(spectrum.masked_fill(removed, 0), s=obs.shape[-2:])


def _square(obs: Tensor, edge: Tensor) -> Tensor:
    """Where both frequencies of the spectrum lie below an edge: bool ``[1 or batch, 1, height, width // 2 + 1]``."""
    height, width = obs.shape[-2:]
    edge = edge.view(-1, 1, 1, 1) - EDGE_TOLERANCE
    rows = torch.fft.fftfreq(height, device=obs.device).abs()[:, None]
    columns = torch.fft.rfftfreq(width, device=obs.device)[None, :]
    return (rows < edge) & (columns < edge)


def draw_ring(frequency: float, width: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw one ring, as ``mask_spectrum`` takes it: from 0..frequency, 0..width wide, uniform, in whole hundredths."""
    start, extent = torch.rand(2, generator=generator, device=generator.device)
    low, wide = torch.round(start * frequency * 100), torch.round(extent * width * 100)
    return low / 100, (low + wide) / 100
