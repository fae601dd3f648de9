"""A stand-in for an environment in a process that cannot render: Gymnasium makes environments in forks by default."""

from __future__ import annotations

from typing import Any, final

import gymnasium
import numpy as np

from saccade.envs.spaces import gymnasium_spaces
from saccade.types import Spaces, UserError


@final
class ForkedEnv(gymnasium.Env[np.ndarray, Any]):
    """Has the spaces of ``PixelEnv``; every use raises UserError with what to do instead.

    Making it must not fail: ``gymnasium.vector.AsyncVectorEnv`` passes on what its processes raise when environments
    are reset, but waits forever, or breaks with a traceback, if they end before that.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, spaces: Spaces, message: str) -> None:
        """message: the message of every error."""
        self.observation_space, self.action_space = gymnasium_spaces(spaces)
        self._message = message

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Raises UserError."""
        raise UserError(self._message)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Raises UserError."""
        raise UserError(self._message)
