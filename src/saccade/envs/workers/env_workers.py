"""`EnvWorkers`: many environments in processes, stepped together, with observations in shared memory."""

from __future__ import annotations

import os
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Generic, NamedTuple, cast

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.spaces import Discrete as DiscreteSpace
from numpy.typing import ArrayLike, NDArray

from saccade.envs.suites import suite_of
from saccade.envs.workers.group import (
    Config,
    EnvGroup,
    EnvSpaces,
    MakeEnv,
    Renderer,
    Requests,
    State,
    map_block,
)
from saccade.envs.workers.pool import GRACE_SECONDS, PICTURE_SECONDS, Arrangement, WorkerPool, WorkerReplaced
from saccade.envs.workers.process import DEFAULT_OPENGL, Worker, WorkerError, current_opengl, end_workers
from saccade.types import Continuous, Discrete, Spaces, UserError

__all__ = ["Arrangement", "EnvWorkers", "Steps", "WorkerError", "WorkerReplaced"]

TIMEOUT_SECONDS = 300.0  # to make environments, whose simulator may be loaded over a slow network
STEP_SECONDS = 60.0  # the step after set_state may decode a clip on a busy machine
RGB = 3  # channels of a frame
NO_BLOCK = np.empty((0, 0, 0, 0), dtype=np.uint8)


class Steps(NamedTuple):
    """One step of ``n`` environments."""

    obs: NDArray[np.uint8]  # [n, channel, height, width]
    reward: NDArray[np.float64]  # [n]
    terminated: NDArray[np.bool_]  # [n]
    truncated: NDArray[np.bool_]  # [n]
    infos: list[dict[str, Any]]


class EnvWorkers(Generic[Config]):
    """Any number of environments, spread over processes; results do not depend on the number of processes.

    Environment ``i`` is ``make(configs[i], seeds[i])`` wherever it lives. Nothing is reset
    automatically. Observations are copies. A process that dies or freezes is replaced with a warning
    (``WorkerReplaced``), and its environments continue exactly where they were; see ``WorkerPool`` for what is tried
    if that does not help. An environment that cannot return its state (no ``get_state``, or wrapped) is lost with its
    process. An exception inside a call, including ``KeyboardInterrupt``, ends every process and leaves nothing behind.
    For Linux and macOS. Close it, or use it as a context manager.

    Args:
        configs: one per environment, as ``make`` takes them (picklable).
        seeds: one per environment.
        num_workers: processes; None for one per available core, 0 for none (the environments then live
            in the caller's process, and their exceptions arrive unchanged).
        timeout_seconds: time after which a process that makes environments, or sets or returns their states, counts as
            frozen; proportionally more for one with more than 8 of them.
        make: a function ``(config, seed) -> environment`` of an importable module;
            ``saccade.envs.make.make_env`` when None. Observations are uint8 [channel, height, width], actions
            float32 [action_dim] or one of Gymnasium's Discrete, which starts at 0.
        step_seconds: the same for a step; a reset may take twice as long.
        renderer: what is tried with a picture in each process before environments are made, of an importable module;
            the renderer of ``make_env`` when both are None.
        picture_seconds: time after which a process whose GPU has rendered no first picture counts as frozen; fewer
            processes are then tried. A software renderer has as long as a reset.
        opengl: what the processes render with, as MUJOCO_GL names it; ``default`` for MUJOCO_GL itself, or else the
            best that there is. Without processes it is the caller's own.
        colours: channels of a frame; those of the first configuration's suite when both this and ``make`` are
            None, else 3.

    Raises:
        UserError: as raised by ``make``, or for environments that do not fit together.
        WorkerError: a process raised (with its traceback), or was lost (with its signal) and could not be replaced.
    """

    obs_space: Box
    action_space: Box | DiscreteSpace
    reset_infos: list[dict[str, Any]]
    """Each environment's ``info`` from its latest reset."""

    def __init__(
        self,
        configs: Sequence[Config],
        seeds: Sequence[int],
        num_workers: int | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        make: MakeEnv[Config] | None = None,
        step_seconds: float = STEP_SECONDS,
        opengl: str = DEFAULT_OPENGL,
        renderer: Renderer | None = None,
        picture_seconds: float = PICTURE_SECONDS,
        colours: int | None = None,
    ) -> None:
        if not configs or len(configs) != len(seeds):
            raise ValueError(f"{len(configs)} configs and {len(seeds)} seeds: give one of each per environment")
        if num_workers is not None and num_workers < 0:
            raise UserError(f"num_workers is {num_workers}: give 0 (no processes) or more")
        self.num_envs = len(configs)
        self.num_workers = min(available_cores() if num_workers is None else num_workers, self.num_envs)
        self.reset_infos = [{} for _ in configs]
        self._colours = colours or (RGB if make is not None else suite_spaces(configs[0]).colours)
        self._posted: tuple[str, Requests] | None = None
        self._local: EnvGroup | None = None
        self._block = NO_BLOCK
        self._descriptor = anonymous_file()
        assignments = dict(enumerate(zip(configs, seeds, strict=True)))
        if make is None and renderer is None and self.num_workers > 0:
            renderer = default_renderer(configs)
        self._pool = WorkerPool(
            make,
            renderer,
            assignments,
            self.num_workers,
            self._descriptor,
            timeout_seconds,
            step_seconds,
            picture_seconds,
            opengl,
        )
        self._end = weakref.finalize(self, end_everything, os.getpid(), self._pool.workers, self._descriptor)
        with self._ended_on_failure():
            if self.num_workers == 0:
                self._local = EnvGroup(make, assignments)
                self._agree_on_spaces(self._local.spaces())
            else:
                self._pool.start()
                self._agree_on_spaces(self._pool.spaces)
            self._share_block()

    @property
    def spaces(self) -> Spaces:
        channel, height, width = self.obs_space.shape
        return Spaces((channel, height, width), self._actions, self._colours)

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the running workers, in order; empty without processes and once closed."""
        return [worker.process.pid for worker in self._pool.workers]

    @property
    def arrangement(self) -> Arrangement:
        """How many processes there are at the moment, what they render with and how many were lost."""
        if self.num_workers == 0:
            return Arrangement(0, self.num_envs, current_opengl(), 0)
        return self._pool.arrangement

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Where each environment's pixels currently come from."""
        return self._run("provenance", dict.fromkeys(range(self.num_envs), ()))

    def reset(
        self, indices: Sequence[int] | None = None, seeds: Sequence[int | None] | None = None
    ) -> NDArray[np.uint8]:
        """Start episodes in all environments or those of ``indices``; return obs [n, channel, height, width]."""
        chosen = self._choose(indices)
        given = [None] * len(chosen) if seeds is None else seeds
        infos = self._run("reset", one_each(chosen, given, "seeds"))
        for index, info in zip(chosen, infos, strict=True):
            self.reset_infos[index] = info
        return self._block[chosen]

    def step(self, actions: ArrayLike, indices: Sequence[int] | None = None) -> Steps:
        """Take one step in all environments or those of ``indices``.

        actions: float32 ``[n, action_dim]``, or whole numbers ``[n]`` if they are discrete.
        A finished environment waits for ``reset``.
        """
        self.begin_step(actions, indices)
        return self.finish_step()

    def begin_step(self, actions: ArrayLike, indices: Sequence[int] | None = None) -> None:
        """Begin a step whose result ``finish_step`` returns; the caller may compute in between."""
        chosen = self._choose(indices)
        discrete = isinstance(self._actions, Discrete)
        rows = np.array(actions) if discrete else np.array(actions, dtype=np.float32)
        needed = (len(chosen), *self._actions.shape)
        if rows.shape != needed:
            raise ValueError(f"actions have shape {rows.shape}, but {len(chosen)} environments need {needed}")
        if discrete:
            if rows.dtype.kind not in "iu":
                raise ValueError(f"actions are {rows.dtype}, but {self._actions} needs whole numbers")
            rows = rows.astype(np.int64)
        self._post("step", one_each(chosen, rows, "actions"))

    def finish_step(self) -> Steps:
        """Wait for the step that ``begin_step`` began, and return its result."""
        assert self._posted is not None and self._posted[0] == "step", "begin_step comes first"
        chosen = list(self._posted[1])
        rewards, terminated, truncated, infos = zip(*self._collect(), strict=True)
        return Steps(
            self._block[chosen],
            np.array(rewards, dtype=np.float64),
            np.array(terminated, dtype=np.bool_),
            np.array(truncated, dtype=np.bool_),
            list(infos),
        )

    def get_state(self, indices: Sequence[int] | None = None) -> list[State]:
        """Return, per environment, everything needed to continue bit for bit."""
        return self._run("get_state", dict.fromkeys(self._choose(indices), ()))

    def set_state(self, states: Sequence[State], indices: Sequence[int] | None = None) -> None:
        """Continue from what ``get_state`` returned, regardless of the number of workers at that time."""
        self._run("set_state", one_each(self._choose(indices), states, "states"))

    def remake(self, configs: Sequence[Config], seeds: Sequence[int]) -> None:
        """Close the environments and make as many new ones in the same processes, which is faster than starting again.

        Their observations and actions must have the same shapes.
        """
        assignments = dict(enumerate(zip(configs, seeds, strict=True)))
        assert len(assignments) == self.num_envs, f"{len(assignments)} in the place of {self.num_envs}"
        shape = self.obs_space.shape
        self.reset_infos = [{} for _ in configs]
        self._pool.reassign(assignments)
        spaces = self._run("remake", assignments)
        self._agree_on_spaces(dict(enumerate(spaces)))
        assert self.obs_space.shape == shape, f"observations {self.obs_space.shape} in the place of {shape}"

    def close(self) -> None:
        """End every process and release the shared memory; a second call does nothing."""
        local, self._local = self._local, None
        if local is not None:
            local.close()
        self._block = NO_BLOCK
        self._end()

    def __enter__(self) -> EnvWorkers[Config]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _agree_on_spaces(self, spaces: Mapping[int, EnvSpaces]) -> None:
        first = spaces[0]
        for index in range(self.num_envs):
            obs_space, action_space = spaces[index]
            pixels = isinstance(obs_space, Box) and obs_space.dtype == np.uint8
            actions = actions_of(action_space)
            if not pixels or len(obs_space.shape or ()) != 3 or actions is None:
                raise UserError(
                    f"environment {index} has observations {obs_space} and actions {action_space}:"
                    " uint8 observations [channel, height, width] and actions [action_dim] or Discrete, which starts at"
                    " 0, are needed"
                )
            if index == 0:
                self._actions = actions
            if (obs_space.shape, actions) != (first[0].shape, self._actions):
                raise UserError(
                    f"environment {index} has observations of shape {obs_space.shape} and {actions}, but environment 0"
                    f" {first[0].shape} and {self._actions}: one shape for all is needed"
                )
        self.obs_space, self.action_space = cast(tuple[Box, Box | DiscreteSpace], first)

    def _share_block(self) -> None:
        shape = (self.num_envs, *self.obs_space.shape)
        os.ftruncate(self._descriptor, int(np.prod(shape)))
        self._block = map_block(self._descriptor, shape)
        if self._local is not None:
            self._local.attach(self._block)
        self._pool.share_block(shape)

    def _choose(self, indices: Sequence[int] | None) -> list[int]:
        chosen = list(range(self.num_envs)) if indices is None else [int(index) for index in indices]
        if len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(self.num_envs)):
            raise ValueError(f"indices are {chosen}: give different ones below {self.num_envs}")
        return chosen

    def _run(self, command: str, requests: Requests) -> list[Any]:
        self._post(command, requests)
        return self._collect()

    def _post(self, command: str, requests: Requests) -> None:
        assert self._posted is None, f"{command} while a step is under way: call finish_step first"
        if not self._end.alive:
            raise WorkerError(f"{command} is too late: these environments were closed")
        with self._ended_on_failure():
            self._pool.post(command, requests)
        self._posted = command, requests

    def _collect(self) -> list[Any]:
        assert self._posted is not None
        (command, requests), self._posted = self._posted, None
        with self._ended_on_failure():
            if self._local is not None:
                results = self._local.run(command, requests)
            else:
                results = self._pool.collect(command, requests)
        return [results[index] for index in requests]

    @contextmanager
    def _ended_on_failure(self) -> Iterator[None]:
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            if not succeeded:
                end_workers(self._pool.workers, grace_seconds=0.0)
                self.close()


def actions_of(space: Space[Any]) -> Continuous | Discrete | None:
    """Return Gymnasium's space of actions as Saccade's; None if it is not supported."""
    if isinstance(space, DiscreteSpace):
        return Discrete(int(space.n)) if space.start == 0 else None
    shape = space.shape or ()
    return Continuous(shape[0]) if isinstance(space, Box) and len(shape) == 1 else None


def suite_spaces(config: Any) -> Spaces:
    """Return the spaces of an ``EnvConfig``'s environments, according to its suite."""
    return suite_of(config.task).spaces(config)


def default_renderer(configs: Sequence[Any]) -> Renderer | None:
    """Return the renderer of these environments' suites; None if none of them needs a trial."""
    made = (suite_of(config.task).renderer for config in configs)
    return next((make() for make in made if make is not None), None)


def one_each(indices: Sequence[int], values: Sequence[Any] | NDArray[Any], name: str) -> Requests:
    """Pair every environment with its own argument; ``name`` is for the error."""
    if len(values) != len(indices):
        raise ValueError(f"{len(values)} {name} for {len(indices)} environments: give one each")
    return {index: (value,) for index, value in zip(indices, values, strict=True)}


def end_everything(owner: int, workers: list[Worker], descriptor: int) -> None:
    """Clean up when closed or forgotten; ``owner`` is the process that started the workers."""
    if os.getpid() == owner:  # and not a fork of it, which must leave the owner's workers alone
        end_workers(workers, GRACE_SECONDS)
        os.close(descriptor)


def anonymous_file() -> int:
    """Open a file without a name: it vanishes with the last process that holds it, however that ends."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("saccade-observations")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    return descriptor


def available_cores() -> int:
    """Return the number of cores that this process may use, which in a container may be fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
