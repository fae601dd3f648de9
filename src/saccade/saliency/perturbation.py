"""Scores of partly replaced observations: the basis of all perturbation methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, in_fast_layout, perturbed_batch_size, slices
from saccade.saliency.checks import check_depends, check_value
from saccade.types import Score


def perturbed_scores(
    score: Score, obs: Tensor, other: Tensor, masks: Iterable[Tensor], *, frames: int, max_batch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, for each block of masks, the block and the scores ``[batch, frames, n]`` under its ``n`` masks.

    A mask ``[h, w]`` in 0..1 says how much of the observation is replaced by ``other`` (which broadcasts to ``obs``),
    in one frame at a time. Call it without gradients.

    Args:
        masks: blocks ``[n, h, w]`` of at most ``perturbed_batch_size`` masks.
        frames: number of equal groups of channels; 1 replaces in all channels together.
    """
    run = in_fast_layout(_values)
    other = other.expand_as(obs)
    mixing = _Mixing(obs)
    frame_of_channel = torch.arange(obs.shape[1], device=obs.device) // (obs.shape[1] // frames)
    for block in masks:
        weights = mixing.weights(block, obs.shape[1])
        found = []
        for pairs in slices(len(obs) * frames, max(1, perturbed_batch_size(obs, max_batch) // len(block))):
            index = torch.arange(pairs.start, pairs.stop, device=obs.device)
            sample = index // frames
            clean, replaced = obs[sample], other[sample]
            if frames > 1:
                own = frame_of_channel == (index % frames)[:, None]
                replaced = torch.where(own[:, :, None, None], replaced, clean)
            rows = score.rows(sample.repeat_interleave(len(block)))
            values = run(rows, mixing.mixed(clean, replaced, weights))
            # Copied: a score may return pixels themselves, whose memory is reused for the next pictures.
            found.append(values.clone().unflatten(0, (len(sample), len(block))))
        yield block, torch.cat(found).unflatten(0, (len(obs), frames))


def clean_scores(score: Score, obs: Tensor, max_batch: int) -> Tensor:
    """Return the scores ``[batch]`` of the observations themselves."""
    run = in_fast_layout(_values)
    parts = []
    for samples in slices(len(obs), batch_size(obs, max_batch)):
        index = torch.arange(samples.start, samples.stop, device=obs.device)
        parts.append(run(score.rows(index), obs[samples]))
    return torch.cat(parts)


def losses(score: Score, obs: Tensor, perturbed: Tensor, max_batch: int) -> Tensor:
    """Return how much perturbed scores ``[batch, ...]`` dropped; for a distance, how far they moved.

    Raises UserError if nothing changed anywhere because the score does not depend on the observation.
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


@final
class _Mixing:
    """Makes pictures in which masks have replaced a part.

    On a CPU they are in the layout that convolutions prefer there, and in the same memory each time: the numbers are
    the same, and fresh memory of this size would cost more than the network, since the system clears it page by page.
    """

    def __init__(self, obs: Tensor) -> None:
        self._channels_last = obs.device.type == "cpu" and not torch.compiler.is_compiling()
        self._memory = obs.new_empty(0)

    def weights(self, block: Tensor, channels: int) -> Tensor:
        """Return masks ``[n, h, w]`` in the form that ``mixed`` takes, computed once for all observations."""
        return block[..., None].expand(*block.shape, channels).flatten(1) if self._channels_last else block[:, None]

    def mixed(self, clean: Tensor, replaced: Tensor, weights: Tensor) -> Tensor:
        """Return pictures ``[pairs * n, channel, height, width]``, valid until the next call."""
        if not self._channels_last:
            return torch.lerp(clean[:, None], replaced[:, None], weights[None]).flatten(0, 1)
        channels, height, width = clean.shape[1:]
        start, end = (pictures.permute(0, 2, 3, 1).flatten(1)[:, None] for pictures in (clean, replaced))
        shape = len(clean), *weights.shape
        if self._memory.shape != shape:
            self._memory = clean.new_empty(shape)
        torch.lerp(start, end, weights[None], out=self._memory)
        return self._memory.view(-1, height, width, channels).permute(0, 3, 1, 2)
