"""Actions of either kind as tensors: what they are kept as, and what nobody has chosen."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from saccade.types import Continuous, Discrete


def action_dtype(actions: Continuous | Discrete) -> torch.dtype:
    """int64 where there are actions to choose from, else float32."""
    return torch.int64 if isinstance(actions, Discrete) else torch.float32


def uniform_actions(actions: Continuous | Discrete, count: int, generator: Generator) -> Tensor:
    """Actions of which each is as likely: long ``[count]`` if discrete, else float ``[count, dims]`` in -1..1."""
    match actions:
        case Discrete(choices):
            return torch.randint(0, choices, (count,), generator=generator)
        case Continuous(dims):
            return torch.rand((count, dims), generator=generator) * 2 - 1
