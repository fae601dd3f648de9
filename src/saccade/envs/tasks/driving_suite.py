"""Driving as data: the task, its modes and its options. Loads no simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Literal, final

from saccade.envs.checks import check_count, check_kind, check_name
from saccade.envs.distractions import Modes
from saccade.envs.distractions.weather import OtherWeather
from saccade.envs.mujoco.looks import rgb_spaces
from saccade.envs.oracle import OFF, Oracle, check_oracle
from saccade.envs.tasks.driving.looks import DAY, LOOKS
from saccade.envs.tasks.driving.rewards import REWARDS
from saccade.types import Continuous, Discrete, Spaces

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

MODES: Modes = MappingProxyType(
    {"train": (), **{name: (OtherWeather(name, "daylight"),) for name in LOOKS if name != DAY}}
)
"""By day, as in training; towards a low sun; in fog, which hides what is far; and at night, with lamps on."""
EVALUATED_IN = tuple(MODES)
DRIVING_TASKS = ("driving/highway",)
IMAGE_SIZE = 128  # DIGR's
EPISODE_CONTROL_STEPS = 1000  # 50 s, as in a rollout of DIGR's teacher
CONTROLS = ("discrete", "continuous")
NUM_DISCRETE = 9
MOST_VEHICLES, MOST_LANES = 60, 8


@final
@dataclass(frozen=True)
class DrivingOptions:
    """How a highway is driven."""

    controls: Literal["discrete", "continuous"] = "discrete"
    """Nine actions, three pedal positions times three ways to steer; or two numbers, steering (left is 1) and pedal."""
    driving_reward: Literal["bisimulation", "gym_carla", "highway_env"] = "bisimulation"
    """Whose reward to use: deep bisimulation's for its CARLA highway, gym-carla's or highway-env's."""
    vehicles: int = 20
    """How many other cars there are."""
    lanes: int = 4
    """How many lanes the road has."""
    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA, and without it colours and videos are generated."""
    oracle_mask: Oracle = OFF
    """Show the agent only the pixels inside the simulator's own mask, and black elsewhere: an upper bound."""

    def __post_init__(self) -> None:
        check_name("controls", self.controls, CONTROLS)
        check_name("driving_reward", self.driving_reward, REWARDS)
        check_count("vehicles", self.vehicles, MOST_VEHICLES)
        check_count("lanes", self.lanes, MOST_LANES)
        check_kind("data", self.data, str, Path, NoneType)
        check_oracle(self.oracle_mask)


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    discrete = config.options.controls == "discrete"
    return rgb_spaces(config, Discrete(NUM_DISCRETE) if discrete else Continuous(2))
