"""RISE (Petsiuk et al., 2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, slices
from saccade.saliency.checks import check_depends, check_frames, check_least, check_obs
from saccade.saliency.perturbation import perturbed_scores
from saccade.types import Score, UserError


@torch.no_grad()
def rise(
    score: Score,
    obs: Tensor,
    *,
    masks: int = 2000,
    cells: int = 8,
    keep: float = 0.5,
    centred: bool = True,
    frames: int = 1,
    seed: int = 0,
    max_batch: int = 256,
) -> Tensor:
    """Return the mean of random smooth masks, weighted by the score of what shows through: ``[batch, frames, h, w]``.

    sum_i (score(I M_i) - mean score) M_i / (N p); for a distance its negative, so that larger is more important.

    Args:
        masks: how many (N); the same for every observation.
        cells: a mask is a grid with this many cells a side, each open or shut, enlarged smoothly and shifted at random.
        keep: probability p that a cell is open.
        centred: whether the mean score is subtracted; equation 6 of the paper does not.
        frames: 1 masks all channels together; n each of the stack's n frames alone, giving n maps.
        seed: of the masks, which are the same on every device.

    Raises:
        UserError: a number out of range, frames that do not divide the channels, a score that does not depend on the
            observation or is not one number per sample.
    """
    check_obs(obs, max_batch)
    check_least("masks", masks, 1)
    check_least("cells", cells, 1)
    check_frames(frames, obs)
    if not 0 < keep < 1:
        raise UserError(f"keep {keep:g} opens all cells or none: use a probability between 0 and 1, such as 0.5.")
    total, covered = obs.new_zeros(len(obs), frames, *obs.shape[2:]), obs.new_zeros(obs.shape[2:])
    worths = obs.new_zeros(len(obs), frames)
    offset: Tensor | None = None
    lowest, highest = obs.new_full((len(obs),), math.inf), obs.new_full((len(obs),), -math.inf)
    shut = (1 - kept for kept in _masks(masks, cells, keep, seed, obs, batch_size(obs, max_batch)))
    for hidden, found in perturbed_scores(
        score, obs, obs.new_zeros(1, 1, 1, 1), shut, frames=frames, max_batch=max_batch
    ):
        lowest, highest = torch.minimum(lowest, found.amin((1, 2))), torch.maximum(highest, found.amax((1, 2)))
        worth = -found if score.distance else found
        if centred:  # first by the first masks' mean, so that little is left to cancel at the end
            offset = worth.mean(-1, keepdim=True) if offset is None else offset
            worth = worth - offset
        total += (worth.flatten(0, 1) @ (1 - hidden).flatten(1)).view_as(total)
        worths += worth.sum(-1)
        covered += (1 - hidden).sum(0)
    check_depends(score, obs, (highest - lowest).amax(), torch.maximum(highest.abs(), lowest.abs()).amax())
    if centred:
        # Deviation: the paper's scores are probabilities near 0. With a Q far from 0 its map is, to within a hundredth,
        # how often the random masks happened to show each pixel.
        total -= (worths / masks)[..., None, None] * covered
    return total / (masks * keep)


def _masks(count: int, cells: int, keep: float, seed: int, obs: Tensor, at_most: int) -> Iterator[Tensor]:
    """Blocks ``[n, h, w]`` of masks: 1 where an observation shows, 0 where it is black."""
    generator = torch.Generator().manual_seed(seed)
    open_cells = (torch.rand((count, cells, cells), generator=generator) < keep).to(obs)
    sides = []
    for side in obs.shape[2:]:
        cell = math.ceil(side / cells)
        shift = torch.randint(0, cell, (count, 1), generator=generator)
        sides.append((_enlarge(cells, (cells + 1) * cell).to(obs), (shift + torch.arange(side)).to(obs.device)))
    (vertical, rows), (horizontal, columns) = sides
    for piece in slices(count, at_most):
        yield vertical[rows[piece]] @ open_cells[piece] @ horizontal[columns[piece]].mT


def _enlarge(cells: int, side: int) -> Tensor:
    """The matrix ``[side, cells]`` of bilinear interpolation."""
    # Deviation: beyond the centres of the outermost cells the original mirrors their neighbours; here they extend.
    position = ((torch.arange(side, dtype=torch.float64) + 0.5) * cells / side - 0.5).clamp(0, cells - 1)
    return (1 - (position[:, None] - torch.arange(cells)).abs()).clamp(min=0)
