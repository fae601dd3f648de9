"""FGSM: one step of the whole budget along the gradient's sign (Goodfellow et al., 2015)."""

from __future__ import annotations

from torch import Tensor

from saccade.attacks.ascent import ascended, beginning
from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def fgsm(score: Score, box: Box, noise: Noise, *, nudge: float = 0.1) -> Tensor:
    """Return ``P(s + budget * sign(gradient of the score at s))``.

    Args:
        nudge: share of the budget by which the picture is moved first where the score is a distance, whose gradient
            is zero at ``s``.
    """
    # Deviation: of a distance the gradient is taken a random step away, as in R+FGSM (Tramèr et al., 2018).
    start = beginning(score, box, noise, nudge * box.radius)
    return ascended(score, box, start, steps=1, size=box.radius)
