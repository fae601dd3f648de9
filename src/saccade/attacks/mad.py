"""MAD, maximal action difference: changes the policy's output as a whole (Zhang et al., 2020)."""

from __future__ import annotations

from torch import Tensor

from saccade.attacks.ascent import Direction, ascended, beginning, steepest
from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def mad(score: Score, box: Box, noise: Noise, *, steps: int = 10, langevin: bool = False) -> Tensor:
    """Climb a divergence in steps of ``budget / steps``, after one such step in a random direction.

    Args:
        score: a distance, such as the divergence from the policy's output at the clean picture.
        langevin: whether each step adds noise to the gradient, as the published code does: ``sqrt(2 budget / steps) /
            (i + 2)`` times normal noise, for pixels in 0..1. The noise swamps the gradient, so it is off by default.
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
