"""Read a policy's picture layout and kind of actions from Gymnasium's spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from saccade.policies.normalisation import Normalisation
from saccade.policies.pixels import Layout, Pixels, pixels_of
from saccade.types import UserError

ToEnv = Callable[[np.ndarray], np.ndarray]
"""Converts deterministic actions of a network to actions as the environment takes them."""


def pixels_of_space(
    space: gymnasium.Space[Any],
    *,
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
) -> Pixels:
    """Return what an observation space says about pictures. Raises UserError unless it is one Box of pixels."""
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(
            f"The observations are in a {type(space).__name__} space; only policies that see one Box of pixels can be "
            "explained."
        )
    return pixels_of(
        space.shape,
        str(space.dtype),
        space.low,
        space.high,
        layout=layout,
        colours=colours,
        normalised=normalised,
    )


def is_discrete(space: gymnasium.Space[Any]) -> bool:
    """Return whether actions are whole numbers, not vectors. Raises UserError for a space that is neither."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return True
    if isinstance(space, gymnasium.spaces.Box):
        return False
    raise UserError(
        f"The actions are in a {type(space).__name__} space; only policies with one Discrete or one Box action space "
        "can be explained."
    )


def action_width(space: gymnasium.Space[Any]) -> int:
    """Return the number of actions of a Discrete space, or of dimensions of a Box."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n)
    assert space.shape is not None
    return int(np.prod(space.shape))


def within(space: gymnasium.Space[Any]) -> ToEnv:
    """Return a function that fits actions ``[batch, action_dim]`` to a Box, or shifts a Discrete's to its start."""
    if isinstance(space, gymnasium.spaces.Discrete) and space.start != 0:  # networks number their outputs from 0
        first = int(space.start)
        return lambda action: action + first
    if not isinstance(space, gymnasium.spaces.Box):
        return lambda action: action
    low, high, shape = space.low, space.high, space.shape
    return lambda action: np.clip(action.reshape(-1, *shape), low, high)
