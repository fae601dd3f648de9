"""One step of MiniGrid for a batch of environments, as arrays: its core, before a task's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from saccade.envs.tasks.minigrid.things import (
    EFFECTS,
    EMPTY,
    ENDS,
    FIRST_OF_HANDS,
    KEY_FOR,
    LAY,
    LIFT,
    MOVES,
    NUM_ACTIONS,
    REACH,
    SWING,
    SWUNG,
    THINGS,
    TURNS,
    UNLOCK,
    UNPACK,
)

REWARD_LOST_TO_TIME = 0.9  # of a success on an episode's last step


@dataclass(frozen=True, eq=False)
class GridState:
    """All that later steps of a batch depend on, except the random generators; one row per environment.

    Cells are numbered row by row from the upper left corner.

    Attributes:
        things: uint8 ``[num_envs, cells]``, numbers in ``THINGS``. The agent is not among them.
        contents: uint8 ``[num_envs, cells]``, what the box there holds; ``EMPTY`` elsewhere.
        named: bool ``[num_envs, cells]``, what the mission names. It moves along with what is carried.
        agent: int64 ``[num_envs]``, a cell.
        direction: int64 ``[num_envs]``, 0 right, 1 down, 2 left, 3 up.
        carried, carried_contents, carried_named: the same three for what the agent carries, ``[num_envs]``.
        steps: int64 ``[num_envs]``, steps of the episode so far.
        places: int64 ``[num_envs, 2]``, cells that the task's rule refers to; -1 for none.
        wanted: uint8 ``[num_envs]``, what the rule wants to be carried; ``EMPTY`` for nothing.
        obstacles: int64 ``[num_envs, number]``, cells of what moves by itself, in the order in which it moves.
        solved: bool ``[num_envs]``, whether the episode has ended in success.
        appearance: int64 ``[num_envs]``, which look of the mode the episode has.
        kept_colours: bool ``[num_envs, 6]``, colours of what the mission names, which no look changes.
    """

    things: np.ndarray
    contents: np.ndarray
    named: np.ndarray
    agent: np.ndarray
    direction: np.ndarray
    carried: np.ndarray
    carried_contents: np.ndarray
    carried_named: np.ndarray
    steps: np.ndarray
    places: np.ndarray
    wanted: np.ndarray
    obstacles: np.ndarray
    solved: np.ndarray
    appearance: np.ndarray
    kept_colours: np.ndarray


class Turn(NamedTuple):
    """What a step did, for a task's rule: arrays ``[num_envs]``."""

    action: np.ndarray
    seen: np.ndarray  # thing ahead before anything moved
    front: np.ndarray  # thing ahead before the action
    ahead: np.ndarray  # the cell there
    full_hands: np.ndarray  # bool, before the action
    full_reward: np.ndarray  # float64: what a success at this step is worth


def cell_ahead(state: GridState, width: int) -> np.ndarray:
    """Return the cell in front of each agent: int64 ``[num_envs]``."""
    return state.agent + _steps(width).take(state.direction)


def things_at(state: GridState, cells: np.ndarray) -> np.ndarray:
    """Return what lies in one cell of each environment: uint8 ``[num_envs]``."""
    return state.things.take(_first_cells(*state.things.shape) + cells)


@cache
def _steps(width: int) -> np.ndarray:
    """The step from a cell to the next in each direction."""
    return np.array([1, width, -1, -width])


@cache
def _first_cells(num_envs: int, cells: int) -> np.ndarray:
    """Where each environment's cells begin in the flattened array of all."""
    return np.arange(num_envs) * cells


@cache
def _rewards(max_steps: int) -> np.ndarray:
    """The reward of a success, by the number of the step."""
    return 1 - REWARD_LOST_TO_TIME * (np.arange(max_steps + 1) / max_steps)


def play(
    state: GridState, action: np.ndarray, seen: np.ndarray | None, width: int, max_steps: int
) -> tuple[Turn, np.ndarray, np.ndarray]:
    """Move every agent, in place; return the turn, float64 rewards and whether episodes ended, both ``[num_envs]``.

    ``seen`` is what lay ahead before obstacles moved; None if nothing moves by itself. With so few numbers a call of
    numpy costs more than its computation, so all look-ups in a table are one call.
    """
    state.steps[...] += 1
    ahead = cell_ahead(state, width)
    front = things_at(state, ahead)
    full_hands = state.carried != EMPTY
    full_reward = _rewards(max_steps).take(state.steps, mode="clip")
    turn = Turn(action, front if seen is None else seen, front, ahead, full_hands, full_reward)
    effect = EFFECTS.take((full_hands * NUM_ACTIONS + action) * len(THINGS) + front)
    state.direction[...] += TURNS.take(action)
    state.direction[...] &= 3
    np.copyto(state.agent, ahead, where=MOVES.take(effect))
    handled = np.flatnonzero(effect >= FIRST_OF_HANDS)
    if handled.size:
        _handle(state, handled, ahead[handled], effect[handled])
    return turn, (effect == REACH) * full_reward, ENDS.take(effect)


def _handle(state: GridState, rows: np.ndarray, cells: np.ndarray, effect: np.ndarray) -> None:
    """Do what hands do: ``rows`` are environments, ``cells`` those in front of their agents."""
    lifts, lays = effect == LIFT, effect == LAY
    for carried, lying, nothing in (
        (state.carried, state.things, EMPTY),
        (state.carried_contents, state.contents, EMPTY),
        (state.carried_named, state.named, False),
    ):
        picked, put = rows[lifts], rows[lays]
        carried[picked] = lying[picked, cells[lifts]]
        lying[picked, cells[lifts]] = nothing
        lying[put, cells[lays]] = carried[put]
        carried[put] = nothing
    door = state.things[rows, cells]
    swings = (effect == SWING) | ((effect == UNLOCK) & (state.carried[rows] == KEY_FOR[door]))
    state.things[rows[swings], cells[swings]] = SWUNG[door[swings]]
    box = effect == UNPACK
    at = rows[box], cells[box]
    state.things[at] = state.contents[at]
    state.contents[at] = EMPTY
    state.named[at] = False
