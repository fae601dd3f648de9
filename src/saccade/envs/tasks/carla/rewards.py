"""Rewards of a control step in CARLA by name, each as its source states it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final


@final
@dataclass(frozen=True)
class Ticked:
    """A control step: metres a second along the lane, metres from its middle, the impulse of collisions (N s)."""

    speed: float
    off_centre: float
    collided: bool
    impulse: float
    steer: float
    brake: float
    seconds: float


def bisimulation(tick: Ticked) -> float:
    """v dt / (1 + d) - 1 at a collision - 0.1 brake - 0.1 |steer| (Zhang et al., 2021, CARLA 0.9.8)."""
    metres = tick.speed * tick.seconds / (1 + tick.off_centre)
    return metres - float(tick.collided) - 0.1 * tick.brake - 0.1 * abs(tick.steer)


def impulse(tick: Ticked) -> float:
    """v dt - 0.0001 impulse - |steer| (Zhang et al., 2021; Yuan et al., 2023)."""
    return tick.speed * tick.seconds - 1e-4 * tick.impulse - abs(tick.steer)


def centre(tick: Ticked) -> float:
    """-100 d - 100 at a collision (SGQN's code)."""
    return -100 * tick.off_centre - 100 * float(tick.collided)


CARLA_REWARDS: Mapping[str, Callable[[Ticked], float]] = MappingProxyType(
    {"bisimulation": bisimulation, "impulse": impulse, "centre": centre}
)
"""Every rule by name."""
