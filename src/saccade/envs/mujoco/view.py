"""Camera pose, lamp position and brightness of a scene: dials, each from 0 to 1.

A camera orbits the point that it looks at: on its line of sight, as far away as the task is in the model's own
pose. That distance is fixed, so that a picture depends only on the current state and the strengths.
"""

from __future__ import annotations

import math
from typing import final

import mujoco
import numpy as np

LEAST_LIGHT = 0.2  # of the lamps' own, at light_intensity 1
ORANGE = (1.0, 0.55, 0.2)  # remaining red, green and blue at light_colour 1
FULL_DEGREES = {"light_direction": 50.0, "camera_yaw": 30.0, "camera_pitch": 20.0, "camera_roll": 30.0}
FARTHEST = 2.0  # times the distance at camera_distance 1
LEVEL_ENOUGH = 0.1  # horizontal part of a line of sight below which it counts as vertical
LAMP_COLOURS = ("light_ambient", "light_diffuse", "light_specular")
HEADLIGHT_COLOURS = ("ambient", "diffuse", "specular")


@final
class View:
    """The dials of one camera's view of a model.

    Args:
        camera: its number.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> None:
        self._model, self._data, self._camera = model, data, camera
        self._strengths: dict[str, float] = {}
        self._own = {name: np.array(getattr(model, name)) for name in LAMP_COLOURS}
        self._headlight = {name: np.array(getattr(model.vis.headlight, name)) for name in HEADLIGHT_COLOURS}
        self.distance, self._tilted_about = _looking(model, camera)

    def turn(self, name: str, strength: float) -> None:
        """Set a dial to a strength, 0..1, until it is set again."""
        self._strengths[name] = strength
        left = light_left(self._strengths.get("light_intensity", 0.0), self._strengths.get("light_colour", 0.0))
        for field, own in self._own.items():
            getattr(self._model, field)[:] = own * left
        for field, own in self._headlight.items():
            getattr(self._model.vis.headlight, field)[:] = own * left

    def aim(self, from_the_models: bool = True) -> None:
        """Put camera and lamps where they belong in the current state; physics reads neither of them.

        from_the_models: whether they are turned from the model's own poses; else from where they were put.
        """
        if not any(self._strengths.values()):
            return
        data, camera = self._data, self._camera
        if from_the_models:
            mujoco.mj_camlight(self._model, data)
        position, frame = data.cam_xpos[camera].copy(), data.cam_xmat[camera].reshape(3, 3).copy()
        pivot = position - self.distance * frame[:, 2]
        turns = [self._strengths.get(name, 0.0) for name in ("camera_yaw", "camera_pitch", "camera_roll")]
        away = self._strengths.get("camera_distance", 0.0)
        if any((*turns, away)):
            yaw, pitch, roll = turns
            moved, turned = moved_camera(position, frame, self.distance, yaw, pitch, roll, away)
            data.cam_xpos[camera], data.cam_xmat[camera] = moved, turned.ravel()
        tilt = self._strengths.get("light_direction", 0.0)
        if tilt:
            turn = rotation(self._tilted_about, _radians("light_direction", tilt))
            data.light_xpos[:] = pivot + (data.light_xpos - pivot) @ turn.T
            data.light_xdir[:] = data.light_xdir @ turn.T


def light_left(dimmed: float, orange: float) -> np.ndarray:
    """Return the remaining red, green and blue of every lamp at two strengths; ones at 0 and 0."""
    return (1 - (1 - LEAST_LIGHT) * dimmed) * (1 - (1 - np.array(ORANGE)) * orange)


def moved_camera(
    position: np.ndarray,
    frame: np.ndarray,
    distance: float,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    away: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a camera's pose at four strengths: position, and frame ``[3, 3]`` with columns right, up and backwards.

    It turns around the point ``distance`` in front of it: about the world's vertical, then up about its own right, then
    about its line of sight; then it moves away.
    """
    pivot = position - distance * frame[:, 2]
    about_vertical = rotation(np.array([0.0, 0.0, 1.0]), _radians("camera_yaw", yaw))
    upwards = rotation(np.array([1.0, 0.0, 0.0]), -_radians("camera_pitch", pitch))
    tilted = rotation(np.array([0.0, 0.0, 1.0]), _radians("camera_roll", roll))
    turned = about_vertical @ frame @ upwards @ tilted
    farther = 1 + (FARTHEST - 1) * away
    return pivot + farther * distance * turned[:, 2], turned


def rotation(axis: np.ndarray, radians: float) -> np.ndarray:
    """Return the matrix ``[3, 3]`` that rotates about a unit axis, anticlockwise seen from its tip (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(radians) * cross + (1 - math.cos(radians)) * cross @ cross


def _radians(name: str, strength: float) -> float:
    return math.radians(FULL_DEGREES[name] * strength)


def _looking(model: mujoco.MjModel, camera: int) -> tuple[float, np.ndarray]:
    """The distance to the task in the model's own pose, and the horizontal direction that lamps turn about."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    driven = np.isin(model.body_rootid, model.body_rootid[model.body_jntnum > 0])
    weights = model.body_mass * driven
    frame = data.cam_xmat[camera].reshape(3, 3)
    distance = float(model.stat.extent)
    if weights.sum() > 0:
        middle = weights @ data.xipos / weights.sum()
        before = float((middle - data.cam_xpos[camera]) @ -frame[:, 2])
        distance = before if before > 0 else distance
    for column in (2, 1):  # the up direction of a camera that looks straight down is horizontal
        level = frame[:, column] * (1.0, 1.0, 0.0)
        length = float(np.linalg.norm(level))
        if length > LEVEL_ENOUGH:
            return distance, level / length
    raise AssertionError("of two perpendicular directions one is not vertical")
