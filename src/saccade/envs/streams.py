"""Environments that restart themselves, for loops that learn from rollouts.

They are never reset by the caller: when an episode has ended, the observation that comes back is the first of the
next. ``WorkerStreams`` makes such environments from any suite's; a simulator that steps and renders a whole batch at
once brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.workers.env_workers import Arrangement, EnvWorkers
from saccade.types import Spaces

SUCCESS = "is_success"
"""The key of success in a step's ``info``, here and in other libraries."""


TASK_MASK = "task_mask"
"""The key in ``info`` of the pixels that show the task, bool ``[frames, height, width]``."""


def masks_of(infos: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    """Return each environment's mask of its observation, ``[n, frames, height, width]``; None if one has none."""
    known = all(TASK_MASK in info for info in infos)
    return np.stack([np.asarray(info[TASK_MASK], np.bool_) for info in infos]) if known else None


class StreamStep(NamedTuple):
    """One step of ``n`` environments, and the start of the next episode where one has ended."""

    obs: NDArray[np.uint8]
    """``[n, channel, height, width]``: what to act on next."""
    reward: NDArray[np.float64]  # [n]
    terminated: NDArray[np.bool_]  # [n]: by the task
    truncated: NDArray[np.bool_]  # [n]: by the clock
    last_obs: NDArray[np.uint8]
    """``[ended, channel, height, width]``: the last observations of the episodes that have ended, in order."""
    success: NDArray[np.bool_] | None = None
    """``[n]``: whether this step succeeded, if the task says so."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """``[n]``: which episodes have ended."""
        return self.terminated | self.truncated


class Streams(Protocol):
    """Any number of environments that are stepped together and restart themselves. Close them when done.

    Attributes:
        num_envs: how many.
        spaces: of each.
        arrangement: how they are spread over processes, and what renders.
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
        """Play one action in each: float32 ``[n, action_dim]``, or int64 ``[n]`` if actions are discrete."""
        ...

    def truth(self) -> NDArray[np.bool_] | None:
        """Return a copy of the simulator's own masks of the last observations, ``[n, frames, height, width]``.

        None if the configuration's ``task_mask`` is off.
        """
        ...

    def get_state(self) -> list[dict[str, Any]]:
        """Return everything that later steps depend on, per environment, as arrays and plain values."""
        ...

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        """Continue, bit for bit, from what ``get_state`` returned; ``start`` is then not needed."""
        ...

    def close(self) -> None: ...


@final
class WorkerStreams:
    """The environments of an ``EnvWorkers``, restarted as they end; closing it closes them.

    Args:
        workers: freshly made, with nothing played yet.
    """

    def __init__(self, workers: EnvWorkers[Any]) -> None:
        self._workers = workers
        self._truth: NDArray[np.bool_] | None = None

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
        obs = self._workers.reset()
        self._truth = masks_of(self._workers.reset_infos)
        return obs

    def step(self, actions: NDArray[Any]) -> StreamStep:
        step = self._workers.step(actions)
        ended = np.flatnonzero(step.terminated | step.truncated)
        obs, last = step.obs, step.obs[ended]
        success = None
        if all(SUCCESS in info for info in step.infos):
            success = np.array([bool(info[SUCCESS]) for info in step.infos])
        self._truth = masks_of(step.infos)
        if len(ended):
            obs[ended] = self._workers.reset([int(index) for index in ended])
            if self._truth is not None:
                self._truth[ended] = masks_of([self._workers.reset_infos[index] for index in ended])
        return StreamStep(obs, step.reward, step.terminated, step.truncated, last, success)

    def truth(self) -> NDArray[np.bool_] | None:
        return None if self._truth is None else self._truth.copy()

    def get_state(self) -> list[dict[str, Any]]:
        return list(self._workers.get_state())

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        self._workers.set_state(states)

    def close(self) -> None:
        self._workers.close()
