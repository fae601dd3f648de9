"""CARLA as data: the task, its weathers and its options. Loads no client."""

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
from saccade.envs.tasks.carla.settings import SETTINGS, WEATHERS
from saccade.types import Continuous, Discrete, Spaces, UserError

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

MODES: Modes = MappingProxyType({"train": (), **{name: (OtherWeather(name),) for name in WEATHERS}})
"""The setting's own weather, and RL-ViGen's six others."""
CARLA_TASKS = ("carla/highway",)
IMAGE_SIZE = 128
EPISODE_CONTROL_STEPS = 1000
NUM_DISCRETE = 9
LAST_PORT = 65535


@final
@dataclass(frozen=True)
class CarlaOptions:
    """Which paper's highway to use, and where the server listens."""

    carla_setting: Literal["digr", "rlvigen", "sgqn"] = "digr"
    """Whose camera, cars, reward, actions and weather to use; rlvigen and sgqn are published with --image-size 84,
    and rlvigen with --action-repeat 2."""
    carla_host: str = "localhost"
    """Host on which the CARLA server runs."""
    carla_port: int = 2000
    """Port on which the CARLA server listens."""
    traffic_port: int = 8000
    """Port on which CARLA's traffic manager listens; a different one for each server."""
    carla_timeout: float = 20.0
    """Seconds within which the CARLA server must answer."""
    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA, and without it colours and videos are generated."""
    oracle_mask: Oracle = OFF
    """Show the agent only the pixels inside the simulator's own mask, and black elsewhere: an upper bound."""

    def __post_init__(self) -> None:
        check_name("carla_setting", self.carla_setting, SETTINGS)
        check_kind("carla_host", self.carla_host, str)
        check_count("carla_port", self.carla_port, LAST_PORT)
        check_count("traffic_port", self.traffic_port, LAST_PORT)
        check_kind("carla_timeout", self.carla_timeout, int, float)
        if isinstance(self.carla_timeout, bool) or not 0 < self.carla_timeout < float("inf"):
            raise UserError(f"carla_timeout is {self.carla_timeout}, but must be a number of seconds above 0")
        check_kind("data", self.data, str, Path, NoneType)
        check_oracle(self.oracle_mask)


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    discrete = SETTINGS[config.options.carla_setting].controls == "discrete"
    return rgb_spaces(config, Discrete(NUM_DISCRETE) if discrete else Continuous(2))
