"""A MuJoCo task as ``PixelEnv`` plays it: a camera's picture, the task's mask, and a scene that distractions paint."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol, final

import numpy as np
from dm_control import mujoco as dm_mujoco

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.looks import COLOURS
from saccade.envs.mujoco.mask import TaskMask
from saccade.envs.mujoco.opengl import VERSIONS, check_drawing, is_fork
from saccade.envs.mujoco.scene import CAMERA, BuiltinTextures, Scene, camera_number
from saccade.envs.oracle import OFF
from saccade.envs.simulation import REPEATED, Before, StateValue, repeated
from saccade.types import Continuous


class MujocoTask(Protocol):
    """A task's physics and reward, apart from how it is shown.

    Attributes:
        physics: what is rendered.
        camera: the name or number of the default camera.
        num_actions: how many numbers an action has.
        control_seconds: how long a control step lasts, in the simulator's own time.
        builtin_textures: the textures that distractions may draw with other colours.
        settings: how the task is played beyond its id, for the provenance.
        ground: the names of the geoms that its bodies stand or lie on; a model may lack some of them.
    """

    physics: dm_mujoco.Physics
    camera: str
    num_actions: int
    control_seconds: float
    builtin_textures: BuiltinTextures
    settings: Mapping[str, object]
    ground: tuple[str, ...]

    def seed(self, seed: int) -> None:
        """Restart the task's own random numbers."""
        ...

    def reset(self) -> None:
        """Start an episode."""
        ...

    def step(self, action: np.ndarray) -> float:
        """Play one control step, ``action`` in -1..1; returns its reward."""
        ...

    def outcome(self) -> dict[str, Any]:
        """Return what ``info`` says about the current state, such as success."""
        ...

    def save(self) -> dict[str, StateValue]:
        """Return all that later steps and episodes depend on, as arrays and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned; ``state`` may hold other keys too."""
        ...


@final
class MujocoSimulation:
    """A task and a camera that looks at it; a ``Simulation``. No episode ends by itself.

    Raises:
        UserError: the task has no such camera, or no OpenGL context can be made.
    """

    versions: Mapping[str, str] = VERSIONS
    colours = COLOURS
    before: Before = REPEATED

    def __init__(self, config: EnvConfig, task: MujocoTask) -> None:
        self.task = task
        self.size = (config.image_size, config.image_size)
        self.actions = Continuous(task.num_actions)
        self.action_names: tuple[str, ...] = ()
        self.control_seconds = task.control_seconds
        model, options = task.physics.model.ptr, config.options
        camera = camera_number(model, task.camera if options.camera is None else options.camera)
        self.scene = Scene(task.physics, config.image_size, options.render_quality, task.builtin_textures, camera)
        masked = config.task_mask or options.oracle_mask != OFF
        self.task_mask = TaskMask(model, config.image_size, camera, task.ground) if masked else None
        self.settings: dict[str, object] = {
            "render_quality": options.render_quality,
            "clip_order": options.clip_order,
            **task.settings,
        }
        if camera != CAMERA:  # older runs had no choice, do not name it, and used this one
            self.settings["camera"] = camera
        self._thread = threading.get_ident()

    def check_usable(self) -> None:
        """Raise UserError in a process or thread that cannot render, with what to do instead."""
        check_drawing(self._thread)

    def seed(self, seed: int) -> None:
        """Restart the task's own random numbers."""
        self.task.seed(seed)

    def reset(self) -> None:
        """Start an episode."""
        self.task.reset()
        self.scene.moving.begin()
        self._begin_looking()

    def step(self, action: np.ndarray, control_steps: int) -> tuple[float, bool]:
        """Play ``action``, in -1..1, for this many control steps; return the sum of rewards, and False."""
        played = repeated(lambda: (self.task.step(action), False), control_steps)
        self.scene.moving.advance(control_steps)
        return played

    def picture(self) -> np.ndarray:
        """Return what the camera sees now: uint8 ``[H, W, 3]``, a view that the next call overwrites."""
        return self.scene.render()

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Return which of its pixels show the task, or also its ground; None if the configuration asks for no mask."""
        if self.task_mask is None:
            return None
        self.scene.look()
        return self.task_mask(self.task.physics.data.ptr, ground)

    def outcome(self) -> dict[str, Any]:
        """Return what the task says about the current state."""
        return self.task.outcome()

    def save(self) -> dict[str, StateValue]:
        """Return the task's whole state, and that of what moves in the picture."""
        return {**self.task.save(), **self.scene.moving.save()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        self.task.restore(state)
        self.scene.moving.restore(state)
        self.scene.upload_heights()
        self._begin_looking()

    def close(self) -> None:
        """Free simulator and OpenGL context, but only in the process that owns them: a fork's copy is not its own."""
        if not is_fork():
            self.scene.close()

    def _begin_looking(self) -> None:
        if self.task_mask is not None:
            self.task_mask.begin_episode(self.task.physics.model.ptr)
