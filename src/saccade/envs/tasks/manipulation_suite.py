"""The robot tasks as data: the tasks and their published modes. Loads no simulator."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, final

from saccade.envs.checks import check_kind, check_name
from saccade.envs.distractions import Modes
from saccade.envs.distractions.surroundings import Surroundings
from saccade.envs.mujoco.looks import check_looks, rgb_spaces
from saccade.envs.oracle import OFF, Oracle, check_oracle
from saccade.types import Continuous, Spaces, UserError

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
"""The robot tasks (Jangir et al., 2022), as played in SGQN (Bertoin et al., 2022)."""

REACH = "manipulation/reach"  # the task with a bonus
ACTION_SPACES = ("xy", "xyz")
EPISODE_CONTROL_STEPS = 50


@final
@dataclass(frozen=True)
class RobotOptions:
    """How a robot task is played and shown."""

    render_quality: Literal["full", "fast"] = "full"
    """fast: several times cheaper software rendering; never compare it with results of full."""
    camera: str | None = None
    """Name or number of the camera; by default the task's own."""
    action_space: Literal["xy", "xyz"] = "xy"
    """For the robot: whether the gripper keeps its height."""
    reach_bonus: bool = True
    """For the robot's reach: reward 1 for a step at the goal, as in the papers' tables; else as first published."""
    clip_order: Literal["seed", "sequential"] = "seed"
    """Which video an episode gets in the video modes: by its seed, or one after the other as published."""
    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA, and without it colours and videos are generated."""
    oracle_mask: Oracle = OFF
    """Show the agent only the pixels inside the simulator's own mask, and black elsewhere: an upper bound."""

    def __post_init__(self) -> None:
        check_looks(self.render_quality, self.camera, self.clip_order, self.data)
        check_oracle(self.oracle_mask)
        check_name("action_space", self.action_space, ACTION_SPACES)
        check_kind("reach_bonus", self.reach_bonus, bool)


def check_bonus(config: EnvConfig) -> None:
    """Raise UserError if a task that has no bonus is to be played without it."""
    if not config.options.reach_bonus and config.task != REACH:
        raise UserError(f"reach_bonus=False is for {REACH} alone; leave it out for {config.task}")


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    return rgb_spaces(config, Continuous(len(config.options.action_space)))
