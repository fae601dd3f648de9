"""What each family of tasks adds to MiniGrid's core: what its mission names, and when its episodes end in success.

MiniGrid has one subclass per family, with its own ``step``; here each is a row of ``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from saccade.envs.tasks.minigrid import red_fetch_green
from saccade.envs.tasks.minigrid.layouts import Layout, Mission, StockLayouts, cell_of, cells_where
from saccade.envs.tasks.minigrid.physics import GridState, Turn, things_at
from saccade.envs.tasks.minigrid.tasks import GridTask
from saccade.envs.tasks.minigrid.things import (
    COLOURS,
    DONE,
    DROP,
    EMPTY,
    FORWARD,
    GOAL,
    IS_OPEN_DOOR,
    NUMBERS,
    PICKUP,
    TOGGLE,
    ball,
    key,
)

Judge = Callable[[GridState, Turn, int, np.ndarray, np.ndarray], None]
"""``(state, turn, width, reward, terminated)``: changes the last two if the rule says so."""

Stir = Callable[[GridState, Sequence[np.random.Generator], int, int], None]
"""``(state, generators, width, height)``: moves what moves by itself, before the agents move."""


@dataclass(frozen=True)
class Rule:
    """A family of tasks.

    Attributes:
        layouts: ``task -> (generator -> Layout)``: how episodes begin.
        judge: what follows MiniGrid's core step; None if only goals and lava decide.
        stir: what precedes it; None if nothing moves by itself.
        plays: the action that is played in place of each.
        has_mission: whether there is anything to succeed in.
    """

    layouts: Callable[[GridTask], Callable[[np.random.Generator], Layout]]
    judge: Judge | None = None
    stir: Stir | None = None
    plays: tuple[int, ...] = tuple(range(DONE + 1))
    has_mission: bool = True


def _stock(read_mission: Callable[[Any], Mission]) -> Callable[[GridTask], Callable[[np.random.Generator], Layout]]:
    """Make episodes begin as MiniGrid's do."""
    return lambda task: StockLayouts(task, read_mission)


# --- what missions name -----------------------------------------------------------------------------


def _types(*types: str) -> Callable[[Any], Mission]:
    """Everything of these types."""
    return lambda env: Mission(cells_where(env, lambda content: content.type in types))


def _locked_room(env: Any) -> Mission:
    """Key, locked door and goal."""
    locked = cells_where(env, lambda content: content.type == "door" and content.is_locked)
    return Mission([*cells_where(env, lambda content: content.type in ("key", "goal")), *locked])


def _fetch(env: Any) -> Mission:
    """Every object of the type and colour: any of them counts."""
    wanted = (key if env.targetType == "key" else ball)(COLOURS.index(env.targetColor))
    return Mission(cells_where(env, lambda content: NUMBERS[content.encode()] == wanted), wanted=wanted)


def _pick_up(env: Any) -> Mission:
    """The one object to pick up."""
    return Mission(cells_where(env, lambda content: content is env.obj))


def _go_to(env: Any) -> Mission:
    """The door or the object to stand beside. Its place counts, even once the object has been carried away."""
    target = cell_of(env, env.target_pos)
    return Mission([target], (target, target))


def _unlock(env: Any) -> Mission:
    """The locked door."""
    (door,) = cells_where(env, lambda content: content is env.door)
    return Mission([door], (door, door))


def _red_blue_doors(env: Any) -> Mission:
    """Both doors."""
    (red,) = cells_where(env, lambda content: content is env.red_door)
    (blue,) = cells_where(env, lambda content: content is env.blue_door)
    return Mission([red, blue], (red, blue))


def _memory(env: Any) -> Mission:
    """The object in the first room, and the one at the end that matches it; places: where to go, and where not to."""
    x, y = env.success_pos
    middle = env.height // 2
    match = (x, y - 1 if y < middle else y + 1)
    places = cell_of(env, env.success_pos), cell_of(env, env.failure_pos)
    return Mission([cell_of(env, (1, middle - 1)), cell_of(env, match)], places)


def _put_near(env: Any) -> Mission:
    """What to move, and what to put it beside; the place is where the latter was at the start, as in MiniGrid."""
    moved, target = cell_of(env, env.move_pos), cell_of(env, env.target_pos)
    return Mission([moved, target], (target, target), NUMBERS[env.grid.grid[moved].encode()])


def _dodge(env: Any) -> Mission:
    """The goal; the moving balls are not part of the mission."""
    return Mission(
        cells_where(env, lambda content: content.type == "goal"),
        obstacles=[cell_of(env, obstacle.cur_pos) for obstacle in env.obstacles],
    )


# --- when episodes end ------------------------------------------------------------------------------


def _judge_fetch(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Holding anything ends the episode; the right thing is a success."""
    holds = state.carried != EMPTY
    np.copyto(reward, np.where(state.carried == state.wanted, turn.full_reward, 0.0), where=holds)
    terminated |= holds


def _judge_pick_up(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Picking the named object up is a success; others may be picked up and dropped."""
    _succeed(state.carried_named & (turn.action == PICKUP), turn, reward, terminated)


def _judge_go_to(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """ "done" beside the place is a success, anywhere else the end; so is toggling anything."""
    done = turn.action == DONE
    if done.any():
        (row, column), (target_row, target_column) = np.divmod(state.agent, width), np.divmod(state.places[:, 0], width)
        beside = np.abs(row - target_row) + np.abs(column - target_column) == 1
        _succeed(done & beside, turn, reward, terminated)
    terminated |= done | (turn.action == TOGGLE)


def _judge_unlock(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Success is to toggle anything while the door is open, which toggling the door itself achieves."""
    opened = (turn.action == TOGGLE) & IS_OPEN_DOOR[things_at(state, state.places[:, 0])]
    _succeed(opened, turn, reward, terminated)


def _judge_red_blue_doors(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Opening the blue door ends the episode: a success if the red one was open before.

    MiniGrid also ends it when the red door opens after the blue one, which cannot happen, since it has ended by then.
    """
    red, blue = state.places.T
    red_before = IS_OPEN_DOOR[np.where(turn.ahead == red, turn.front, things_at(state, red))]
    blue_now = IS_OPEN_DOOR[things_at(state, blue)]
    _succeed(blue_now & red_before, turn, reward, terminated)
    terminated |= blue_now


def _judge_memory(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Standing beside the matching object is a success; beside the other one the episode ends."""
    _succeed(state.agent == state.places[:, 0], turn, reward, terminated)
    terminated |= state.agent == state.places[:, 1]


def _judge_put_near(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Picking the wrong thing up ends the episode, and so does dropping: a success near the place."""
    wrong = (turn.action == PICKUP) & (state.carried != EMPTY) & (state.carried != state.wanted)
    drops = (turn.action == DROP) & turn.full_hands
    (row, column), (target_row, target_column) = np.divmod(turn.ahead, width), np.divmod(state.places[:, 0], width)
    near = (np.abs(row - target_row) <= 1) & (np.abs(column - target_column) <= 1)
    _succeed(drops & near & (state.carried == EMPTY), turn, reward, terminated)
    terminated |= wrong | drops


def _judge_dodge(state: GridState, turn: Turn, width: int, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Walking on where something other than the goal lay before the obstacles moved costs 1 and ends the episode."""
    bumps = (turn.action == FORWARD) & (turn.seen != EMPTY) & (turn.seen != GOAL)
    np.copyto(reward, -1.0, where=bumps)
    terminated |= bumps


def _succeed(where: np.ndarray, turn: Turn, reward: np.ndarray, terminated: np.ndarray) -> None:
    np.copyto(reward, turn.full_reward, where=where)
    terminated |= where


# --- what moves by itself ---------------------------------------------------------------------------

MOST_TRIES = 101  # to find a new cell for an obstacle, before it stays where it is


def _stir_obstacles(state: GridState, generators: Sequence[np.random.Generator], width: int, height: int) -> None:
    """Move each obstacle to a free cell of the nine around it, drawn until one is found, as in MiniGrid.

    The number of draws depends on their results, so environments are processed one by one.
    """
    for things, obstacles, agent, generator in zip(state.things, state.obstacles, state.agent, generators, strict=True):
        for number, cell in enumerate(obstacles):
            row, column = divmod(int(cell), width)
            top, left = max(row - 1, 0), max(column - 1, 0)
            bottom, right = min(top + 3, height), min(left + 3, width)
            for _ in range(MOST_TRIES):
                x = generator.integers(left, right)
                new = int(generator.integers(top, bottom)) * width + int(x)
                if things[new] == EMPTY and new != agent:
                    things[new], things[cell] = things[cell], EMPTY
                    obstacles[number] = new
                    break


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "red_fetch_green": Rule(lambda task: red_fetch_green.layout, red_fetch_green.judge),
        "reach": Rule(_stock(_types("goal"))),
        "door_key": Rule(_stock(_types("key", "door", "goal"))),
        "locked_room": Rule(_stock(_locked_room)),
        "fetch": Rule(_stock(_fetch), _judge_fetch),
        "pick_up": Rule(_stock(_pick_up), _judge_pick_up),
        "go_to": Rule(_stock(_go_to), _judge_go_to),
        "unlock": Rule(_stock(_unlock), _judge_unlock),
        "red_blue_doors": Rule(_stock(_red_blue_doors), _judge_red_blue_doors),
        "memory": Rule(_stock(_memory), _judge_memory, plays=(0, 1, 2, TOGGLE, DROP, TOGGLE, DONE)),
        "put_near": Rule(_stock(_put_near), _judge_put_near),
        "dodge": Rule(_stock(_dodge), _judge_dodge, _stir_obstacles),
        "playground": Rule(_stock(_types()), has_mission=False),
    }
)
"""The name in a task's row -> its rule. The source of each but the first is MiniGrid's class of that family."""
