"""How an episode begins: MiniGrid's own generators, read into arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from saccade.envs.tasks.minigrid.tasks import GridTask
from saccade.envs.tasks.minigrid.things import EMPTY, NUMBERS
from saccade.types import UserError

NOWHERE = -1


class Mission(NamedTuple):
    """What a task's rule depends on, read off a generated grid.

    Attributes:
        named: the cells of what the mission names.
        places: cells that the rule compares with.
        wanted: number of the thing to be carried; ``EMPTY`` for none.
        obstacles: cells of what moves by itself, in the order in which it moves.
    """

    named: Sequence[int]
    places: tuple[int, int] = (NOWHERE, NOWHERE)
    wanted: int = EMPTY
    obstacles: Sequence[int] = ()


class Layout(NamedTuple):
    """The first state of an episode; cells are numbered row by row.

    Attributes:
        things: what lies in each cell, a number in ``THINGS`` each.
        contents: cell -> what the box there holds.
        agent: the agent's cell.
        direction: 0 right, 1 down, 2 left, 3 up.
        mission: what the rule asks about.
        text: the mission in words; the pictures do not show it.
    """

    things: Sequence[int] | np.ndarray
    contents: dict[int, int]
    agent: int
    direction: int
    mission: Mission
    text: str


def load_minigrid() -> None:
    """Import MiniGrid. Raises UserError, with what to install, if it is missing."""
    try:
        import gymnasium  # noqa: F401  # first: it imports MiniGrid to register it
        import minigrid  # noqa: F401
    except ImportError as error:
        problem = str(error)
    else:
        return
    raise UserError(f'MiniGrid tasks need its package ({problem}): pip install "saccade-rl[minigrid]"')


def stock_env(task: GridTask) -> Any:
    """Make MiniGrid's own environment of a task, without Gymnasium's wrappers or a highlighted view."""
    load_minigrid()
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    row = gymnasium.registry[task.gymnasium_id]
    return load_env_creator(str(row.entry_point))(**(row.kwargs | {"highlight": False}))


class StockLayouts:
    """Draws layouts as MiniGrid's ``reset`` does: with the same numbers from the same generator.

    One environment of MiniGrid serves any number of ours, since nothing of an episode persists in it but the
    generator.
    """

    def __init__(self, task: GridTask, read_mission: Callable[[Any], Mission]) -> None:
        self._env = stock_env(task)
        self._read_mission = read_mission

    def __call__(self, generator: np.random.Generator) -> Layout:
        """Draw the next layout; it advances ``generator``."""
        env = self._env
        env.np_random = generator
        env.agent_pos, env.agent_dir = (-1, -1), -1
        env._gen_grid(env.width, env.height)
        things, contents = [EMPTY] * len(env.grid.grid), {}
        for cell, content in enumerate(env.grid.grid):
            if content is not None:
                things[cell] = NUMBERS[content.encode()]
                if content.contains is not None:
                    contents[cell] = NUMBERS[content.contains.encode()]
        agent = cell_of(env, env.agent_pos)
        return Layout(things, contents, agent, int(env.agent_dir), self._read_mission(env), env.mission)


def cell_of(env: Any, position: Sequence[int]) -> int:
    """Return the number of MiniGrid's cell (x, y)."""
    return int(position[1]) * int(env.width) + int(position[0])


def cells_where(env: Any, test: Callable[[Any], bool]) -> list[int]:
    """Return the cells whose content, one of MiniGrid's objects, passes a test."""
    return [cell for cell, content in enumerate(env.grid.grid) if content is not None and test(content)]
