"""How papers set up CARLA's highway, as numbers: camera, cars, reward, end and weather. Loads no simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, final

Controls = Literal["discrete", "steer_pedal", "pedal_steer"]


class Weather(NamedTuple):
    """Weather in percent, and the sun's altitude in degrees; named as in ``carla.WeatherParameters``."""

    cloudiness: float
    precipitation: float
    precipitation_deposits: float
    wind_intensity: float
    fog_density: float
    wetness: float
    sun_altitude_angle: float


CLEAR = Weather(0, 0, 0, 0, 0, 0, 45)

WEATHERS: Mapping[str, Weather] = MappingProxyType(
    {
        "hard_high_light": Weather(0, 0, 0, 0, 0, 0, 90),
        "soft_high_light": Weather(20, 0, 0, 0, 20, 0, 10),
        "soft_low_light": Weather(50, 0, 0, 0, 30, 0, 5),
        "hard_low_light": Weather(100, 0, 0, 0, 100, 0, -90),
        "soft_noisy_low_light": Weather(80, 50, 50, 0, 30, 0, 20),
        "hard_noisy_low_light": Weather(100, 100, 100, 100, 100, 0, -90),
    }
)
"""RL-ViGen's weathers (Yuan et al., 2023)."""


@final
@dataclass(frozen=True)
class Setting:
    """One paper's setting. Lengths are metres, angles degrees.

    Attributes:
        town: the map.
        field_of_view: of the camera.
        camera: its place: forwards, up, and its pitch.
        sees_ego: whether the car is in its own picture.
        controls: nine actions; steering and pedal; or pedal and steering.
        cars: how many others there are, and how many of them are near.
        slower: by how many percent the others stay below the speed limit.
        reward: the name of its rule in ``carla.rewards``.
        collisions: consecutive control steps with a collision that end an episode.
        off_road, stuck: whether leaving the road, or standing still, ends it.
        drifts: whether the weather of ``train`` changes from episode to episode.
    """

    town: str
    field_of_view: float
    camera: tuple[float, float, float]
    sees_ego: bool
    controls: Controls
    cars: tuple[int, int]
    slower: float
    reward: str
    collisions: int
    off_road: bool
    stuck: bool
    drifts: bool


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        # Source: Xing et al., 2022: 128 pixels, 0.05 s, the car in the picture. Assumed: the rest, after Zhang et al.,
        # 2021, and gym-carla's nine actions.
        "digr": Setting(
            town="Town04", field_of_view=90, camera=(-5.5, 2.8, -15), sees_ego=True,
            controls="discrete", cars=(20, 8), slower=30, reward="bisimulation", collisions=1, off_road=False,
            stuck=False, drifts=False,
        ),
        # Source: Yuan et al., 2023 (CARLA 0.9.10): 84 pixels, two control steps per action.
        "rlvigen": Setting(
            town="Town04", field_of_view=60, camera=(1.6, 1.7, 0), sees_ego=False,
            controls="steer_pedal", cars=(40, 8), slower=30, reward="impulse", collisions=20, off_road=True,
            stuck=True, drifts=False,
        ),
        # Source: SGQN's CARLA code (0.9.14): 84 pixels. Assumed: the town, and how far the weather drifts.
        "sgqn": Setting(
            town="Town04", field_of_view=84, camera=(1.6, 1.7, 0), sees_ego=False,
            controls="pedal_steer", cars=(20, 0), slower=0, reward="centre", collisions=1, off_road=False,
            stuck=False, drifts=True,
        ),
    }
)  # fmt: skip
"""Every setting by name."""
