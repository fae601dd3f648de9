"""Rewards of a control step in CARLA by name, each as its source states it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from saccade.envs.tasks.driving.rewards import Driven, bisimulation


def impulse(driven: Driven) -> float:
    """v dt - 0.0001 impulse - |steer| (Zhang et al., 2021; Yuan et al., 2023)."""
    return driven.speed * driven.seconds - 1e-4 * driven.impulse - abs(driven.steer)


def centre(driven: Driven) -> float:
    """-100 d - 100 at a collision (SGQN's code)."""
    return -100 * driven.off_centre - 100 * float(driven.crashed)


CARLA_REWARDS: Mapping[str, Callable[[Driven], float]] = MappingProxyType(
    {"bisimulation": bisimulation, "impulse": impulse, "centre": centre}
)
"""Every rule by name."""
