"""The ways in which a MuJoCo task may be shown. Loads no simulator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any

from saccade.envs.checks import check_kind, check_name
from saccade.types import Continuous, Discrete, Spaces

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

RENDER_QUALITIES = ("full", "fast")
CLIP_ORDERS = ("seed", "sequential")
FAST: Mapping[str, Any] = MappingProxyType({"render_quality": "fast"})
FIRST_CAMERA = "0"  # of a robot task, which has no other, and of runs before there was a choice
COLOURS = 3


def check_looks(render_quality: str, camera: str | None, clip_order: str, data: str | None) -> None:
    """Raise UserError for a value that no MuJoCo task can have."""
    check_name("render_quality", render_quality, RENDER_QUALITIES)
    check_kind("camera", camera, str, NoneType)
    check_name("clip_order", clip_order, CLIP_ORDERS)
    check_kind("data", data, str, Path, NoneType)


def rgb_spaces(config: EnvConfig, actions: Continuous | Discrete) -> Spaces:
    """Return the spaces of an environment with square RGB pictures of the configuration's size."""
    size = config.image_size
    return Spaces((config.frame_stack * COLOURS, size, size), actions, COLOURS)
