"""What moves in a picture while an episode goes on, beside the task itself: a camera that walks, a sky that plays."""

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
"""Brings the scene to where it is after so many control steps, and so many agent steps, of the episode."""

AGENT = 1  # the body that a camera's distance is told from, with everything that hangs on it
CONTROL_STEPS, AGENT_STEPS = "moving/control_steps", "moving/agent_steps"
AGENT_DISTANCE = "moving/agent_distance"


@final
@dataclass(frozen=True, eq=False)
class View:
    """The camera of the picture where no distraction moves it.

    Attributes:
        position: in the world, metres.
        axes: its x (right), y (up) and z (backwards) in the world, as columns.
        reference: the point that its place is told from: what it follows, or the world's origin.
        offset: its place from there, the same in every state.
        follows: whether it goes with the agent.
        agent_distance: metres from it to the agent's centre of mass: now where it follows, else as the episode began.
    """

    position: np.ndarray
    axes: np.ndarray
    reference: np.ndarray
    offset: np.ndarray
    follows: bool
    agent_distance: float


@final
class Moving:
    """The motions of a scene, and all of their state: how far the episode is, and how far away the agent was at first.

    Where a camera stands follows from position and velocity, and no physics reads it: it may be written after each
    control step, and is computed anew before each picture.
    """

    def __init__(self, physics: dm_mujoco.Physics, camera: int) -> None:
        self._physics, self._camera = physics, camera
        self._motions: dict[str, Motion] = {}
        self._control_steps = self._agent_steps = 0
        self._first_distance: float | None = None  # measured where it is asked for

    @property
    def moves_camera(self) -> bool:
        """Whether the camera is put somewhere before each picture."""
        return CAMERA in self._motions

    def move(self, what: str, motion: Motion) -> None:
        """Have something move for the rest of the episode, instead of what moved it before."""
        self._motions[what] = motion

    def begin(self) -> None:
        """An episode begins here."""
        self._control_steps = self._agent_steps = 0
        self._first_distance = None

    def advance(self, control_steps: int) -> None:
        """An agent step of so many control steps has been played."""
        self._control_steps += control_steps
        self._agent_steps += 1

    def apply(self) -> None:
        """Bring everything to where it is now, before it is looked at; doing it twice changes nothing."""
        for motion in self._motions.values():
            motion(self._control_steps, self._agent_steps)

    def view(self) -> View:
        """The camera as the model has it. Raises UserError for one that is mounted on something that turns."""
        model, data, camera = self._physics.model.ptr, self._physics.data.ptr, self._camera
        mujoco.mj_camlight(model, data)  # undoes what was written before
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
        """Look from there, until the next control step; ``axes`` are the camera's, as columns."""
        data = self._physics.data.ptr
        data.cam_xpos[self._camera], data.cam_xmat[self._camera] = position, axes.ravel()

    def save(self) -> dict[str, StateValue]:
        """All that later pictures depend on; nothing where nothing moves."""
        if not self._motions:
            return {}
        told: dict[str, StateValue] = {CONTROL_STEPS: self._control_steps, AGENT_STEPS: self._agent_steps}
        return told if self._first_distance is None else told | {AGENT_DISTANCE: self._first_distance}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what ``save`` gave; ``state`` may hold other keys too."""
        self._control_steps, self._agent_steps = (int(state.get(name, 0)) for name in (CONTROL_STEPS, AGENT_STEPS))
        self._first_distance = float(state[AGENT_DISTANCE]) if AGENT_DISTANCE in state else None
