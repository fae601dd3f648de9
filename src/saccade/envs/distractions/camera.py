"""A moving camera: it starts elsewhere in each episode, moves and rolls, and keeps looking at the same point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from saccade.envs.distractions import any_seed
from saccade.envs.distractions.rotations import about_x, about_z
from saccade.envs.distractions.walks import NEVER, Walk, changes

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.moving import View
    from saccade.envs.mujoco.scene import Scene

CAMERA = "camera"  # the name of this motion among those of a scene
STREAM = 21  # so that the same choice gives a walk unrelated to other draws

# Source: the published code; each is multiplied by the intensity.
ANGLE_REACH = math.pi / 2  # of azimuth, polar angle and roll to either side
ZOOM_IN, ZOOM_OUT = 0.5, 1.5  # fractions of the distance
SPEED_STD, MAX_SPEED = 0.1, 0.4
ROLL_STD, MAX_ROLL_SPEED = math.pi / 300, math.pi / 50
USUAL_DISTANCE = 4.0  # metres: the distance for which the speeds here hold

LEVEL = 1e-6  # tolerance for rounding of an axis' height or an angle


@final
@dataclass(frozen=True)
class CameraWalk:
    """Moves the camera around the agent.

    Source: Stone et al., 2021, ``camera.py`` of the variant in the DMControl Generalization Benchmark.

    Attributes:
        intensity: how far the camera moves, 0..1.
        period: control steps from one change to the next; 0 for a pose that stays fixed during an episode.
    """

    intensity: float
    period: int

    def check(self, folder: DataFolder) -> None:
        """Check nothing: walks are drawn."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> WalkingCamera:
        """Open nothing: no data is needed."""
        return WalkingCamera(self.intensity, self.period)


@final
@dataclass(frozen=True)
class WalkingCamera:
    """``CameraWalk`` with its data loaded; an episode's choice is the seed of its walk."""

    intensity: float
    period: int

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Start the camera's motion. Raises UserError for a camera that cannot be moved."""
        moving = scene.moving
        random, first = np.random.default_rng([STREAM, choice]), moving.view()
        walk = Walk(camera_walk(random, first.offset, self.intensity, looks_down(first), self.period != NEVER))

        def motion(control_steps: int, agent_steps: int) -> None:
            moving.place_camera(*pose(moving.view(), walk[changes(control_steps, self.period)]))

        moving.move(CAMERA, motion)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """How far the camera goes, and how often it changes."""
        return {"camera_intensity": self.intensity, "camera_period": self.period}


@final
class Place(NamedTuple):
    """A position during the motion: metres from the camera's reference, and radians about its own axis."""

    offset: np.ndarray
    roll: float


def camera_walk(
    random: np.random.Generator, offset: np.ndarray, intensity: float, down: bool, moves: bool
) -> Iterator[Place]:
    """Yield the place after each change, endlessly; the first change is applied as the episode begins.

    Args:
        offset: the camera's place without distraction, ``[3]``.
        down: whether it looks straight down there; all others stay in the upper front half.
        moves: whether the camera has any speed.
    """
    turn = 0.0 if down else _turn(offset)
    distance, azimuth, polar = spherical(about_z(-turn) @ offset)
    reach = ANGLE_REACH * intensity
    low = np.array([distance * (1 - ZOOM_IN * intensity), azimuth - reach, polar - reach])
    high = np.array([distance * (1 + ZOOM_OUT * intensity), azimuth + reach, polar + reach])
    if not down:
        low[1:], high[1:] = np.maximum(low[1:], (-math.pi, 0)), np.minimum(high[1:], (0, math.pi / 2))
    scale = distance / USUAL_DISTANCE
    place, roll = cartesian(random.uniform(low, high)), random.uniform(-reach, reach)
    speed = _direction(random) * random.uniform(0, MAX_SPEED * intensity) * moves
    roll_speed = random.uniform(-MAX_ROLL_SPEED, MAX_ROLL_SPEED) * intensity * moves
    while True:
        speed = speed + random.normal(0, SPEED_STD * intensity * moves, 3) * scale
        length = float(np.linalg.norm(speed))
        speed *= min(1.0, MAX_SPEED * intensity * scale / length) if length else 0.0
        roll_speed += random.normal(0, ROLL_STD * intensity * moves)
        roll_speed = min(max(roll_speed, -MAX_ROLL_SPEED * intensity), MAX_ROLL_SPEED * intensity)
        after = cartesian(spherical(place + speed).clip(low, high))
        speed, place = after - place, after  # a bound removes the component of the speed that it stops
        rolled = min(max(roll + roll_speed, -reach), reach)
        roll_speed, roll = rolled - roll, rolled
        yield Place(about_z(turn) @ place, roll)


def pose(view: View, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Return position ``[3]`` and axes ``[3, 3]``, as columns, of the camera at a place of its motion.

    It looks at the point that it would look at unmoved, as far away as the agent.
    """
    target = view.position - view.axes[:, 2] * view.agent_distance
    position = view.reference + place.offset
    towards = target - position
    axes = _turned_down(towards) if looks_down(view) else _upright(towards)
    return position, axes @ about_z(place.roll)


def looks_down(view: View) -> bool:
    """Whether an unmoved camera looks straight down."""
    return bool(view.axes[2, 2] > 1 - LEVEL)


def spherical(place: np.ndarray) -> np.ndarray:
    """Return distance, azimuth ``h`` and polar angle ``v``: ``x = r sin v cos h, y = r sin v sin h, z = r cos v``."""
    x, y, z = place
    return np.array([math.sqrt(x * x + y * y + z * z), math.atan2(y, x), math.atan2(math.hypot(x, y), z)])


def cartesian(place: np.ndarray) -> np.ndarray:
    """Invert ``spherical``."""
    distance, azimuth, polar = place
    across = distance * math.sin(polar)
    return np.array([across * math.cos(azimuth), across * math.sin(azimuth), distance * math.cos(polar)])


def _turn(offset: np.ndarray) -> float:
    """The angle by which the world is turned so that the front half lies in front of a camera that is elsewhere."""
    # Deviation: the published front half is that of -y, where the cameras of its six domains are. For other domains
    # (humanoid, quadruped, ...) it is on the side of the camera's own place.
    azimuth = math.atan2(offset[1], offset[0])
    return 0.0 if -math.pi + LEVEL < azimuth < -LEVEL else azimuth + math.pi / 2


def _upright(towards: np.ndarray) -> np.ndarray:
    """The axes of a camera that looks along ``towards`` and is not tilted."""
    x, y, z = towards
    return about_z(-math.atan2(x, y)) @ about_x(math.atan2(z, math.hypot(x, y)) + math.pi / 2)


def _turned_down(towards: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes a camera from looking straight down to looking along ``towards``."""
    x, y, z = towards / np.linalg.norm(towards)
    cross = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])  # multiplies by (y, -x, 0), which is (0, 0, -1) x (x, y, z)
    return np.eye(3) + cross + cross @ cross / (1 - z)


def _direction(random: np.random.Generator) -> np.ndarray:
    drawn = random.normal(size=3)
    return np.asarray(drawn / np.linalg.norm(drawn))
