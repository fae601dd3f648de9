"""Turned cameras: the agent appears tilted or near an edge of the picture (the geometric modes of DMC-GB2).

Source: DMC-GB2 (Almuzairee, Hansen, Christensen, 2024) and its code. The simulator renders what the turned camera sees:
nothing is interpolated, and sky and floor fill the corners.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from saccade.envs.distractions.rotations import about_x, about_y, about_z

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

Difficulty = Literal["easy", "hard"]

NUM_ENTRIES = 100  # rotations, and shifts
CORNERS = 4
ROTATION_DEGREES: Mapping[Difficulty, float] = MappingProxyType({"easy": 90.0, "hard": 180.0})
SHARE: Mapping[Difficulty, float] = MappingProxyType({"easy": 1 / 1.5, "hard": 1.0})  # of the largest shift


@final
@dataclass(frozen=True)
class ShiftLimits:
    """How far the camera may be turned away from the agent, in degrees.

    Attributes:
        sideways: to either side; a positive angle moves the agent to the right.
        up, down: by how much the agent moves up and down in the picture.
    """

    sideways: float
    up: float
    down: float


PUBLISHED_LIMITS: Mapping[str, ShiftLimits] = MappingProxyType(
    {
        "planar walker": ShiftLimits(10, 10, 10),
        "cheetah": ShiftLimits(10, 10, 10),
        "cart-pole": ShiftLimits(8, 10, 10),
        "finger": ShiftLimits(6, 6, 12),
        "ball in cup": ShiftLimits(6, 6, 12),
    }
)
"""A model's name -> the limits of the hard modes, as the published code has them (the easy ones: two thirds)."""
# Deviation: the published code has five domains. Others get walker's limits, which are not published for them.
OTHER_LIMITS = PUBLISHED_LIMITS["planar walker"]


@final
@dataclass(frozen=True)
class TurnedCamera:
    """Turns the camera around its viewing axis, or away from the agent, or both; fixed during an episode.

    Attributes:
        rotate: easy, up to a quarter turn either way, or hard, up to half a turn; None for no rotation.
        shift: easy or hard, as in ``PUBLISHED_LIMITS``; None for no shift.
        paired: with both, whether a rotation always comes with the same shift, so that there are 100 views. The
            published code shuffles two lists of 100 with the same seed, which has this effect. Otherwise they are
            independent.
    """

    rotate: Difficulty | None = None
    shift: Difficulty | None = None
    paired: bool = True

    def check(self, folder: DataFolder) -> None:
        """Check nothing: views are computed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> CameraViews:
        """Open nothing: no data is needed."""
        return CameraViews(self.rotate, self.shift, self.paired, in_order=clip_order == "sequential")


@final
@dataclass(frozen=True)
class CameraViews:
    """``TurnedCamera`` with its data loaded; an episode's choice is a position in the order of the views."""

    rotate: Difficulty | None
    shift: Difficulty | None
    paired: bool
    in_order: bool

    @property
    def num_views(self) -> int:
        """The number of views."""
        return NUM_ENTRIES if self.paired or None in (self.rotate, self.shift) else NUM_ENTRIES**2

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random view; with ``in_order`` the next one, so that 100 episodes show 100 views."""
        return (previous + 1) % self.num_views if self.in_order else int(random.integers(self.num_views))

    def paint(self, scene: Scene, choice: int) -> None:
        """Turn the camera."""
        camera = scene.own_camera
        camera.turn(self.rotation(choice, PUBLISHED_LIMITS.get(camera.model_name, OTHER_LIMITS)))

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """How many views there are."""
        return {"num_views": self.num_views}

    def rotation(self, choice: int, limits: ShiftLimits) -> np.ndarray:
        """Return the rotation of the camera in its own axes, float64 ``[3, 3]``: first the shift, then the rotation.

        Positions are counted from 1, which is the first episode's.
        """
        entry = int(order(self.num_views)[(choice - 1) % self.num_views])
        of_rotation, of_shift = divmod(entry, NUM_ENTRIES) if self.num_views > NUM_ENTRIES else (entry, entry)
        turned = np.eye(3)
        if self.shift is not None:
            sideways, down = shift_degrees(of_shift, limits, self.shift)
            turned = turned @ about_y(math.radians(sideways)) @ about_x(math.radians(down))
        if self.rotate is not None:
            turned = turned @ about_z(math.radians(rotation_degrees(of_rotation, self.rotate)))
        return turned


def order(count: int) -> np.ndarray:
    """Return the order in which views are shown if they come one after the other: int ``[count]``.

    The published code shuffles them by the seed of the run, and goes through them.
    """
    # Deviation: always seed 0's order, so that runs of all seeds see the same views, if with fewer than 100 episodes.
    return np.random.RandomState(0).permutation(count)


def rotation_degrees(entry: int, difficulty: Difficulty) -> float:
    """Return the angle of the rotation with this number, 0..99: 100 equal steps from one end, excluding the other."""
    end = ROTATION_DEGREES[difficulty]
    return entry * 2 * end / NUM_ENTRIES - end


def shift_degrees(entry: int, limits: ShiftLimits, difficulty: Difficulty) -> tuple[float, float]:
    """Return the angles sideways and down of the shift with this number, 0..99.

    They lie on the border of a rectangle, 25 on each side, from its top left all around. None is
    inside it, so no episode of these modes looks as in training.
    """
    share = SHARE[difficulty]
    left, right, top, bottom = -limits.sideways, limits.sideways, -limits.up, limits.down
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) * share
    side, along = divmod(entry, NUM_ENTRIES // CORNERS)
    first, second = corners[side], corners[(side + 1) % CORNERS]
    sideways, down = first + (second - first) * along / (NUM_ENTRIES // CORNERS)
    return float(sideways), float(down)
