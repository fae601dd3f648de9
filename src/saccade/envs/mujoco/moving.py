"""Motion in a picture besides the task itself: a camera that moves, a sky that plays a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import mujoco
import numpy as np

from saccade.envs.distractions.camera import CAMERA
from saccade.types import UserError

if TYPE_CHECKING:
    from dm_control import mujoco as dm_mujoco

    from saccade.envs.simulation import StateValue

Motion = Callable[[int, int], None]
"""Brings the scene to its state after this many control steps, and this many agent steps, of the episode."""

AGENT = 1  # the body that a camera's distance is measured from, with everything that hangs on it
CONTROL_STEPS, AGENT_STEPS = "moving/control_steps", "moving/agent_steps"
AGENT_DISTANCE = "moving/agent_distance"


@final
@dataclass(frozen=True, eq=False)
class View:
    """The camera of the picture, as it is without distractions.

    Attributes:
        position: in the world, metres.
        axes: its x (right), y (up) and z (backwards) in the world, as columns.
        reference: the point that its place is relative to: what it follows, or the world's origin.
        offset: its place relative to that, the same in every state.
        follows: whether it moves with the agent.
        agent_distance: metres from it to the agent's centre of mass: the current one if it follows, else the one at the
            episode's start.
    """

    position: np.ndarray
    axes: np.ndarray
    reference: np.ndarray
    offset: np.ndarray
    follows: bool
    agent_distance: float


@final
class Moving:
    """The motions of a scene, and all of their state: how far the episode is, and the agent's distance at its start.

    A camera's pose follows from positions and velocities, and physics does not read it: it may be written after each
    control step, and is computed afresh before each picture.
    """

    def __init__(self, physics: dm_mujoco.Physics, camera: int) -> None:
        self._physics, self._camera = physics, camera
        self._motions: dict[str, Motion] = {}
        self._control_steps = self._agent_steps = 0
        self._first_distance: float | None = None  # measured when first needed

    @property
    def moves_camera(self) -> bool:
        """Whether the camera is moved before each picture."""
        return CAMERA in self._motions

    def move(self, what: str, motion: Motion) -> None:
        """Add a motion for the rest of the episode, in place of any other of this name."""
        self._motions[what] = motion

    def begin(self) -> None:
        """Begin an episode."""
        self._control_steps = self._agent_steps = 0
        self._first_distance = None

    def advance(self, control_steps: int) -> None:
        """Count an agent step of this many control steps."""
        self._control_steps += control_steps
        self._agent_steps += 1

    def apply(self) -> None:
        """Bring everything to its current state before rendering; doing it twice changes nothing."""
        for motion in self._motions.values():
            motion(self._control_steps, self._agent_steps)

    def view(self) -> View:
        """Return the camera as in the model. Raises UserError for one that is mounted on something that turns."""
        model, data, camera = self._physics.model.ptr, self._physics.data.ptr, self._camera
        mujoco.mj_camlight(model, data)  # undoes what was written earlier
        body, modes = int(model.cam_bodyid[camera]), mujoco.mjtCamLight
        match model.cam_mode[camera]:
            case modes.mjCAMLIGHT_TRACKCOM:
                reference, offset, follows = data.subtree_com[body], model.cam_poscom0[camera], True
            case modes.mjCAMLIGHT_TRACK:
                reference, offset, follows = data.xpos[body], model.cam_pos0[camera], True
            case modes.mjCAMLIGHT_FIXED if body == 0:
                reference, offset, follows = np.zeros(3), model.cam_pos[camera], False
            case _:
                raise UserError(
                    f"camera {camera} is mounted on the agent or turns to it, and this mode moves cameras that stand "
                    "still or follow: leave out --camera, or choose a mode that leaves the camera alone"
                )
        distance = float(np.linalg.norm(data.cam_xpos[camera] - data.subtree_com[AGENT]))
        if not follows:
            self._first_distance = distance = distance if self._first_distance is None else self._first_distance
        position, axes = data.cam_xpos[camera].copy(), data.cam_xmat[camera].reshape(3, 3).copy()
        return View(position, axes, np.array(reference), np.array(offset), follows, distance)

    def place_camera(self, position: np.ndarray, axes: np.ndarray) -> None:
        """Put the camera there until the next control step; ``axes`` are its own, as columns."""
        data = self._physics.data.ptr
        data.cam_xpos[self._camera], data.cam_xmat[self._camera] = position, axes.ravel()

    def save(self) -> dict[str, StateValue]:
        """Return all that later pictures depend on; empty if nothing moves."""
        if not self._motions:
            return {}
        state: dict[str, StateValue] = {CONTROL_STEPS: self._control_steps, AGENT_STEPS: self._agent_steps}
        return state if self._first_distance is None else state | {AGENT_DISTANCE: self._first_distance}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned; ``state`` may hold other keys too."""
        self._control_steps, self._agent_steps = (int(state.get(name, 0)) for name in (CONTROL_STEPS, AGENT_STEPS))
        self._first_distance = float(state[AGENT_DISTANCE]) if AGENT_DISTANCE in state else None
