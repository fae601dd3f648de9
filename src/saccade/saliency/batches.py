"""How samples, and copies of each, are split into batches for the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from saccade.types import Score

CPU_BATCH = 48  # intermediate results of this many pictures fit the processor's caches; more at once are slower
CPU_BATCH_OF_SMALL, SMALL_VALUES = 128, 128 * 3 * 64 * 64  # the same for small pictures, and their values in all

Run = Callable[[Score, Tensor], Tensor]
"""``(score of a batch's samples, batch) -> tensor with a row per sample``."""


def batch_size(obs: Tensor, max_batch: int) -> int:
    """Return how many pictures go through the network at once: never more than ``max_batch``."""
    # While compiling, every batch becomes part of the program: use as few as possible.
    return min(max_batch, CPU_BATCH) if obs.device.type == "cpu" and not torch.compiler.is_compiling() else max_batch


def perturbed_batch_size(obs: Tensor, max_batch: int) -> int:
    """Return the batch size for pictures that are not differentiated: larger, if they are small."""
    of_small = min(CPU_BATCH_OF_SMALL, SMALL_VALUES // obs[0].numel())
    return min(max_batch, max(batch_size(obs, max_batch), of_small))


def slices(count: int, at_most: int) -> Iterator[slice]:
    """Yield slices that split 0..count into pieces of equal length, each at most ``at_most``."""
    pieces = math.ceil(count / at_most)
    for piece in range(pieces):
        yield slice(piece * count // pieces, (piece + 1) * count // pieces)


def rows_of(score: Score, samples: slice, of: Tensor, copies: int = 1) -> Score:
    """Return the score of some samples of the batch ``of``, each repeated ``copies`` times in a row."""
    if copies == 1 and samples == slice(0, len(of)):
        return score
    index = torch.arange(samples.start, samples.stop, device=of.device)
    return score.rows(index.repeat_interleave(copies))


def in_fast_layout(run: Run) -> Run:
    """Return ``run`` on pixels whose channels are adjacent in memory, wherever that is faster and works.

    Convolutions on a CPU keep that layout and are up to half faster in it. A network that reads memory order, as with
    ``x.view(len(x), -1)``, raises an error: it gets the usual layout from then on.
    """
    works = True

    def call(score: Score, pixels: Tensor) -> Tensor:
        nonlocal works
        if works and pixels.device.type == "cpu" and not torch.compiler.is_compiling():
            try:
                return run(score, pixels.contiguous(memory_format=torch.channels_last))
            except RuntimeError:
                works = False
        return run(score, pixels.contiguous())

    return call
