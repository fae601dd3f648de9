"""MAD: the maximal action difference, which drives the policy as a whole away (Zhang et al., 2020)."""

from __future__ import annotations

from torch import Tensor

from saccade.attacks.ascent import Direction, ascended, beginning, steepest
from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def mad(score: Score, box: Box, noise: Noise, *, steps: int = 10, langevin: bool = False) -> Tensor:
    """Steps of ``budget / steps`` up a divergence, from one such step in a random direction.

    Args:
        score: a distance: the divergence from what the policy does at the clean picture.
        langevin: whether each step adds noise to the gradient, as the published code does: ``sqrt(2 budget / steps) /
            (i + 2)`` times normal noise, where pixels lie in 0..1. It swamps the gradient there, so the default is not
            to.
    """
    size = box.radius / steps
    direction = _noisy(box, noise, size) if langevin else steepest
    start = beginning(score, box, noise, size)
    return ascended(score, box, start, steps=steps, size=size, direction=direction)


def _noisy(box: Box, noise: Noise, size: float | Tensor) -> Direction:
    def direction(gradient: Tensor, step: int) -> Tensor:
        scale = (2 * size / box.high) ** 0.5 / (step + 2)
        return gradient * box.high + box.within(scale * noise.normal(gradient))  # both of pixels in 0..1

    return direction
