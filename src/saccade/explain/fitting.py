"""Convert an environment's observations to the layout that a policy takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from saccade.policies.pixels import PICTURES_NEEDED, Pixels
from saccade.types import UserError

Arrange = Callable[[np.ndarray], np.ndarray]


def fitting(space: gymnasium.Space[Any], pixels: Pixels, task: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that converts the environment's observations ``[*shape]`` to the policy's layout.

    It always copies, since an environment may write its next observation into the same memory, or return a reversed
    view (negative strides). Their range must be the policy's too, or it would see nothing that it was trained on.

    Stable-Baselines3 moves channels to the front by itself while it trains, and Gymnasium stacks frames on an axis of
    their own; nothing else is changed here.

    Raises:
        UserError: the environment's pictures and the policy's are different.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) not in (2, 3, 4):
        box = isinstance(space, gymnasium.spaces.Box)
        kind = f"shape {space.shape}" if box else f"kind {type(space).__name__}"
        raise UserError(
            f"{task} gives observations of {kind}, but the policy sees {pixels.description()}. {PICTURES_NEEDED}"
        )
    floats = space.dtype.kind == np.dtype(pixels.dtype).kind == "f"
    other_range = pixels.normalised is None and float(np.max(space.high)) != pixels.high
    if other_range or not (floats or str(space.dtype) == pixels.dtype):
        raise UserError(
            f"{task} gives {space.dtype} in 0..{float(np.max(space.high)):g}, but the policy takes {pixels.dtype} in "
            f"0..{pixels.high:g}: make the environment as in training, as --task file.py:function."
        )
    for arrange in ARRANGED:
        if arrange(np.empty(space.shape, np.bool_)).shape == pixels.shape:
            return partial(_arranged, arrange)
    raise UserError(
        f"{task} gives observations of shape {space.shape}, but the policy takes {pixels.shape}: make the environment "
        "as in training, with its frame stack and size, as --task file.py:function."
    )


def _arranged(arrange: Arrange, obs: Any) -> np.ndarray:
    return np.array(arrange(np.asarray(obs)), order="C")


def _as_it_is(obs: np.ndarray) -> np.ndarray:
    return obs


def _channels_to_the_front(obs: np.ndarray) -> np.ndarray:
    return np.moveaxis(obs, -1, 0) if obs.ndim == 3 else obs


def _channel_added(obs: np.ndarray) -> np.ndarray:
    return obs[None]


def _stack_of_channels_last(obs: np.ndarray) -> np.ndarray:
    """``[frame, height, width, channel]`` -> ``[frame * channel, height, width]``, from Gymnasium's stack."""
    return np.moveaxis(obs, -1, 1).reshape(-1, *obs.shape[1:3]) if obs.ndim == 4 else obs


def _stack_of_channels_first(obs: np.ndarray) -> np.ndarray:
    return obs.reshape(-1, *obs.shape[2:]) if obs.ndim == 4 else obs


def _stack_of_channels_to_the_back(obs: np.ndarray) -> np.ndarray:
    """``[frame, height, width, channel]`` -> ``[height, width, frame * channel]``, Stable-Baselines3's stack."""
    return np.moveaxis(_stack_of_channels_last(obs), 0, -1) if obs.ndim == 4 else obs


ARRANGED: tuple[Arrange, ...] = (
    _as_it_is,
    _channels_to_the_front,
    _channel_added,
    _stack_of_channels_last,
    _stack_of_channels_first,
    _stack_of_channels_to_the_back,
)
"""The ways in which the same frames may be laid out in an environment's observations and in a policy's."""
