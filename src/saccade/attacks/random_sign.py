"""Random signs of the whole budget: what an attack that knows nothing does to a policy, as every other's baseline."""

from __future__ import annotations

from torch import Tensor

from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def random_sign(score: Score, box: Box, noise: Noise) -> Tensor:
    """``P(s + budget * random signs)``; the score is not asked."""
    return box.inside(box.clean + box.within(box.radius * noise.signs(box.clean)))
