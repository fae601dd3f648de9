"""Every listed task against MiniGrid's own environment: the same seeds and actions, to the bit and the pixel."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

import gymnasium
from grid_play import Beside, lively_actions
from minigrid.core import constants
from minigrid.core.actions import Actions
from minigrid.wrappers import RGBImgObsWrapper

from saccade.envs.distractions.palette import MINIGRID_COLOURS
from saccade.envs.tasks.minigrid import things
from saccade.envs.tasks.minigrid.layouts import stock_env
from saccade.envs.tasks.minigrid.rules import RULES
from saccade.envs.tasks.minigrid.tasks import RED_FETCH_GREEN, TASKS
from saccade.envs.tasks.minigrid.world import GridWorlds

STOCK = [name for name, task in TASKS.items() if task.gymnasium_id]
EASY = (
    "Empty-5x5", "DoorKey-5x5", "LockedRoom", "Fetch-5x5-N2", "ObstructedMaze-1Dl", "GoToDoor-5x5", "GoToObject-6x6-N2",
    "Unlock", "RedBlueDoors-6x6", "MemoryS7", "PutNear-6x6-N2", "Dynamic-Obstacles-Random-5x5",
)  # fmt: skip


def test_table_is_the_registry() -> None:
    listed = {task.gymnasium_id for task in TASKS.values()} - {""}
    registered = {name for name in gymnasium.registry if name.startswith("MiniGrid-")}
    assert listed == {name for name in registered if not name.startswith("MiniGrid-WFC-")}
    for name in STOCK:
        env = stock_env(TASKS[name])
        task = TASKS[name]
        assert (task.width, task.height, task.max_steps) == (env.width, env.height, env.max_steps), name
        assert task.num_actions == env.action_space.n, name
        assert name == task.gymnasium_id.removeprefix("MiniGrid-").removesuffix("-v0")
    assert {task.rule for task in TASKS.values()} == set(RULES)


def test_numbers_are_minigrids() -> None:
    colours = {name: number for number, name in enumerate(things.COLOURS)}
    assert colours == constants.COLOR_TO_IDX
    assert [constants.COLORS[name].tolist() for name in things.COLOURS] == [list(rgb) for rgb in MINIGRID_COLOURS]
    types = ("wall", "door", "key", "ball", "box", "goal", "lava")
    ours = (things.WALL_TYPE, things.DOOR_TYPE, things.KEY_TYPE, things.BALL_TYPE, things.BOX_TYPE, things.GOAL_TYPE)
    assert (*ours, things.LAVA_TYPE) == tuple(constants.OBJECT_TO_IDX[name] for name in types)
    actions = (things.LEFT, things.RIGHT, things.FORWARD, things.PICKUP, things.DROP, things.TOGGLE, things.DONE)
    assert actions == tuple(Actions)


@pytest.mark.parametrize("name", STOCK)
def test_episodes_and_pictures_are_minigrids(name: str) -> None:
    beside = Beside(name, seeds=[3, 4])
    random = np.random.default_rng(5)
    pictures = [RGBImgObsWrapper(env) for env in beside.stock]
    for step in range(60):
        if step % 10 == 0:
            frames = beside.worlds.draw()
            for frame, wrapped in zip(frames, pictures, strict=True):
                assert np.array_equal(frame, wrapped.observation({})["image"])
        if step % 6 == 5:
            beside.put_beside_something(random)
        beside.step(lively_actions(beside.worlds, random))


@pytest.mark.parametrize("name", EASY)
def test_success_is_minigrids(name: str) -> None:
    """Long enough that each family's success is met."""
    beside = Beside(name, seeds=[0, 1, 2, 3])
    random = np.random.default_rng(6)
    for _ in range(300):
        if random.random() < 0.3:
            beside.put_beside_something(random)
        beside.step(lively_actions(beside.worlds, random))
    assert beside.successes > 0


def test_every_rule_is_won() -> None:
    won = {TASKS[name].rule for name in EASY} | {TASKS[RED_FETCH_GREEN].rule}  # the latter by its recordings
    assert won == {name for name, rule in RULES.items() if rule.has_mission}


def test_larger_tiles_are_minigrids() -> None:
    worlds = GridWorlds("UnlockPickup", 1, tile_size=11)
    env = RGBImgObsWrapper(stock_env(TASKS["UnlockPickup"]), tile_size=11)
    worlds.reset([0], [9])
    assert np.array_equal(worlds.draw()[0], env.reset(seed=9)[0]["image"])
    assert worlds.draw().shape == (1, 6 * 11, 11 * 11, 3)
