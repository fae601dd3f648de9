"""PGD: many steps from a random place in the box (Madry et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.attacks.ascent import ascended
from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def pgd(
    score: Score, box: Box, noise: Noise, *, steps: int = 10, step_share: float = 0.25, restarts: int = 1
) -> Tensor:
    """``x = P(x + step_share * budget * sign(gradient at x))`` from a uniformly drawn start.

    Args:
        restarts: how many starts; each sample keeps the end of the highest score.
    """
    best, highest = box.clean, None
    for _ in range(restarts):
        start = box.inside(box.clean + box.radius * noise.uniform(box.clean) * box.open)
        found = ascended(score, box, start, steps=steps, size=step_share * box.radius)
        if restarts == 1:
            return found
        with torch.no_grad():
            reached = score(found)
        better = torch.ones_like(reached, dtype=torch.bool) if highest is None else reached > highest
        highest = reached if highest is None else torch.maximum(reached, highest)
        best = torch.where(better[:, None, None, None], found, best)
    return best
