"""The loop shared by every attack that follows a gradient: step, then project back into the box."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score, UserError

Direction = Callable[[Tensor, int], Tensor]
"""``(gradient, number of the step from 0) -> direction``, of which a step takes the sign."""

IGNORED = (
    "The score does not depend on the observation, or what it depends on is cut off by a detach, a no_grad or a "
    "conversion to whole numbers: attack another output of the network."
)


def steepest(gradient: Tensor, step: int) -> Tensor:
    """Return the gradient itself."""
    return gradient


def ascended(
    score: Score, box: Box, start: Tensor, *, steps: int, size: float | Tensor, direction: Direction = steepest
) -> Tensor:
    """Return pictures with a higher score: ``steps`` times ``x = P(x + size * sign(direction))`` (Madry et al., 2018).

    Args:
        start: the first pictures, inside the box.
        size: step size in the units of the pictures, one number or one for each picture. The sign of 0 is 0.
    """
    pictures = start
    for step in range(steps):
        # In place from here on: a picture is read and written as often as the network's layers together do.
        towards = direction(box.within(gradient(score, pictures)), step).sign()
        pictures = towards.mul_(size).add_(pictures).clamp_(box.low_edge, box.high_edge)
    return pictures


def gradient(score: Score, pictures: Tensor) -> Tensor:
    """Return the derivative of each sample's score by its own pixels; the weights get no gradient.

    Raises:
        UserError: the score has no gradient, none that is finite, or is not one number per sample.
    """
    with torch.enable_grad():
        pixels = pictures.detach().requires_grad_()
        value = score(pixels)
        if value.shape != (len(pixels),):
            raise UserError(
                f"The score gave shape {list(value.shape)} for {len(pixels)} observations: it must give one number "
                f"for each, of shape [{len(pixels)}]."
            )
        found = torch.autograd.grad(value.sum(), pixels, allow_unused=True)[0] if value.requires_grad else None
    if found is None:
        raise UserError(IGNORED)
    if not bool(found.sum().isfinite()) and not bool(found.isfinite().all()):
        raise UserError("The score's gradient holds NaN or infinity: are the network's weights finite?")
    return found


def beginning(score: Score, box: Box, noise: Noise, size: float | Tensor) -> Tensor:
    """Return where an attack without a random start begins: at the clean pictures.

    A distance from the clean output is zero there, and so is its gradient. An attack on a distance therefore starts one
    step of ``size`` away in a random direction, as MAD does (Zhang et al., 2020).
    """
    return box.inside(box.clean + box.within(size * noise.signs(box.clean))) if score.distance else box.clean
