"""The glossary in code: what flows between the rooms of the house, with shapes, units and ranges.

Importing this module costs nothing: torch is only named for the type checker, so that
environment workers, which never compute with tensors, do not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    Score = Callable[[Tensor], Tensor]
    """obs ``[batch, channel, height, width]`` -> one number per sample ``[batch]``."""

    Saliency = Callable[[Score, Tensor], Tensor]
    """(score, obs) -> real-valued map of the same shape as obs, before any reduction."""


class UserError(ValueError):
    """Something a person gave or asked for is wrong: one sentence that says what, and what to do.

    The command line prints the sentence alone and exits with code 2.
    """


class Batch(NamedTuple):
    """Transitions, and every random number that an update of them uses.

    ``discount`` is 0 only where an episode truly ended; an episode that ran out of time has 1.
    ``drawn`` is filled by ``Agent.prepare``: noise, augmented observations and the like, each under
    the name that the losses read it by. So a loss is a pure function and draws nothing itself.
    """

    obs: Tensor  # [batch, frames * 3, height, width], 0..255
    action: Tensor  # [batch, action_dim], -1..1
    reward: Tensor  # [batch]
    discount: Tensor  # [batch], 0 or 1
    next_obs: Tensor  # [batch, frames * 3, height, width], 0..255
    drawn: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Spaces:
    """What an agent must know of its environment."""

    obs_shape: tuple[int, int, int]  # (frames * 3, height, width), as the environment gives it
    action_dim: int
