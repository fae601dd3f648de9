"""One grid world as ``PixelEnv`` plays it, and a whole batch of them for loops of rollouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.config import EnvConfig
from saccade.envs.distractions import Nuisance
from saccade.envs.distractions.appearance import Appearance, AppearanceBank
from saccade.envs.nuisances import NO_CHOICE, nuisances_of
from saccade.envs.oracle import OFF, shown
from saccade.envs.simulation import REPEATED, Before, StateValue, repeated
from saccade.envs.streams import SUCCESS, StreamStep
from saccade.envs.suites import suite_of
from saccade.envs.tasks.minigrid.rules import RULES
from saccade.envs.tasks.minigrid.tasks import ACTION_NAMES
from saccade.envs.tasks.minigrid.world import GridWorlds, Truth
from saccade.envs.tasks.minigrid_suite import COLOURS, PUBLISHED_WRONG_PICK, grid_task, tile_size_of
from saccade.envs.workers.env_workers import Arrangement
from saccade.envs.workers.process import NO_OPENGL
from saccade.types import Discrete, Spaces


def worlds_of(config: EnvConfig, count: int, nuisances: Sequence[Nuisance]) -> GridWorlds:
    """Make this many worlds, which can have the looks of the mode's distractions."""
    looks: tuple[Appearance, ...] | None = None
    for nuisance in nuisances:
        looks = nuisance.appearances if isinstance(nuisance, AppearanceBank) else looks
    return GridWorlds(config.task.partition("/")[2], count, tile_size_of(config), looks)


def rewarded(config: EnvConfig, reward: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rewards as the configuration defines them."""
    return np.where(reward < 0, float(config.options.wrong_pick), reward) if _changes_rewards(config) else reward


def _changes_rewards(config: EnvConfig) -> bool:
    return bool(config.options.wrong_pick != PUBLISHED_WRONG_PICK)


def settings_of(config: EnvConfig) -> dict[str, object]:
    """Return settings that differ from the defaults, for the provenance."""
    spaces, settings = suite_of(config.task).spaces(config), dict[str, object]()
    if isinstance(spaces.actions, Discrete) and spaces.actions.count != grid_task(config.task).num_actions:
        settings["num_actions"] = spaces.actions.count
    if _changes_rewards(config):
        settings["wrong_pick"] = config.options.wrong_pick
    return settings


@final
class GridSimulation:
    """A ``Simulation`` of one grid world. Distractions paint on the world itself."""

    colours = COLOURS
    control_seconds = 0.2  # for videos: five steps a second
    before: Before = REPEATED

    def __init__(self, config: EnvConfig) -> None:
        self._config = config
        self.scene = self._worlds = worlds_of(config, 1, nuisances_of(config))
        self.size = self._worlds.frame_shape[:2]
        self.actions = suite_of(config.task).spaces(config).actions
        self.action_names = ACTION_NAMES[: self.actions.count] if isinstance(self.actions, Discrete) else ()
        self.settings: Mapping[str, object] = settings_of(config)
        self.versions: Mapping[str, str] = {"minigrid": version("minigrid")}
        self._seed: int | None = None

    def check_usable(self) -> None:
        """Raise nothing: it is usable anywhere."""

    def seed(self, seed: int) -> None:
        self._seed = seed

    def reset(self) -> None:
        self._worlds.reset([0], [self._seed])
        self._seed = None

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        return repeated(lambda: self._step(action), control_steps)

    def _step(self, action: Any) -> tuple[float, bool]:
        reward, terminated, _ = self._worlds.step(np.array([action]))
        return float(rewarded(self._config, reward)[0]), bool(terminated[0])

    def picture(self) -> np.ndarray:
        return self._worlds.draw()[0]

    def mask(self, ground: bool = False) -> np.ndarray | None:
        return self._worlds.task_mask()[0] if knows_success(self._config) else None

    def outcome(self) -> dict[str, Any]:
        return {SUCCESS: bool(self._worlds.success()[0])} if knows_success(self._config) else {}

    def save(self) -> dict[str, StateValue]:
        return {f"world/{name}": value for name, value in self._worlds.save(0).items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._worlds.restore(0, _of_world(state))
        self._seed = None

    def close(self) -> None:
        """Do nothing."""


def knows_success(config: EnvConfig) -> bool:
    """Return whether the task has a mission, which defines what matters and what a success is."""
    return RULES[grid_task(config.task).rule].has_mission


def ignored_pixels(simulation: GridSimulation) -> np.ndarray:
    """Return walls, distractors and everything else open to argument: bool ``[H, W]``; see ``Truth``."""
    return simulation.scene.truth()[0] == Truth.IGNORED


def _of_world(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("world/"): value for name, value in state.items() if name.startswith("world/")}


@final
class GridStreams:
    """``Streams`` of a batch of grid worlds in one mode; each equals, pixel by pixel, the ``PixelEnv`` of its seed.

    Args:
        config: for all environments.
        seeds: one each.
    """

    def __init__(self, config: EnvConfig, seeds: Sequence[int]) -> None:
        self._config, self._seeds = config, list(seeds)
        self._nuisances = nuisances_of(config)
        self._worlds = worlds_of(config, len(seeds), self._nuisances)
        self._spaces = suite_of(config.task).spaces(config)
        self._limit = config.episode_agent_steps
        self._knows_success = knows_success(config)
        self._tells_truth = config.task_mask and self._knows_success
        self._masks = np.zeros((len(seeds), config.frame_stack, *self._worlds.frame_shape[:2]), np.bool_)
        self._has_oracle = config.options.oracle_mask != OFF
        self._random = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]  # seeded as in Gymnasium
        self._choices = np.full((len(seeds), len(self._nuisances)), NO_CHOICE, np.int64)
        self._steps = np.zeros(len(seeds), np.int64)
        self._frames = np.zeros((len(seeds), config.frame_stack, *self._worlds.frame_shape), np.uint8)

    @property
    def num_envs(self) -> int:
        return len(self._seeds)

    @property
    def spaces(self) -> Spaces:
        return self._spaces

    @property
    def arrangement(self) -> Arrangement:
        return Arrangement(0, self.num_envs, NO_OPENGL, 0)

    def start(self) -> NDArray[np.uint8]:
        self._begin(np.arange(self.num_envs), self._seeds)
        return self._observations()

    def step(self, actions: NDArray[Any]) -> StreamStep:
        reward, terminated, _ = self._worlds.step(np.asarray(actions))
        self._steps += 1
        truncated = ~terminated & (self._steps >= self._limit)
        success = self._worlds.success().copy() if self._knows_success else None
        self._frames[:, :-1] = self._frames[:, 1:]
        self._frames[:, -1] = self._drawn(np.arange(self.num_envs))
        if self._tells_truth:
            self._masks[:, :-1] = self._masks[:, 1:]
            self._masks[:, -1] = self._worlds.task_mask()
        ended = np.flatnonzero(terminated | truncated)
        last = self._observations(ended)
        if len(ended):
            self._begin(ended, [None] * len(ended))
        return StreamStep(self._observations(), rewarded(self._config, reward), terminated, truncated, last, success)

    def truth(self) -> NDArray[np.bool_] | None:
        return self._masks.copy() if self._tells_truth else None

    def get_state(self) -> list[dict[str, Any]]:
        return [
            {
                **{f"world/{name}": value for name, value in self._worlds.save(index).items()},
                "generator": json.dumps(self._random[index].bit_generator.state),
                "choices": self._choices[index].copy(),
                "agent_steps": int(self._steps[index]),
                "frames": self._frames[index].copy(),
                **({"masks": self._masks[index].copy()} if self._tells_truth else {}),
            }
            for index in range(self.num_envs)
        ]

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        for index, state in enumerate(states):
            self._worlds.restore(index, _of_world(state))
            self._random[index].bit_generator.state = json.loads(state["generator"])
            self._choices[index] = state["choices"]
            self._steps[index] = int(state["agent_steps"])
            self._frames[index] = state["frames"]
            if self._tells_truth:
                self._masks[index] = state["masks"]

    def close(self) -> None:
        """Do nothing."""

    def _begin(self, indices: NDArray[np.int64], seeds: Sequence[int | None]) -> None:
        """Begin episodes, with the first frame repeated."""
        for index in indices:
            for place, nuisance in enumerate(self._nuisances):
                choice = nuisance.choose(int(self._choices[index, place]), self._random[index])
                self._choices[index, place] = choice
        self._worlds.reset(indices, list(seeds))
        self._steps[indices] = 0
        for place, nuisance in enumerate(self._nuisances):
            if isinstance(nuisance, AppearanceBank):
                self._worlds.state.appearance[indices] = self._choices[indices, place]
        self._frames[indices] = self._drawn(indices)[:, None]
        if self._tells_truth:
            self._masks[indices] = self._worlds.task_mask(indices)[:, None]

    def _drawn(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        frames = self._worlds.draw(None if len(indices) == self.num_envs else indices)
        for place, nuisance in enumerate(self._nuisances):
            if not isinstance(nuisance, AppearanceBank):
                for row, index in enumerate(indices):
                    frames[row] = nuisance.apply(frames[row], int(self._choices[index, place]), int(self._steps[index]))
        return shown(frames, self._worlds.task_mask(indices)) if self._has_oracle else frames

    def _observations(self, indices: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.uint8]:
        """``[n, frames * colours, height, width]``, a copy; single frames are in the order in which they are drawn."""
        frames = self._frames[indices].copy() if isinstance(indices, slice) else self._frames[indices]
        if frames.shape[1] == 1:
            return frames[:, 0].transpose(0, 3, 1, 2)
        stacked = np.ascontiguousarray(frames.transpose(0, 1, 4, 2, 3))
        return stacked.reshape(len(frames), *self._spaces.obs_shape)
