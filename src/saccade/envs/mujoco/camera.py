"""The camera that looks, turned on the spot: MuJoCo itself then keeps it so, in every step and for every mask."""

from __future__ import annotations

from typing import final

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco

from saccade.types import UserError

FIXED = (mujoco.mjtCamLight.mjCAMLIGHT_FIXED,)
TRACKING = (mujoco.mjtCamLight.mjCAMLIGHT_TRACK, mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)


def model_name(physics: dm_mujoco.Physics) -> str:
    """What the XML calls a model, such as ``planar walker``."""
    return str(physics.model.ptr.names.split(b"\0")[0].decode())


@final
class TurnableCamera:
    """A camera of a model and the way it looks there, from which every turn is counted."""

    def __init__(self, physics: dm_mujoco.Physics, number: int) -> None:
        """number: of the camera in the model."""
        self._physics, self._number = physics, number
        model = physics.model
        self._own_matrix = np.array(model.cam_mat0[number]).reshape(3, 3)
        self._own_quaternion = np.array(model.cam_quat[number])

    @property
    def model_name(self) -> str:
        """What the XML calls the model that it looks at."""
        return model_name(self._physics)

    def turn(self, rotation: np.ndarray) -> None:
        """Look as the model says, turned by a rotation ``[3, 3]`` in the camera's own axes; its place stays.

        The axes are x right, y up and z towards whom looks. A camera that tracks a body keeps an orientation in the
        world, and one that is fixed to a body a quaternion beside it: either is what is multiplied.

        Raises:
            UserError: the camera follows something with its eyes, so that it has no orientation of its own.
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
