"""`EnvGroup`: the environments of one process and the commands they execute."""

from __future__ import annotations

import mmap
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import gymnasium

Config = TypeVar("Config")
MakeEnv = Callable[[Config, int | None], "gymnasium.Env[Any, Any]"]
EnvSpaces = tuple["gymnasium.Space[Any]", "gymnasium.Space[Any]"]
State = dict[str, Any]
Requests = Mapping[int, tuple[Any, ...]]


class Described(Protocol):
    """An unwrapped environment that reports where its pixels come from."""

    @property
    def provenance(self) -> Mapping[str, Any]: ...


@runtime_checkable
class Restorable(Protocol):
    """An unwrapped environment that can be saved, and continued elsewhere."""

    def get_state(self) -> State: ...

    def set_state(self, state: State) -> None: ...


class Renderer(Protocol):
    """A renderer, tried in a process before environments are made there, since drivers may hang in a first picture."""

    def load(self) -> bool:
        """Import the renderer; return whether it is a GPU, whose first picture comes at once or never."""
        ...

    def draw(self) -> str:
        """Render a test picture; return what rendered it, in OpenGL's words (GL_RENDERER)."""
        ...


class EnvGroup:
    """Environments that live in this process, each with its own row of one observation block.

    A command takes ``{environment: arguments}`` and returns ``{environment: result}``. Observations do
    not travel with the results: they are written to ``block[environment]``.

    Args:
        make: ``(config, seed) -> environment``; ``saccade.envs.make.make_env`` when None.
        assignments: ``{environment: (config, seed)}``.
    """

    def __init__(self, make: MakeEnv[Any] | None, assignments: Mapping[int, tuple[Any, int]]) -> None:
        chosen_make = make or default_make()
        self._envs: dict[int, gymnasium.Env[Any, Any]] = {}
        self._block: NDArray[np.uint8] | None = None
        self._commands: dict[str, Callable[..., Any]] = {
            "reset": self._reset,
            "step": self._step,
            "get_state": lambda index: self._restorable(index).get_state(),
            "set_state": lambda index, state: self._restorable(index).set_state(state),
            "provenance": lambda index: dict(cast(Described, self._envs[index].unwrapped).provenance),
            "repeat": self._repeat,
            "remake": self._remake,
        }
        self._make = chosen_make
        for index, (config, seed) in assignments.items():
            self._envs[index] = chosen_make(config, seed)

    def spaces(self) -> dict[int, EnvSpaces]:
        return {index: (env.observation_space, env.action_space) for index, env in self._envs.items()}

    def attach(self, block: NDArray[np.uint8]) -> None:
        """Use ``block`` [num_envs, channel, height, width] as the place for observations."""
        self._block = block

    def run(self, command: str, requests: Requests) -> dict[int, Any]:
        return {index: self._commands[command](index, *request) for index, request in requests.items()}

    def states(self, indices: Sequence[int]) -> dict[int, bytes | None]:
        """Return, per environment, everything needed to continue bit for bit, pickled; None if it cannot provide it."""
        return {index: self._state(index) for index in indices}

    def close(self) -> None:
        for env in self._envs.values():
            env.close()

    def _remake(self, index: int, config: Any, seed: int) -> EnvSpaces:
        """Make a new environment in the place of another."""
        self._envs.pop(index).close()
        env = self._envs[index] = self._make(config, seed)
        return env.observation_space, env.action_space

    def _reset(self, index: int, seed: int | None) -> dict[str, Any]:
        obs, info = self._envs[index].reset(seed=seed)
        self._show(index, obs)
        return info

    def _step(self, index: int, action: NDArray[Any]) -> tuple[float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self._envs[index].step(action)
        self._show(index, obs)
        return float(reward), bool(terminated), bool(truncated), info

    def _repeat(
        self, index: int, state: bytes | None, actions: Sequence[NDArray[Any]], rewards: Sequence[float]
    ) -> bool:
        """Bring a new environment to where another process had it; return whether it gives the same rewards again.

        Its observations are not shown: the block may hold those of a command that was answered since.
        """
        if state is not None:
            self._restorable(index).set_state(pickle.loads(state))
        again = [float(self._envs[index].step(action)[1]) for action in actions]
        return np.array_equal(again, rewards, equal_nan=True)

    def _state(self, index: int) -> bytes | None:
        env = self._envs[index]
        if env is not env.unwrapped or not isinstance(env, Restorable):  # a wrapper may have a state of its own
            return None
        try:
            return pickle.dumps(env.get_state())
        except NotImplementedError:  # a custom environment that has the method but no state
            return None

    def _show(self, index: int, obs: NDArray[np.uint8]) -> None:
        assert self._block is not None, "attach comes before reset and step"
        assert obs.shape == self._block.shape[1:] and obs.dtype == np.uint8, (obs.shape, obs.dtype)
        self._block[index] = obs

    def _restorable(self, index: int) -> Restorable:
        return cast(Restorable, self._envs[index].unwrapped)


def map_block(descriptor: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Map the observation block of an open file, shared by every process that maps it."""
    memory = mmap.mmap(descriptor, int(np.prod(shape)))
    return np.frombuffer(memory, dtype=np.uint8).reshape(shape)


def default_make() -> MakeEnv[Any]:
    """Return ``saccade.envs.make.make_env``, imported late: only processes with environments load a simulator."""
    from saccade.envs.make import make_env

    return make_env
