"""Environments that restart themselves: what a loop of rollouts plays in.

Whoever plays them never resets one: where an episode has ended, the observation that comes back is the first of the
next. ``WorkerStreams`` makes such environments of any suite's; a simulator that steps and draws a whole batch at once
brings its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.workers.env_workers import Arrangement, EnvWorkers
from saccade.types import Spaces

SUCCESS = "is_success"
"""What ``info`` of a step calls it, here and in other libraries."""


class StreamStep(NamedTuple):
    """One step of ``n`` environments, and the beginning of the next episode where one has ended."""

    obs: NDArray[np.uint8]
    """``[n, channel, height, width]``: what to act on next."""
    reward: NDArray[np.float64]  # [n]
    terminated: NDArray[np.bool_]  # [n]: by the task
    truncated: NDArray[np.bool_]  # [n]: by the clock
    last_obs: NDArray[np.uint8]
    """``[ended, channel, height, width]``: the last observations of the episodes that have ended, in order."""
    success: NDArray[np.bool_] | None = None
    """``[n]``: where the task says so, whether this step succeeded."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """``[n]``: which episodes have ended."""
        return self.terminated | self.truncated


class Streams(Protocol):
    """Any number of environments that are stepped together and restart themselves. Close them when done.

    Attributes:
        num_envs: how many.
        spaces: of each.
        arrangement: how they are spread over processes, and what draws.
    """

    @property
    def num_envs(self) -> int: ...

    @property
    def spaces(self) -> Spaces: ...

    @property
    def arrangement(self) -> Arrangement: ...

    def start(self) -> NDArray[np.uint8]:
        """Begin an episode in each: observations ``[n, channel, height, width]``. Once, before the first step."""
        ...

    def step(self, actions: NDArray[Any]) -> StreamStep:
        """Play one action in each: float32 ``[n, action_dim]``, or int64 ``[n]`` where actions are discrete."""
        ...

    def get_state(self) -> list[dict[str, Any]]:
        """Everything that later steps depend on, per environment, as arrays and plain values."""
        ...

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        """Continue, bit for bit, from what ``get_state`` gave; ``start`` is then not needed."""
        ...

    def close(self) -> None: ...


@final
class WorkerStreams:
    """The environments of an ``EnvWorkers``, restarted as they end; it is closed with them.

    Args:
        workers: freshly made, in which nothing was played.
    """

    def __init__(self, workers: EnvWorkers[Any]) -> None:
        self._workers = workers

    @property
    def num_envs(self) -> int:
        return self._workers.num_envs

    @property
    def spaces(self) -> Spaces:
        return self._workers.spaces

    @property
    def arrangement(self) -> Arrangement:
        return self._workers.arrangement

    def start(self) -> NDArray[np.uint8]:
        return self._workers.reset()

    def step(self, actions: NDArray[Any]) -> StreamStep:
        step = self._workers.step(actions)
        ended = np.flatnonzero(step.terminated | step.truncated)
        obs, last = step.obs, step.obs[ended]
        success = None
        if all(SUCCESS in info for info in step.infos):
            success = np.array([bool(info[SUCCESS]) for info in step.infos])
        if len(ended):
            obs[ended] = self._workers.reset([int(index) for index in ended])
        return StreamStep(obs, step.reward, step.terminated, step.truncated, last, success)

    def get_state(self) -> list[dict[str, Any]]:
        return list(self._workers.get_state())

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        self._workers.set_state(states)

    def close(self) -> None:
        self._workers.close()
