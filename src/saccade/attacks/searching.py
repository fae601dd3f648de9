"""Attack many samples: in batches that fit, each sample with its own random numbers, rounded at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from saccade.attacks.box import Box
from saccade.attacks.noise import Drawn, seeds_of
from saccade.types import Score, UserError


def searched(
    find: Callable[..., Tensor],
    score: Score,
    box: Box,
    seed: int | Sequence[int],
    max_batch: int,
    whole_pixels: bool,
) -> Tensor:
    """Return what ``find`` finds inside the box. Raises UserError if there are not as many seeds as samples."""
    count = len(box.clean)
    seeds = seeds_of(seed, count) if isinstance(seed, int) else list(seed)
    if len(seeds) != count:
        raise UserError(f"{len(seeds)} seeds do not fit {count} observations: give one number, or one for each.")
    found = []
    for first in range(0, count, max_batch):
        samples = slice(first, min(first + max_batch, count))
        index = torch.arange(samples.start, samples.stop, device=box.clean.device)
        part = box if max_batch >= count else box.rows(samples)
        rows = score if max_batch >= count else score.rows(index)
        found.append(find(rows, part, Drawn(seeds[samples])).detach())
    pictures = torch.cat(found)
    return (box.whole(pictures) if whole_pixels else pictures).contiguous()
