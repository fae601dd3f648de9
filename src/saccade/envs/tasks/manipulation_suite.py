"""The robot tasks as data: what there is and the modes it is published with. Loads no simulator."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from saccade.envs.distractions import Modes
from saccade.envs.distractions.surroundings import Surroundings
from saccade.envs.mujoco.looks import rgb_spaces
from saccade.types import Continuous, Spaces

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

MANIPULATION_MODES: Modes = MappingProxyType(
    {
        "train": (),
        "test1": (Surroundings("test1"),),
        "test2": (Surroundings("test2"),),
        "test3": (Surroundings("test3"),),
        "test4": (Surroundings("test4"),),
        "test5": (Surroundings("test5"),),
    }
)
"""The modes of the robot tasks: the scene as in training, and its five variants (Bertoin et al., 2022)."""

NAMES = ("reach", "peg_in_box")
MANIPULATION_TASKS = tuple(f"manipulation/{name}" for name in NAMES)
"""The robot tasks (Jangir et al., 2022), as SGQN (Bertoin et al., 2022) plays them."""

EPISODE_CONTROL_STEPS = 50


def spaces_of(config: EnvConfig) -> Spaces:
    """What its environments show and take."""
    return rgb_spaces(config, Continuous(len(config.action_space)))
