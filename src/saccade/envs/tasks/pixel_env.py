"""A task seen as pixels: what all simulators share, from the frame stack to the modes and the whole state."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from saccade.envs.config import EnvConfig
from saccade.envs.nuisances import NO_CHOICE, nuisances_of
from saccade.envs.oracle import OFF, TASK, TASK_AND_GROUND, shown
from saccade.envs.simulation import BLACK, KEPT, Simulation, StateValue
from saccade.envs.spaces import gymnasium_spaces
from saccade.types import Discrete, Spaces, UserError

MAX_SEED = 2**32 - 1
RGB = 3


@final
class PixelEnv(gymnasium.Env[np.ndarray, Any]):
    """One task in one mode; the fields are described in ``EnvConfig``, the arrays in ``make_env``.

    A picture is rendered once per agent step, after the repeated control steps, and a mode's distractions
    never touch physics, reward or the task's random numbers. An episode terminates when the simulation ends it, and is
    truncated after the task's number of control steps. If asked for, and known, ``info["task_mask"]`` (bool
    ``[frame_stack, H, W]``) marks the pixels that show the task.

    Raises:
        UserError: no picture can be rendered, the data folder cannot be used, or the seed is out of range.
    """

    def __init__(
        self, config: EnvConfig, simulation: Simulation, seed: int | None = None, render_mode: str | None = None
    ) -> None:
        self.config = config
        self.simulation = simulation
        self.render_mode = render_mode
        self._oracle = config.option("oracle_mask", OFF)
        self._task_now: np.ndarray | None = None  # the mask of the current picture, if it is known already
        self._nuisances = nuisances_of(config)
        self._choices = [NO_CHOICE] * len(self._nuisances)
        self._frames: deque[np.ndarray] = deque(maxlen=config.frame_stack)
        self._masks: deque[np.ndarray] = deque(maxlen=config.frame_stack)  # stays empty if none are known
        self._agent_steps = 0
        self._ended = self._closed = False
        channels = config.frame_stack * simulation.colours
        spaces = Spaces((channels, *simulation.size), simulation.actions, simulation.colours)
        self.observation_space, self.action_space = gymnasium_spaces(spaces)
        agent_seconds = simulation.control_seconds * config.control_steps_per_action
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": max(round(1 / agent_seconds), 1)}
        self._seed(seed)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; a ``seed`` restarts all random numbers, and the order of clips."""
        self._check_usable()
        if seed is not None:
            self._seed(seed)
        for position, nuisance in enumerate(self._nuisances):
            self._choices[position] = nuisance.choose(self._choices[position], self.np_random)
        self._agent_steps, self._ended = 0, False
        self.simulation.reset()
        self._paint()
        frame = self.draw()
        if self.simulation.before != KEPT or not self._frames:
            self._begin_with(np.zeros_like(frame) if self.simulation.before == BLACK else frame)
            self._frames.append(frame)
        self._masks.clear()
        self._look_for_the_task(self.config.frame_stack)
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play ``action`` (-1..1, clipped; or a number from 0) for the repeated control steps, then look once."""
        self._check_usable()
        if not self._frames or self.is_over:
            raise ResetNeeded("no episode is under way: call reset() first")
        reward = self.advance(action)
        frame = self.draw()
        if self.simulation.before == BLACK:
            self._begin_with(np.zeros_like(frame))
        self._frames.append(frame)
        self._look_for_the_task()
        return self._observation(), reward, self._ended, not self._ended and self._is_out_of_time, self._info()

    def advance(self, action: Any) -> float:
        """Play the physics of one agent step without rendering; return the sum of its control steps' rewards.

        The control step that ends the episode is the last one.

            UserError: the action has another shape or is not finite, or there is none of its number.
        """
        wanted = self._check_action(action)
        reward, self._ended = self.simulation.step(wanted, self.config.control_steps_per_action)
        self._agent_steps += 1
        return reward

    def draw(self) -> np.ndarray:
        """Return the current frame as the agent sees it, with distractions and oracle: uint8 ``[colours, H, W]``."""
        return self._behind_the_oracle(self.distract(self.simulation.picture())).transpose(2, 0, 1).copy()

    def distract(self, pixels: np.ndarray) -> np.ndarray:
        """Return a rendered frame, uint8 ``[H, W, colours]``, changed by the mode at this agent step."""
        for nuisance, choice in zip(self._nuisances, self._choices, strict=True):
            pixels = nuisance.apply(pixels, choice, self._agent_steps)
        return pixels

    def get_action_meanings(self) -> list[str]:
        """Return the name of each discrete action in a word or two; empty if actions are continuous."""
        return [*self.simulation.action_names]

    def render(self) -> np.ndarray | None:
        """Return the newest frame, uint8 ``[H, W, 3]``, RGB, with ``render_mode="rgb_array"``; else None."""
        if self.render_mode is None:
            return None
        if not self._frames:
            raise ResetNeeded("there is no frame yet: call reset() first")
        height, width = self.simulation.size
        return np.broadcast_to(self._frames[-1].transpose(1, 2, 0), (height, width, RGB)).copy()

    def close(self) -> None:
        """Free the simulator and its renderer; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            self.simulation.close()

    @property
    def is_over(self) -> bool:
        """Whether the simulation has ended the episode, or its time is up."""
        return self._ended or self._is_out_of_time

    @property
    def _is_out_of_time(self) -> bool:
        return self._agent_steps >= self.config.episode_agent_steps

    @property
    def provenance(self) -> dict[str, object]:
        """Return what must be reported with results: they are only comparable if this is equal."""
        config = self.config
        facts: dict[str, object] = {
            "task": config.task,
            "mode": config.mode,
            "image_size": config.image_size,
            "frame_stack": config.frame_stack,
            "action_repeat": config.control_steps_per_action,
            **self.simulation.settings,
        }
        if self._oracle != OFF:  # results with it never share a table with results without
            facts["oracle_mask"] = self._oracle
        for nuisance in self._nuisances:
            facts |= nuisance.provenance()
        return facts | dict(self.simulation.versions)

    def get_state(self) -> dict[str, StateValue]:
        """Return everything that the rest of the episode, and all later ones, depend on, as arrays and plain values.

        ``set_state`` of any environment with the same provenance continues bit for bit, also in another
        process.
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
            **({"masks": np.stack(self._masks)} if self._masks else {}),
            **({"ended": True} if self._ended else {}),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``get_state`` returned.

        Raises:
            UserError: it is the state of another kind of environment, or was taken without task masks.
        """
        self._check_usable()
        ours = json.dumps(self.provenance)
        if state["provenance"] != ours:
            raise UserError(f"this is the state of another environment, {state['provenance']}; this one is {ours}")
        if self.config.task_mask and "masks" not in state and self.simulation.mask() is not None:
            raise UserError("this state was saved without task masks; make the environment with task_mask=False")
        self.simulation.restore(state)
        self._agent_steps, self._ended = int(state["agent_steps"]), bool(state.get("ended", False))
        self.np_random.bit_generator.state = json.loads(state["generator"])
        self._choices = [int(choice) for choice in state["choices"]]
        self._frames.extend(np.array(state["frames"]))
        if self.config.task_mask and "masks" in state:
            self._masks.extend(np.array(state["masks"]))
        self._paint()

    def _check_usable(self) -> None:
        """Raise UserError if nothing can be rendered, with what to do instead."""
        if self._closed:
            raise UserError("this environment is closed; make another one")
        self.simulation.check_usable()

    def _seed(self, seed: int | None) -> None:
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (whole and 0 <= seed <= MAX_SEED):
            raise UserError(f"seed is {seed!r}, but must be a whole number in 0..{MAX_SEED}")
        super().reset(seed=None if seed is None else int(seed))  # the generator that distractions draw from
        self.simulation.seed(int(self.np_random.integers(MAX_SEED)) if seed is None else int(seed))
        self._choices = [NO_CHOICE] * len(self._nuisances)

    def _paint(self) -> None:
        for nuisance, choice in zip(self._nuisances, self._choices, strict=True):
            nuisance.paint(self.simulation.scene, choice)

    def _check_action(self, action: Any) -> np.ndarray | int:
        actions = self.simulation.actions
        try:
            given = np.asarray(action)
        except (TypeError, ValueError):  # lists of different lengths
            given = np.empty(0)
        if isinstance(actions, Discrete):
            if given.shape != () or given.dtype.kind not in "iu" or not 0 <= given < actions.count:
                raise UserError(f"action is {action!r}, but must be a whole number in 0..{actions.count - 1}")
            return int(given)
        count = actions.dims
        if given.shape != (count,) or given.dtype.kind not in "fiu" or not np.isfinite(given).all():
            raise UserError(f"action is {action!r}, but must be {count} finite numbers in -1..1")
        return given.astype(np.float64).clip(-1.0, 1.0)

    def _begin_with(self, frame: np.ndarray) -> None:
        """Forget all earlier frames but this one."""
        self._frames.extend([frame] * self.config.frame_stack)

    def _observation(self) -> np.ndarray:
        return np.concatenate(self._frames)

    def _behind_the_oracle(self, pixels: np.ndarray) -> np.ndarray:
        """What the oracle shows of the current frame, uint8 ``[H, W, colours]``; everything if there is no oracle."""
        if self._oracle == OFF:
            return pixels
        mask = self.simulation.mask(ground=self._oracle == TASK_AND_GROUND)
        if mask is None:
            raise UserError(
                f"oracle_mask is {self._oracle!r}, but it is not known which pixels show {self.config.task}"
            )
        self._task_now = mask if self._oracle == TASK else None
        return shown(pixels, mask)

    def _look_for_the_task(self, frames: int = 1) -> None:
        """Keep the mask of the current picture, which was just rendered, for as many frames as show it."""
        known = self._task_now
        mask = (self.simulation.mask() if known is None else known) if self.config.task_mask else None
        if mask is not None:
            self._masks.extend([mask] * frames)

    def _info(self) -> dict[str, Any]:
        outcome = self.simulation.outcome()
        return outcome | {"task_mask": np.stack(self._masks)} if self._masks else outcome
