"""Many environments of one MiniGrid task, stepped and drawn at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import IntEnum
from typing import Any, final

import numpy as np

from saccade.envs.distractions.appearance import Appearance
from saccade.envs.tasks.minigrid.drawing import Drawing
from saccade.envs.tasks.minigrid.layouts import Layout
from saccade.envs.tasks.minigrid.physics import GridState, cell_ahead, play, things_at
from saccade.envs.tasks.minigrid.rules import RULES
from saccade.envs.tasks.minigrid.tasks import TASKS
from saccade.envs.tasks.minigrid.things import COLOUR_OF, COLOURS, EMPTY
from saccade.spelling import close_names
from saccade.types import UserError

TILE_SIZE = 8  # pixels: with it a grid of 8x8 cells is a picture of 64x64
StateValue = np.ndarray | int | float | str | bool


class Truth(IntEnum):
    """The grid's own truth about a pixel: whether a saliency map should be bright there."""

    UNIMPORTANT = 0  # empty floor
    IMPORTANT = 1  # the agent, and what the mission names
    IGNORED = 2  # walls, distractors, and everything else open to argument


@final
class GridWorlds:
    """``num_envs`` environments of one task.

    Each has its own random generator, used exactly as MiniGrid uses Gymnasium's: with the same seeds and actions
    episodes, rewards and ends are MiniGrid's, one episode after the other. An environment whose episode has ended must
    be ``reset`` before the next step. Environments never depend on each other.

    What matters to a task (``truth``, ``task_mask``) is the agent and what its mission names, wherever that lies: the
    goal; key, door and goal of DoorKey; key, locked door and goal of LockedRoom; every object that Fetch would reward;
    the object to pick up, move, put near or stand beside; the door to open; both of RedBlueDoors; the two that match in
    Memory. What is carried is not drawn, and so has no place.

    Args:
        task: a name in ``TASKS``.
        num_envs: how many there are.
        tile_size: pixels of a cell's side.
        appearances: looks that episodes may have; ``state.appearance`` is each environment's. None for
            MiniGrid's own look.

    Raises:
        UserError: the task is unknown, or MiniGrid is not installed.
    """

    def __init__(
        self,
        task: str,
        num_envs: int,
        tile_size: int = TILE_SIZE,
        appearances: Sequence[Appearance] | None = None,
    ) -> None:
        if task not in TASKS:
            near = " or ".join(close_names(task, TASKS)) or "a name in saccade.envs.tasks.minigrid.tasks.TASKS"
            raise UserError(f"there is no MiniGrid task {task!r}; did you mean {near}?")
        self.name, self.task = task, TASKS[task]
        self.num_envs, self.tile_size = num_envs, tile_size
        self.frame_shape = (self.task.height * tile_size, self.task.width * tile_size, 3)
        self.generators = [np.random.default_rng() for _ in range(num_envs)]
        self.missions = [""] * num_envs
        self.state = _blank_state(num_envs, self.task.height * self.task.width, self.task.num_obstacles)
        self._rule = RULES[self.task.rule]
        self._layouts = self._rule.layouts(self.task)
        self._draw = Drawing(self.task, num_envs, tile_size, appearances)
        self._plays = np.array(self._rule.plays)

    def reset(self, indices: Sequence[int] | np.ndarray, seeds: Sequence[int | None] | None = None) -> None:
        """Start an episode in these environments; a seed restarts its environment's random numbers."""
        for index, seed in zip(indices, [None] * len(indices) if seeds is None else seeds, strict=True):
            if seed is not None:
                self.generators[index] = np.random.default_rng(seed)
            self._begin(index, self._layouts(self.generators[index]))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Play one action (int ``[num_envs]``) in every environment.

        Return rewards (float64), whether episodes ended, and whether they ran out of time: ``[num_envs]`` each. Both
        may be true at once.

        Raises:
            UserError: an action that the task does not have.
        """
        state, rule, seen = self.state, self._rule, None
        actions = self._check_actions(actions)
        if rule.stir is not None:
            seen = things_at(state, cell_ahead(state, self.task.width))
            rule.stir(state, self.generators, self.task.width, self.task.height)
        turn, reward, terminated = play(state, self._plays[actions], seen, self.task.width, self.task.max_steps)
        if rule.judge is not None:
            rule.judge(state, turn, self.task.width, reward, terminated)
        np.logical_and(terminated, reward > 0, out=state.solved)
        return reward, terminated, state.steps >= self.task.max_steps

    def draw(self, indices: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
        """Return frames of these environments, by default of all: uint8 ``[n, height, width, 3]``, RGB.

        ``out`` is an array of that kind to draw into. A grid that is not square gives a picture that is not square.
        """
        which = slice(None) if indices is None else np.asarray(indices)
        shape = (len(self.state.agent[which]), *self.frame_shape)
        if out is None:
            out = np.empty(shape, np.uint8)
        assert out.shape == shape and out.dtype == np.uint8, (out.shape, shape)
        self._draw(self.state, which, out)
        return out

    def truth(self, indices: np.ndarray | None = None) -> np.ndarray:
        """Return which pixels of the current frames matter: uint8 ``[n, height, width]``, values of ``Truth``.

        Raises:
            UserError: the task has no mission.
        """
        important = self._important(indices)
        which = slice(None) if indices is None else np.asarray(indices)
        floor = np.where(self.state.things[which] == EMPTY, np.uint8(Truth.UNIMPORTANT), np.uint8(Truth.IGNORED))
        return self._pixels(np.where(important, np.uint8(Truth.IMPORTANT), floor))

    def task_mask(self, indices: np.ndarray | None = None) -> np.ndarray:
        """Return which pixels of the current frames show the task: bool ``[n, height, width]``; see ``truth``."""
        return self._pixels(self._important(indices))

    def success(self) -> np.ndarray:
        """Return whether each environment's last step ended its episode with a reward above 0: bool ``[num_envs]``.

        Raises:
            UserError: the task has no mission.
        """
        self._check_mission()
        return self.state.solved.copy()

    def save(self, index: int) -> dict[str, StateValue]:
        """Return all that one environment's later steps and episodes depend on, bit for bit.

        It may be restored at any place in any batch of the same task.
        """
        generator = json.dumps(self.generators[index].bit_generator.state)
        arrays = {field.name: np.array(getattr(self.state, field.name)[index]) for field in fields(self.state)}
        return {"task": self.name, "mission": self.missions[index], "generator": generator, **arrays}

    def restore(self, index: int, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned. Raises UserError if it is another task's."""
        if state["task"] != self.name:
            raise UserError(f"this is a state of {state['task']!r}, but these environments play {self.name!r}")
        for field in fields(self.state):
            getattr(self.state, field.name)[index] = state[field.name]
        self.missions[index] = str(state["mission"])
        self.generators[index] = np.random.default_rng()
        self.generators[index].bit_generator.state = json.loads(state["generator"])

    def _check_actions(self, actions: np.ndarray) -> np.ndarray:
        given, count = np.asarray(actions), self.task.num_actions
        whole = given.shape == (self.num_envs,) and given.dtype.kind in "iu"
        if not whole or (given.astype(np.uint64) >= count).any():  # a negative number becomes a large one
            raise UserError(f"actions are {actions!r}, but must be {self.num_envs} whole numbers in 0..{count - 1}")
        return given

    def _begin(self, index: int, layout: Layout) -> None:
        state, mission = self.state, layout.mission
        state.things[index] = layout.things
        state.contents[index] = EMPTY
        for cell, content in layout.contents.items():
            state.contents[index, cell] = content
        named = list(mission.named)
        state.named[index] = False
        state.named[index, named] = True
        state.agent[index], state.direction[index] = layout.agent, layout.direction
        state.carried[index] = state.carried_contents[index] = EMPTY
        state.carried_named[index] = state.solved[index] = False
        state.steps[index] = 0
        state.places[index] = mission.places
        state.wanted[index] = mission.wanted
        state.obstacles[index] = mission.obstacles
        state.kept_colours[index] = False
        state.kept_colours[index, COLOUR_OF[state.things[index, named]]] = True
        self.missions[index] = layout.text

    def _important(self, indices: np.ndarray | None) -> np.ndarray:
        """The agent's cell and those of what the mission names: bool ``[n, cells]``."""
        self._check_mission()
        which = slice(None) if indices is None else np.asarray(indices)
        cells = self.state.named[which].copy()
        cells[np.arange(len(cells)), self.state.agent[which]] = True
        return cells

    def _pixels(self, cells: np.ndarray) -> np.ndarray:
        """``[n, cells]`` as ``[n, height, width]``: every pixel has its cell's value."""
        height, width, size = self.task.height, self.task.width, self.tile_size
        grid = cells.reshape(-1, height, 1, width, 1)
        return np.broadcast_to(grid, (len(cells), height, size, width, size)).reshape(len(cells), *self.frame_shape[:2])

    def _check_mission(self) -> None:
        if not self._rule.has_mission:
            raise UserError(f"{self.name} has no mission, so nothing in it counts as important or as a success")


def _blank_state(num_envs: int, cells: int, num_obstacles: int) -> GridState:
    def numbers(*shape: int) -> np.ndarray:
        return np.zeros((num_envs, *shape), np.int64)

    def things(*shape: int) -> np.ndarray:
        return np.full((num_envs, *shape), EMPTY, np.uint8)

    def flags(*shape: int) -> np.ndarray:
        return np.zeros((num_envs, *shape), bool)

    return GridState(
        things=things(cells), contents=things(cells), named=flags(cells),
        agent=numbers(), direction=numbers(),
        carried=things(), carried_contents=things(), carried_named=flags(),
        steps=numbers(), places=numbers(2), wanted=things(), obstacles=numbers(num_obstacles),
        solved=flags(), appearance=numbers(), kept_colours=flags(len(COLOURS)),
    )  # fmt: skip
