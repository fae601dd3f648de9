"""PGD: many gradient steps from a random place in the box (Madry et al., 2018)."""

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
    """Take ``x = P(x + step_share * budget * sign(gradient at x))`` from a uniformly drawn start.

    Args:
        restarts: number of starts; each sample keeps the result with the highest score.
    """
    count = len(box.clean)
    starts = [box.inside(box.clean + box.within(box.radius * noise.uniform(box.clean))) for _ in range(restarts)]
    # All starts at once: a network takes less time for them so than one after the other.
    again = torch.arange(count, device=box.clean.device).repeat(restarts)
    score, box = (score, box) if restarts == 1 else (score.rows(again), box.rows(again))
    found = ascended(score, box, torch.cat(starts), steps=steps, size=step_share * box.radius)
    if restarts == 1:
        return found
    with torch.no_grad():
        reached = score(found).view(restarts, count)
    best = reached.argmax(0) * count + again[:count]
    return found[best]
