"""A camera that is turned in place: MuJoCo itself then keeps it so, in every step and for every mask."""

from __future__ import annotations

from typing import final

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco

from saccade.types import UserError

FIXED = (mujoco.mjtCamLight.mjCAMLIGHT_FIXED,)
TRACKING = (mujoco.mjtCamLight.mjCAMLIGHT_TRACK, mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)


def model_name(physics: dm_mujoco.Physics) -> str:
    """Return a model's name in its XML, such as ``planar walker``."""
    return str(physics.model.ptr.names.split(b"\0")[0].decode())


@final
class TurnableCamera:
    """A camera of a model; every turn is relative to its original orientation."""

    def __init__(self, physics: dm_mujoco.Physics, number: int) -> None:
        """number: the camera's number in the model."""
        self._physics, self._number = physics, number
        model = physics.model
        self._own_matrix = np.array(model.cam_mat0[number]).reshape(3, 3)
        self._own_quaternion = np.array(model.cam_quat[number])

    @property
    def model_name(self) -> str:
        """The XML name of the model that it looks at."""
        return model_name(self._physics)

    def turn(self, rotation: np.ndarray) -> None:
        """Look as the model says, turned by a rotation ``[3, 3]`` in the camera's own axes; its position stays.

        The axes are x right, y up and z towards the viewer. A camera that tracks a body stores an orientation in the
        world, and one that is fixed to a body a quaternion relative to it: whichever it is gets multiplied.

        Raises:
            UserError: the camera always points at something, so that it has no orientation of its own.
        """
        model, number = self._physics.model, self._number
        kind = model.cam_mode[number]
        if kind in TRACKING:
            model.cam_mat0[number] = (self._own_matrix @ rotation).ravel()
        elif kind in FIXED:
            turned, by = np.empty(4), np.empty(4)
            mujoco.mju_mat2Quat(by, np.ascontiguousarray(rotation).ravel())
            mujoco.mju_mulQuat(turned, self._own_quaternion, by)
            model.cam_quat[number] = turned
        else:
            raise UserError(
                f"camera {number} always looks at one body and cannot be turned: leave --camera out, or choose another."
            )
        mujoco.mj_camlight(model.ptr, self._physics.data.ptr)  # as the next step would, so that this frame shows it
