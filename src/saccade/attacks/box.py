"""The set of allowed attacked pictures: near the clean one, no darker than black, no brighter than white."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from saccade.types import UserError

WHOLE = 255.0
"""Budgets are given in steps of a one-byte pixel; this is the number of steps from black to white."""
LARGEST_BUDGET = WHOLE
SLACK = 1e-3  # of such a step: the rounding error of pixels in 0..1


@final
@dataclass(frozen=True)
class Box:
    """The pictures within a budget (l-infinity) of clean ones.

    Attributes:
        clean: ``[batch, channel, height, width]`` in 0..high.
        radius: by how much a pixel may change, in the units of the pictures; ``[batch, 1, 1, 1]`` if it differs between
            pictures.
        high: the brightest value; the darkest is 0.
        open: 1 for channels that may change and 0 for others, ``[1, channel, 1, 1]``.
    """

    clean: Tensor
    radius: float | Tensor
    high: float
    open: Tensor

    @functools.cached_property
    def low_edge(self) -> Tensor:
        """The darkest allowed value of each pixel."""
        return (self.clean - self.radius * self.open).clamp(min=0)

    @functools.cached_property
    def high_edge(self) -> Tensor:
        """The brightest allowed value of each pixel."""
        return (self.clean + self.radius * self.open).clamp(max=self.high)

    def inside(self, pictures: Tensor) -> Tensor:
        """Return the nearest allowed pictures."""
        return pictures.clamp(self.low_edge, self.high_edge)

    def within(self, change: Tensor) -> Tensor:
        """Return a change restricted to the channels that may change."""
        return change if self.all_open else change * self.open

    @functools.cached_property
    def all_open(self) -> bool:
        """Whether all channels may change."""
        return bool(self.open.all())

    def whole(self, pictures: Tensor) -> Tensor:
        """Return the pictures with whole pixels 0..255, as a camera gives them, rounded to the nearest (half to even).

        Where a clean pixel is not a whole number and none lies within the budget, the pixel is left as it is.
        """
        least, most = (edge * (WHOLE / self.high) for edge in (self.low_edge, self.high_edge))
        rounded = (pictures * (WHOLE / self.high)).round()
        rounded = torch.minimum(torch.maximum(rounded, (least - SLACK).ceil()), (most + SLACK).floor())
        return self.inside(rounded * self.high / WHOLE)

    def rows(self, samples: slice | Tensor) -> Box:
        """Return the box of some of the samples, given as a slice or as indices, which may repeat."""
        radius = self.radius[samples] if isinstance(self.radius, Tensor) else self.radius
        return Box(self.clean[samples], radius, self.high, self.open)


def box_around(
    obs: Tensor, budget: float | Sequence[float], *, high: float = WHOLE, channels: int | None = None
) -> Box:
    """Return the box of a budget in steps of 1/255 of ``high``, or of one budget for each sample.

    Args:
        channels: how many of the last channels may change; None for all. The newest frame's channels are the last.

    Raises:
        UserError: a budget outside 0..255, or observations that are no pictures.
    """
    several = isinstance(budget, Sequence)
    budgets = list(budget) if isinstance(budget, Sequence) else [budget]
    for one in budgets:
        if not 0 <= one <= LARGEST_BUDGET:  # NaN too
            raise UserError(
                f"A budget of {one:g} is none: say by how many of 255 steps from black to white a pixel may change, "
                f"from 0 to {LARGEST_BUDGET:g}."
            )
    if obs.ndim != 4 or not obs.is_floating_point() or obs.numel() == 0:
        kind = str(obs.dtype).removeprefix("torch.")
        raise UserError(
            f"Observations of shape {list(obs.shape)} and type {kind} cannot be attacked: "
            "give floats [batch, channel, height, width], at least one of them."
        )
    if several and len(budgets) != len(obs):
        raise UserError(f"{len(budgets)} budgets do not fit {len(obs)} observations: give one number, or one for each.")
    count = obs.shape[1]
    if channels is not None and not 1 <= channels <= count:
        raise UserError(f"{channels} of {count} channels cannot be attacked: give 1 to {count}, or None for all.")
    is_open = torch.ones(1, count, 1, 1, dtype=obs.dtype, device=obs.device)
    is_open[:, : count - (count if channels is None else channels)] = 0
    radii = [one * high / WHOLE for one in budgets]
    radius = torch.tensor(radii, dtype=obs.dtype, device=obs.device).view(-1, 1, 1, 1) if several else radii[0]
    # On a CPU convolutions run over the channels of a pixel: pictures in that order are not copied at every step.
    clean = obs.detach()
    laid_out = clean.contiguous(memory_format=torch.channels_last) if clean.device.type == "cpu" else clean
    return Box(laid_out, radius, high, is_open)
