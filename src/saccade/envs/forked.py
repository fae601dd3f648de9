"""What stands in for an environment in a process where none can draw: Gymnasium makes them in forks by default."""

from __future__ import annotations

from typing import Any, final

import gymnasium
import numpy as np

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.opengl import FORKED
from saccade.types import UserError


@final
class ForkedEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Has the spaces of ``PixelEnv``; every use raises UserError with what to do instead.

    Making it must not fail: ``gymnasium.vector.AsyncVectorEnv`` hands on what its processes raise when environments are
    reset, and waits for ever, or breaks with a trace, where they end before.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, config: EnvConfig, num_actions: int) -> None:
        channels, size = config.frame_stack * 3, config.image_size
        self.observation_space = gymnasium.spaces.Box(0, 255, (channels, size, size), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (num_actions,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Raises UserError."""
        raise UserError(FORKED)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Raises UserError."""
        raise UserError(FORKED)
