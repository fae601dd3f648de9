"""Random signs of the whole budget: noise without knowledge of the policy, as a baseline for every attack."""

from __future__ import annotations

from torch import Tensor

from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def random_sign(score: Score, box: Box, noise: Noise) -> Tensor:
    """Return ``P(s + budget * random signs)``; the score is not used."""
    return box.inside(box.clean + box.within(box.radius * noise.signs(box.clean)))
