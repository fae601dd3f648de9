"""A task seen as pixels: what all simulators share, from the frame stack to the modes and the whole state."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, final

import gymnasium
import numpy as np
from dm_control import mujoco as dm_mujoco
from gymnasium.error import ResetNeeded

from saccade.data.folder import find_data
from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.mask import TaskMask
from saccade.envs.mujoco.opengl import VERSIONS, claim_process, is_fork
from saccade.envs.mujoco.scene import CAMERA, BuiltinTextures, Scene, camera_number
from saccade.envs.mujoco.state import StateValue
from saccade.envs.suites import modes_of
from saccade.types import UserError

MAX_SEED = 2**32 - 1
NO_CHOICE = 0  # what a distraction is told before its first episode


class Simulation(Protocol):
    """A task's physics and reward, and nothing of how it is looked at.

    Attributes:
        physics: what is drawn.
        camera: the name or number of the one that looks where nobody chooses.
        num_actions: how many numbers an action has.
        control_seconds: how long a control step lasts, in the simulator's own time.
        builtin_textures: the textures that distractions may have drawn with other colours.
        settings: how the task is played beyond its id, for the provenance.
    """

    physics: dm_mujoco.Physics
    camera: str
    num_actions: int
    control_seconds: float
    builtin_textures: BuiltinTextures
    settings: Mapping[str, object]

    def seed(self, seed: int) -> None:
        """Begin the task's own random numbers anew."""
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
class PixelEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One task in one mode; ``EnvConfig`` has the fields, ``make_env`` the arrays.

    A picture is rendered once per agent step, after the repeated control steps, and a mode's distractions
    never touch physics, reward or the task's random numbers. Episodes never terminate; they are truncated
    after the task's number of control steps. Where asked for, ``info["task_mask"]`` (bool
    ``[frame_stack, H, W]``) says which pixels show the task; see ``TaskMask``.

    Raises:
        UserError: no picture can be rendered, the data folder cannot be used, or the seed is out of range.
    """

    def __init__(
        self, config: EnvConfig, simulation: Simulation, seed: int | None = None, render_mode: str | None = None
    ) -> None:
        self.config = config
        self.simulation = simulation
        self.render_mode = render_mode
        folder = find_data(config.data)
        distractions = modes_of(config.task)[config.mode]
        self._nuisances = [each.load(folder, config.image_size, config.clip_order) for each in distractions]
        physics = simulation.physics
        size, model = config.image_size, physics.model.ptr
        self._camera = camera_number(model, simulation.camera if config.camera is None else config.camera)
        self.scene = Scene(physics, size, config.render_quality, simulation.builtin_textures, self._camera)
        self.task_mask = TaskMask(model, size, self._camera) if config.task_mask else None
        self._choices = [NO_CHOICE] * len(self._nuisances)
        self._frames: deque[np.ndarray] = deque(maxlen=config.frame_stack)
        self._masks: deque[np.ndarray] = deque(maxlen=config.frame_stack)
        self._agent_steps = 0
        self._closed = False
        self._thread = threading.get_ident()
        channels = config.frame_stack * 3
        self.observation_space = gymnasium.spaces.Box(0, 255, (channels, size, size), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (simulation.num_actions,), np.float32)
        agent_seconds = simulation.control_seconds * config.control_steps_per_action
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": max(round(1 / agent_seconds), 1)}
        self._seed(seed)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; a ``seed`` makes all random numbers, and the order of clips, begin anew."""
        self._check_usable()
        if seed is not None:
            self._seed(seed)
        for position, nuisance in enumerate(self._nuisances):
            self._choices[position] = nuisance.choose(self._choices[position], self.np_random)
        self._agent_steps = 0
        self.simulation.reset()
        self._begin_drawing()
        frame, mask = self.draw(), self._cast_mask()
        for _ in range(self.config.frame_stack):
            self._frames.append(frame)
            self._masks.append(mask)
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play ``action`` (-1..1, clipped) for the repeated control steps, then look once."""
        self._check_usable()
        if not self._frames or self._agent_steps >= self.config.episode_agent_steps:
            raise ResetNeeded("no episode is under way: call reset() first")
        reward = self.advance(action)
        self._frames.append(self.draw())
        self._masks.append(self._cast_mask())
        truncated = self._agent_steps >= self.config.episode_agent_steps
        return self._observation(), reward, False, truncated, self._info()

    def advance(self, action: np.ndarray) -> float:
        """The physics of one agent step, nothing drawn: the sum of its control steps' rewards.

        Raises:
            UserError: the action has another shape or is not finite.
        """
        wanted = self._check_action(action)
        reward = 0.0
        for _ in range(self.config.control_steps_per_action):
            reward += self.simulation.step(wanted)
        self._agent_steps += 1
        return reward

    def draw(self) -> np.ndarray:
        """The present frame as the agent sees it, distractions included: uint8 ``[3, H, W]``."""
        return self.distract(self.scene.render()).transpose(2, 0, 1).copy()

    def distract(self, pixels: np.ndarray) -> np.ndarray:
        """What the mode makes of a rendered frame, uint8 ``[H, W, 3]``, at this agent step."""
        for nuisance, choice in zip(self._nuisances, self._choices, strict=True):
            pixels = nuisance.apply(pixels, choice, self._agent_steps)
        return pixels

    def render(self) -> np.ndarray | None:
        """The newest frame, uint8 ``[H, W, 3]``, with ``render_mode="rgb_array"``; else None."""
        if self.render_mode is None:
            return None
        if not self._frames:
            raise ResetNeeded("there is no frame yet: call reset() first")
        return self._frames[-1].transpose(1, 2, 0).copy()

    def close(self) -> None:
        """Free simulator and OpenGL context; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            if not is_fork():  # whose copy of the context is not its own
                self.scene.close()

    @property
    def provenance(self) -> dict[str, object]:
        """What results with this environment must be told with: they compare only where this is equal."""
        config = self.config
        told: dict[str, object] = {
            "task": config.task,
            "mode": config.mode,
            "image_size": config.image_size,
            "frame_stack": config.frame_stack,
            "action_repeat": config.control_steps_per_action,
            "render_quality": config.render_quality,
            "clip_order": config.clip_order,
            **self.simulation.settings,
        }
        if self._camera != CAMERA:  # runs of a time without a choice say nothing of theirs, and had this one
            told["camera"] = self._camera
        for nuisance in self._nuisances:
            told |= nuisance.provenance()
        return told | dict(VERSIONS)

    def get_state(self) -> dict[str, StateValue]:
        """Everything that the rest of the episode, and all later ones, depend on, as arrays and plain values.

        ``set_state`` of any environment with the same provenance continues bit for bit, in another process
        too.
        """
        self._check_usable()
        if not self._frames:
            raise ResetNeeded("there is no state yet: call reset() first")
        return {
            **self.simulation.save(),
            "provenance": json.dumps(self.provenance),
            "agent_steps": self._agent_steps,
            "generator": json.dumps(self.np_random.bit_generator.state),
            "choices": np.array(self._choices, dtype=np.int64),
            "frames": np.stack(self._frames),
            **({"masks": np.stack(self._masks)} if self.task_mask else {}),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a ``get_state``.

        Raises:
            UserError: it is the state of another kind of environment, or was taken without task masks.
        """
        self._check_usable()
        ours = json.dumps(self.provenance)
        if state["provenance"] != ours:
            raise UserError(f"this is the state of another environment, {state['provenance']}; this one is {ours}")
        if self.task_mask and "masks" not in state:
            raise UserError("this state was saved without task masks; make the environment with task_mask=False")
        self.simulation.restore(state)
        self._agent_steps = int(state["agent_steps"])
        self.np_random.bit_generator.state = json.loads(state["generator"])
        self._choices = [int(choice) for choice in state["choices"]]
        self._frames.extend(np.array(state["frames"]))
        if self.task_mask:
            self._masks.extend(np.array(state["masks"]))
        self.scene.upload_heights()
        self._begin_drawing()

    def _check_usable(self) -> None:
        """Raise UserError where nothing can be drawn, with what to do instead."""
        if self._closed:
            raise UserError("this environment is closed; make another one")
        claim_process()
        if threading.get_ident() != self._thread:
            raise UserError(
                "this environment was made in another thread, and OpenGL draws only there; make one in each thread"
            )

    def _seed(self, seed: int | None) -> None:
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (whole and 0 <= seed <= MAX_SEED):
            raise UserError(f"seed is {seed!r}, but must be a whole number in 0..{MAX_SEED}")
        super().reset(seed=None if seed is None else int(seed))  # the generator that distractions draw from
        self.simulation.seed(int(self.np_random.integers(MAX_SEED)) if seed is None else int(seed))
        self._choices = [NO_CHOICE] * len(self._nuisances)

    def _begin_drawing(self) -> None:
        for nuisance, choice in zip(self._nuisances, self._choices, strict=True):
            nuisance.paint(self.scene, choice)
        if self.task_mask:
            self.task_mask.begin_episode(self.simulation.physics.model.ptr)

    def _check_action(self, action: np.ndarray) -> np.ndarray:
        count = self.simulation.num_actions
        try:
            given = np.asarray(action)
        except (TypeError, ValueError):  # lists of different lengths
            given = np.empty(0)
        if given.shape != (count,) or given.dtype.kind not in "fiu" or not np.isfinite(given).all():
            raise UserError(f"action is {action!r}, but must be {count} finite numbers in -1..1")
        return given.astype(np.float64).clip(-1.0, 1.0)

    def _observation(self) -> np.ndarray:
        return np.concatenate(self._frames)

    def _cast_mask(self) -> np.ndarray:
        if self.task_mask is None:
            return np.empty(0)
        return self.task_mask(self.simulation.physics.data.ptr)

    def _info(self) -> dict[str, Any]:
        told = self.simulation.outcome()
        return told | {"task_mask": np.stack(self._masks)} if self.task_mask else told
