"""Rewards of driving by name, each as its source states it. DIGR's paper states none (Xing et al., 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final


@final
@dataclass(frozen=True)
class Driven:
    """One control step, as rewards use it.

    Attributes:
        speed: along the lane, metres per second.
        off_centre: metres from the middle of the nearest lane.
        crashed: whether the car has hit a car or what stands beside the road.
        steer: -1 (right) to 1 (left).
        brake: 0..1.
        seconds: the step's duration.
        lane: for highway-env: the number of its lane, 0 the leftmost, as a fraction of the rightmost.
        impulse: for CARLA: the impulse of its collisions, in N s.
    """

    speed: float
    off_centre: float
    crashed: bool
    steer: float
    brake: float
    seconds: float
    lane: float = 0.0
    impulse: float = 0.0


DESIRED_SPEED = 25.0  # metres per second, above which `gym_carla` penalises; other traffic drives at 23 to 25
FAST_FROM, FAST_TO = 20.0, 30.0  # highway-env's reward_speed_range


def bisimulation(driven: Driven) -> float:
    """v dt / (1 + d) - 1 at a collision - 0.1 brake - 0.1 |steer|.

    Source: Zhang et al., 2021 (deep_bisim4control, CARLA 0.9.8).
    """
    metres = driven.speed * driven.seconds / (1 + driven.off_centre)
    return metres - float(driven.crashed) - 0.1 * driven.brake - 0.1 * abs(driven.steer)


def gym_carla(driven: Driven) -> float:
    """v - 10 above 25 m/s - 1 off the lane - 5 steer² - 0.2 |steer| v² - 0.1.

    Source: Xing et al., 2021 (LUSR's gym-carla).
    """
    sideways = 0.2 * abs(driven.steer) * driven.speed**2
    too_fast, off_lane = driven.speed > DESIRED_SPEED, driven.off_centre > 2.0
    punished = 10 * float(too_fast) + float(off_lane) + 5 * driven.steer**2 + sideways + 0.1
    return driven.speed - punished


def highway_env(driven: Driven) -> float:
    """(0.4 speed in 20..30 m/s + 0.1 right lane - 1 at a collision + 1) / 1.5, which maps -1..0.5 to 0..1.

    Source: highway-env (Leurent, 2018).
    """
    fast = min(max((driven.speed - FAST_FROM) / (FAST_TO - FAST_FROM), 0.0), 1.0)
    return (0.4 * fast + 0.1 * driven.lane - float(driven.crashed) + 1.0) / 1.5


REWARDS: Mapping[str, Callable[[Driven], float]] = MappingProxyType(
    {"bisimulation": bisimulation, "gym_carla": gym_carla, "highway_env": highway_env}
)
"""Every reward by name."""
