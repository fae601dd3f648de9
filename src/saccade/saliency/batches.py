"""How samples, and copies of each, are cut into batches for the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from saccade.types import Score

CPU_BATCH = 48  # what so many pictures leave on their way stays near the processor; more at once are slower
CPU_BATCH_OF_SMALL, SMALL_VALUES = 128, 128 * 3 * 64 * 64  # and of small ones so many, with so many values in all

Run = Callable[[Score, Tensor], Tensor]
"""``(score of a batch's samples, batch) -> tensor with a row per sample``."""


def batch_size(obs: Tensor, max_batch: int) -> int:
    """How many pictures go through the network at once: never more than ``max_batch``."""
    # While compiling every batch becomes a part of the program: as few as may be.
    return min(max_batch, CPU_BATCH) if obs.device.type == "cpu" and not torch.compiler.is_compiling() else max_batch


def perturbed_batch_size(obs: Tensor, max_batch: int) -> int:
    """The same of pictures that are not differentiated: of small ones more."""
    of_small = min(CPU_BATCH_OF_SMALL, SMALL_VALUES // obs[0].numel())
    return min(max_batch, max(batch_size(obs, max_batch), of_small))


def slices(count: int, at_most: int) -> Iterator[slice]:
    """0..count in equally long pieces, each of at most so many."""
    pieces = math.ceil(count / at_most)
    for piece in range(pieces):
        yield slice(piece * count // pieces, (piece + 1) * count // pieces)


def rows_of(score: Score, samples: slice, of: Tensor, copies: int = 1) -> Score:
    """The score of some samples of the batch ``of``, each repeated so many times in a row."""
    if copies == 1 and samples == slice(0, len(of)):
        return score
    index = torch.arange(samples.start, samples.stop, device=of.device)
    return score.rows(index.repeat_interleave(copies))


def in_fast_layout(run: Run) -> Run:
    """The same on pixels whose channels lie next to each other in memory, wherever that is faster and works.

    Convolutions on a CPU keep that layout and are up to half faster in it. A network that reads memory order, as with
    ``x.view(len(x), -1)``, stops with an error: it gets the usual layout from then on.
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
