"""A MuJoCo task as ``PixelEnv`` plays it: a camera's picture, the task's pixels, and what distractions paint on."""

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
    """A task's physics and reward, and nothing of how it is looked at.

    Attributes:
        physics: what is drawn.
        camera: the name or number of the one that looks where nobody chooses.
        num_actions: how many numbers an action has.
        control_seconds: how long a control step lasts, in the simulator's own time.
        builtin_textures: the textures that distractions may have drawn with other colours.
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
        """What ``info`` tells of the present state, such as success."""
        ...

    def save(self) -> dict[str, StateValue]:
        """All that later steps and episodes depend on, as arrays and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what ``save`` gave; ``state`` may hold other keys too."""
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
        if camera != CAMERA:  # runs of a time without a choice say nothing of theirs, and had this one
            self.settings["camera"] = camera
        self._thread = threading.get_ident()

    def check_usable(self) -> None:
        """Raise UserError in a process or a thread that cannot draw, with what to do instead."""
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
        """Play ``action``, in -1..1, for so many control steps; their rewards, and False."""
        played = repeated(lambda: (self.task.step(action), False), control_steps)
        self.scene.moving.advance(control_steps)
        return played

    def picture(self) -> np.ndarray:
        """What the camera sees now: uint8 ``[H, W, 3]``, a view that the next call overwrites."""
        return self.scene.render()

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Which of its pixels show the task, or it and its ground; None where the configuration asks for none."""
        if self.task_mask is None:
            return None
        self.scene.look()
        return self.task_mask(self.task.physics.data.ptr, ground)

    def outcome(self) -> dict[str, Any]:
        """What the task tells of the present state."""
        return self.task.outcome()

    def save(self) -> dict[str, StateValue]:
        """The task's whole state, and that of what moves in the picture."""
        return {**self.task.save(), **self.scene.moving.save()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what ``save`` gave."""
        self.task.restore(state)
        self.scene.moving.restore(state)
        self.scene.upload_heights()
        self._begin_looking()

    def close(self) -> None:
        """Free simulator and OpenGL context, in the process that they belong to: a fork's copy is not its own."""
        if not is_fork():
            self.scene.close()

    def _begin_looking(self) -> None:
        if self.task_mask is not None:
            self.task_mask.begin_episode(self.task.physics.model.ptr)
