"""Observations and actions of an environment, converted from Saccade's types to Gymnasium's spaces."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from saccade.types import Continuous, Spaces


def gymnasium_spaces(spaces: Spaces) -> tuple[gymnasium.spaces.Box, gymnasium.Space[Any]]:
    """Return spaces: uint8 ``[frames * colours, height, width]``, and actions, float32 in -1..1 or a number from 0."""
    observations = gymnasium.spaces.Box(0, 255, spaces.obs_shape, np.uint8)
    if isinstance(spaces.actions, Continuous):
        return observations, gymnasium.spaces.Box(-1.0, 1.0, spaces.actions.shape, np.float32)
    return observations, gymnasium.spaces.Discrete(spaces.actions.count)
