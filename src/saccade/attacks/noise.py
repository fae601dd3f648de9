"""The random numbers of attacks: one generator for each sample, so that no attack depends on the rest of its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

import numpy as np
import torch
from torch import Generator, Tensor


class Noise(Protocol):
    """Draw random numbers in the shape, type and device of pictures ``[batch, channel, height, width]``."""

    def uniform(self, like: Tensor) -> Tensor:
        """Return numbers in -1..1."""
        ...

    def signs(self, like: Tensor) -> Tensor:
        """Return -1 or 1 for each pixel."""
        ...

    def normal(self, like: Tensor) -> Tensor:
        """Return numbers of mean 0 and standard deviation 1."""
        ...


@final
class Drawn:
    """Random numbers of one generator for each sample.

    Args:
        seeds: one for each sample.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def uniform(self, like: Tensor) -> Tensor:
        return self._drawn(torch.rand, like) * 2 - 1

    def signs(self, like: Tensor) -> Tensor:
        return torch.where(self._drawn(torch.rand, like) < 0.5, -1.0, 1.0).to(like.dtype)

    def normal(self, like: Tensor) -> Tensor:
        return self._drawn(torch.randn, like)

    def _drawn(self, draw: Callable[..., Tensor], like: Tensor) -> Tensor:
        assert len(like) == len(self._generators), (len(like), len(self._generators))
        rows = [_row(draw, like, generator) for generator in self._generators]
        return torch.stack(rows).to(like.device, like.dtype)


def _row(draw: Callable[..., Tensor], like: Tensor, generator: Generator) -> Tensor:
    return draw(like.shape[1:], generator=generator)


def seeds_of(seed: int, count: int) -> list[int]:
    """Return a seed for each of ``count`` samples; the first ones are the same for every ``count``."""
    return [int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) for index in range(count)]
