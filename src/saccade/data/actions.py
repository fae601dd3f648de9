"""Actions of either kind as tensors: their type, and random ones."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from saccade.types import Continuous, Discrete


def action_dtype(actions: Continuous | Discrete) -> torch.dtype:
    """Return int64 for discrete actions, else float32."""
    return torch.int64 if isinstance(actions, Discrete) else torch.float32


def uniform_actions(actions: Continuous | Discrete, count: int, generator: Generator) -> Tensor:
    """Draw uniformly random actions: long ``[count]`` if discrete, else float ``[count, dims]`` in -1..1."""
    match actions:
        case Discrete(choices):
            return torch.randint(0, choices, (count,), generator=generator)
        case Continuous(dims):
            return torch.rand((count, dims), generator=generator) * 2 - 1
