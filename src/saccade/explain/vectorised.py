"""Play the first environment of a vector of environments as a single one."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np

from saccade.types import UserError

Single = gymnasium.Env[Any, Any]
VECTORS = "stable_baselines3.common.vec_env"


def single(made: Any, name: str) -> Single:
    """Return a single environment: the one that a function made, or the first of the vector that it made.

    Vectors of Gymnasium and of Stable-Baselines3 (``VecFrameStack(make_atari_env(...), 4)``) restart episodes by
    themselves; a player stops at the end of the first.

    Raises:
        UserError: it is neither an environment nor a vector.
    """
    if isinstance(made, gymnasium.Env):
        return made
    if isinstance(made, gymnasium.vector.VectorEnv):
        return _FirstOfVector(made)
    if VECTORS in sys.modules and isinstance(made, sys.modules[VECTORS].VecEnv):
        return _FirstOfStableBaselines3(made)
    old = type(made).__mro__[-2].__module__.partition(".")[0] == "gym"
    why = "of the old gym: wrap it with gymnasium.wrappers or shimmy" if old else "not a gymnasium.Env"
    raise UserError(
        f"{name} gave {type(made).__name__}, {why}: it must be a function that makes a gymnasium.Env, or a vector of "
        "environments of Gymnasium or Stable-Baselines3."
    )


class _FirstOfVector(Single):
    """The first environment of a Gymnasium vector; all of them are given its actions."""

    def __init__(self, vector: gymnasium.vector.VectorEnv[Any, Any, Any]) -> None:
        self._vector = vector
        self.observation_space, self.action_space = vector.single_observation_space, vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        obs, _ = self._vector.reset(seed=seed, options=options)
        return obs[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, _ = self._vector.step(np.stack([action] * self._vector.num_envs))
        return obs[0], reward[0], bool(terminated[0]), bool(truncated[0]), {}

    def close(self) -> None:
        self._vector.close()


class _FirstOfStableBaselines3(Single):
    """The first environment of a ``VecEnv``, which takes its seed before the reset and has one flag for every end."""

    def __init__(self, vector: Any) -> None:
        self._vector = vector
        self.observation_space, self.action_space = vector.observation_space, vector.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._vector.seed(seed)
        return self._vector.reset()[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, done, infos = self._vector.step(np.stack([action] * self._vector.num_envs))
        out_of_time = bool(infos[0].get("TimeLimit.truncated", False))
        return obs[0], reward[0], bool(done[0]) and not out_of_time, bool(done[0]) and out_of_time, infos[0]

    def action_masks(self) -> Any:
        """Return the allowed actions, as sb3-contrib asks for them. Raises AttributeError if it has none."""
        return self._vector.env_method("action_masks")[0]

    def close(self) -> None:
        self._vector.close()
