"""The DeepMind Control Suite, played as in the DMControl Generalization Benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from dm_control import suite
from dm_control.suite import ball_in_cup, cartpole, cheetah, common, finger, walker

from saccade.envs.config import EnvConfig
from saccade.envs.distractions.on_screen import PUBLISHED_SCREENS, clip_side
from saccade.envs.mujoco.camera import model_name
from saccade.envs.mujoco.scene import builtin_textures
from saccade.envs.mujoco.screen import add_screen
from saccade.envs.mujoco.state import restore_task, save_task
from saccade.envs.simulation import StateValue
from saccade.envs.tasks.dmc_suite import DMC_TASKS, camera_of, shows_screen

# Deviation: dm_control draws the springs of lqr at random when the task is made. Here they are those of this
# seed, so that a task id is one problem regardless of the environment's seed.
MODEL_SEED = 0
# Deviation: dm_control gives the motors of lqr no limit (1e10). Here -1..1 is used directly.
UNLIMITED = 1e9
SCREENED = {"ball_in_cup": ball_in_cup, "cartpole": cartpole, "cheetah": cheetah, "finger": finger, "walker": walker}
NUM_POLES = {"two_poles": 2, "three_poles": 3}
TEXTURE_FILES = ("./common/materials.xml", "./common/skybox.xml")  # shared by the suite's domains

GROUND = ("floor", "ground", "terrain")
"""Every domain has a level plane of one of the first two names, quadruped_escape hills of the last. No wall does."""


@final
class ControlSuite:
    """One task of the Control Suite; a ``MujocoTask``."""

    def __init__(self, config: EnvConfig) -> None:
        domain, task = DMC_TASKS[config.task]
        self.environment = suite.load(domain, task, task_kwargs={"random": MODEL_SEED, "time_limit": math.inf})
        self.physics = self.environment.physics
        self._add_screen(config, domain, task)
        self.camera = camera_of(config.task)
        self.control_seconds = float(self.environment.control_timestep())
        self._physics_steps = round(self.control_seconds / self.physics.timestep())
        self._low, self._high = _control_limits(self.environment.action_spec())
        self.num_actions = int(self._low.size)
        self.builtin_textures = builtin_textures(*(common.ASSETS[file] for file in TEXTURE_FILES))
        self.settings: Mapping[str, object] = {}
        self.ground = GROUND

    def _add_screen(self, config: EnvConfig, domain: str, task: str) -> None:
        """Compile the model again with a screen in it, if the mode shows one."""
        if shows_screen(config):
            document, assets = _documents(domain, task)
            place = PUBLISHED_SCREENS[model_name(self.physics)]
            add_screen(self.physics, document, assets, place, clip_side(config.image_size))

    def seed(self, seed: int) -> None:
        """Restart the task's random numbers, as ``suite.load(..., random=seed)`` does."""
        self.environment.task.random.seed(seed)

    def reset(self) -> None:
        """Start an episode."""
        self.environment.reset()

    def step(self, action: np.ndarray) -> float:
        """Step as dm_control's Environment.step does, without the observations of the state, which are not needed."""
        # Deviation: lqr would end once it is at rest; no task does here, as every return is over 1000 control
        # steps.
        physics, task = self.physics, self.environment.task
        task.before_step(self._low + (action + 1.0) / 2.0 * (self._high - self._low), physics)
        physics.step(self._physics_steps)
        task.after_step(physics)
        return float(task.get_reward(physics))

    def outcome(self) -> dict[str, Any]:
        """Return nothing: the suite's tasks define no success."""
        return {}

    def save(self) -> dict[str, StateValue]:
        """Return the whole state."""
        return save_task(self.environment)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        restore_task(self.environment, state)


def _documents(domain: str, task: str) -> tuple[str | bytes, Mapping[str, bytes]]:
    """What a task's model is compiled from, as in dm_control."""
    model = SCREENED[domain].get_model_and_assets
    return model(NUM_POLES[task]) if task in NUM_POLES else model()


def _control_limits(spec: Any) -> tuple[np.ndarray, np.ndarray]:
    """The controls that actions of -1 and 1 stand for."""
    unlimited = spec.maximum > UNLIMITED
    return np.where(unlimited, -1.0, spec.minimum), np.where(unlimited, 1.0, spec.maximum)
