"""The random numbers of attacks: each sample's own, so that no sample's attack depends on the others of its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

import numpy as np
import torch
from torch import Generator, Tensor


class Noise(Protocol):
    """Draws numbers in the shape, type and place of pictures ``[batch, channel, height, width]``."""

    def uniform(self, like: Tensor) -> Tensor:
        """In -1..1."""
        ...

    def signs(self, like: Tensor) -> Tensor:
        """-1 or 1."""
        ...

    def normal(self, like: Tensor) -> Tensor:
        """Of mean 0 and standard deviation 1."""
        ...


@final
class Drawn:
    """Numbers drawn for each sample by a generator of its own.

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
    """A seed for each of ``count`` samples, those of the first samples whatever their number."""
    return [int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) for index in range(count)]
