"""How a MuJoCo task may be looked at. Loads no simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saccade.types import Continuous, Spaces

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

FIRST_CAMERA = "0"  # of a robot task, which has no other, and of runs before there was a choice
COLOURS = 3


def rgb_spaces(config: EnvConfig, actions: Continuous) -> Spaces:
    """Of an environment with square RGB pictures of the configuration's size."""
    size = config.image_size
    return Spaces((config.frame_stack * COLOURS, size, size), actions, COLOURS)
