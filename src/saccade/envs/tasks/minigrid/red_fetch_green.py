"""Red-Fetch-Green: a red agent has to fetch the green one of three objects (Xing et al., 2022).

The paper (*Policy Distillation with Selective Input Gradient Regularization for Efficient Interpretability*) describes
it in one sentence. What that leaves open follows ``FetchColorEnv`` in its first author's own MiniGrid: keys or
balls at random in fixed colours, +1 and -1, 5 * 8^2 steps. Numbers are drawn in the order of MiniGrid's ``FetchEnv``.
"""

from __future__ import annotations

import numpy as np

from saccade.envs.tasks.minigrid.layouts import Layout, Mission
from saccade.envs.tasks.minigrid.physics import GridState, Turn
from saccade.envs.tasks.minigrid.things import COLOURS, EMPTY, WALL, ball, key

SIZE = 8  # cells of a side, walls included
OBJECT_COLOURS = ("green", "yellow", "blue")  # the first is the target
NUM_WORDINGS = 5  # of FetchEnv's mission; drawn, but without effect

_WALLED = np.full((SIZE, SIZE), EMPTY)
_WALLED[[0, -1]] = _WALLED[:, [0, -1]] = WALL


def layout(generator: np.random.Generator) -> Layout:
    """Draw the start of an episode: kind and cell of each object, cell and direction of the agent."""
    things = _WALLED.flatten()
    placed = []
    for colour in OBJECT_COLOURS:
        kind = (key, ball)[generator.integers(0, 2)](COLOURS.index(colour))
        cell = _free_cell(things, generator)
        things[cell] = kind
        placed.append(cell)
    agent = _free_cell(things, generator)
    direction = int(generator.integers(0, 4))
    generator.integers(0, NUM_WORDINGS)
    green = placed[0]
    return Layout(things, {}, agent, direction, Mission([green], wanted=int(things[green])), "fetch the green object")


def judge(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Give +1 for picking up the green object, -1 for another, at any time; both end the episode."""
    holds = state.carried != EMPTY
    np.copyto(reward, np.where(state.carried == state.wanted, 1.0, -1.0), where=holds)
    terminated |= holds


def _free_cell(things: np.ndarray, generator: np.random.Generator) -> int:
    """A random empty cell of the whole grid, drawn until one is found."""
    while True:
        x, y = generator.integers(0, SIZE), generator.integers(0, SIZE)
        cell = int(y) * SIZE + int(x)
        if things[cell] == EMPTY:
            return cell
