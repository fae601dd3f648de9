"""Grid worlds beside MiniGrid's own environments: the same actions, and an agent that meets things often."""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.envs.tasks.minigrid.layouts import stock_env
from saccade.envs.tasks.minigrid.physics import cell_ahead, things_at
from saccade.envs.tasks.minigrid.tasks import TASKS
from saccade.envs.tasks.minigrid.things import CAN_ENTER, EMPTY, NUMBERS, WALL
from saccade.envs.tasks.minigrid.world import GridWorlds

MOSTLY_WALKING = (0.15, 0.15, 0.5, 0.025, 0.125, 0.025, 0.025)
MOSTLY_HANDLING = (0.03, 0.03, 0.24, 0.3, 0.04, 0.3, 0.06)


def lively_actions(worlds: GridWorlds, random: np.random.Generator) -> np.ndarray:
    """Random actions that handle what lies ahead more often than chance would."""
    count = worlds.task.num_actions
    if count < len(MOSTLY_WALKING):
        return random.integers(count, size=worlds.num_envs)
    walking, handling = (
        random.choice(count, size=worlds.num_envs, p=shares) for shares in (MOSTLY_WALKING, MOSTLY_HANDLING)
    )
    meets = things_at(worlds.state, cell_ahead(worlds.state, worlds.task.width)) > WALL
    return np.where(meets, handling, walking)


class Beside:
    """A batch and as many environments of MiniGrid, which are seeded, moved and restarted together."""

    def __init__(self, name: str, seeds: list[int]) -> None:
        self.task = TASKS[name]
        self.worlds = GridWorlds(name, len(seeds))
        self.stock = [stock_env(self.task) for _ in seeds]
        self.worlds.reset(range(len(seeds)), seeds)
        for env, seed in zip(self.stock, seeds, strict=True):
            env.reset(seed=seed)
        self.successes = 0

    def step(self, actions: np.ndarray) -> None:
        """Play, compare rewards, ends and all that lies about, and start new episodes where any has ended."""
        rewards, terminated, truncated = self.worlds.step(actions)
        for index, env in enumerate(self.stock):
            _, reward, ended, timed_out, _ = env.step(int(actions[index]))
            assert (rewards[index], terminated[index], truncated[index]) == (reward, ended, timed_out)
            self.compare(index)
            assert self.worlds.state.solved[index] == (ended and reward > 0)
            self.successes += bool(ended and reward > 0)
            if ended or timed_out:
                self.worlds.reset([index])
                env.reset()
                self.compare(index)

    def compare(self, index: int) -> None:
        env, state = self.stock[index], self.worlds.state
        assert state.things[index].tolist() == [number(content) for content in env.grid.grid]
        assert state.contents[index].tolist() == [number(content and content.contains) for content in env.grid.grid]
        assert state.carried[index] == number(env.carrying)
        assert state.agent[index] == env.agent_pos[1] * env.width + env.agent_pos[0]
        assert state.direction[index] == env.agent_dir
        assert self.worlds.missions[index] == env.mission
        assert self.worlds.generators[index].bit_generator.state == env.np_random.bit_generator.state

    def put_beside_something(self, random: np.random.Generator) -> None:
        """Set each agent, in both, before a thing in the rooms that are open to it, where there is one."""
        width = self.task.width
        for index, env in enumerate(self.stock):
            things = self.worlds.state.things[index]
            places = [
                (cell, direction)
                for cell in _open_cells(things, int(self.worlds.state.agent[index]), width)
                for direction, step in enumerate((1, width, -1, -width))
                if things[cell] == EMPTY and things[cell + step] > WALL
            ]
            if places:
                cell, direction = places[random.integers(len(places))]
                row, column = divmod(cell, width)
                env.agent_pos, env.agent_dir = (column, row), direction
                self.worlds.state.agent[index], self.worlds.state.direction[index] = cell, direction


def _open_cells(things: np.ndarray, agent: int, width: int) -> list[int]:
    """Where the agent could walk without opening anything."""
    found, looked_at = [agent], 0
    while looked_at < len(found):
        cell = found[looked_at]
        looked_at += 1
        around = (cell + step for step in (1, width, -1, -width))
        found += [near for near in around if CAN_ENTER[things[near]] and near not in found]
    return found


def number(content: Any) -> int:
    """Our number of one of MiniGrid's objects, or of nothing."""
    return EMPTY if content is None else NUMBERS[content.encode()]
