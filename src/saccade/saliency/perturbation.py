"""Scores of observations of which a part is replaced: what all perturbation methods are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, in_fast_layout, slices
from saccade.saliency.checks import check_depends, check_value
from saccade.types import Score


def perturbed_scores(
    score: Score, obs: Tensor, other: Tensor, masks: Iterable[Tensor], *, frames: int, max_batch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each block of masks the block, and the scores ``[batch, frames, n]`` under its ``n`` masks.

    A mask ``[h, w]`` in 0..1 says how much of the observation is replaced by ``other`` (which broadcasts to ``obs``),
    in one frame at a time. Call without gradients.

    Args:
        masks: blocks ``[n, h, w]`` of at most ``batch_size`` masks.
        frames: number of equal groups of channels; 1 replaces in all channels together.
    """
    run = in_fast_layout(_values)
    other = other.expand_as(obs)
    frame_of_channel = torch.arange(obs.shape[1], device=obs.device) // (obs.shape[1] // frames)
    for block in masks:
        found = []
        for pairs in slices(len(obs) * frames, max(1, batch_size(obs, max_batch) // len(block))):
            index = torch.arange(pairs.start, pairs.stop, device=obs.device)
            sample = index // frames
            clean, replaced = obs[sample], other[sample]
            if frames > 1:
                own = frame_of_channel == (index % frames)[:, None]
                replaced = torch.where(own[:, :, None, None], replaced, clean)
            mixed = torch.lerp(clean[:, None], replaced[:, None], block[None, :, None])
            rows = score.rows(sample.repeat_interleave(len(block)))
            found.append(run(rows, mixed.flatten(0, 1)).unflatten(0, mixed.shape[:2]))
        yield block, torch.cat(found).unflatten(0, (len(obs), frames))


def clean_scores(score: Score, obs: Tensor, max_batch: int) -> Tensor:
    """The scores ``[batch]`` of the observations themselves."""
    run = in_fast_layout(_values)
    parts = []
    for samples in slices(len(obs), batch_size(obs, max_batch)):
        index = torch.arange(samples.start, samples.stop, device=obs.device)
        parts.append(run(score.rows(index), obs[samples]))
    return torch.cat(parts)


def losses(score: Score, obs: Tensor, perturbed: Tensor, max_batch: int) -> Tensor:
    """What perturbed scores ``[batch, ...]`` have lost; of a distance, how far they went.

    Raises UserError where nothing was lost anywhere because the score does not depend on the observation.
    """
    if score.distance:
        lost = perturbed
    else:
        clean = clean_scores(score, obs, max_batch)
        lost = clean.reshape(-1, *[1] * (perturbed.ndim - 1)) - perturbed
    check_depends(score, obs, lost.abs().amax(), perturbed.abs().amax())
    return lost


def _values(score: Score, pixels: Tensor) -> Tensor:
    value = score(pixels)
    check_value(value, len(pixels))
    return value
