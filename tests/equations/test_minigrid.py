"""Grid worlds by themselves: batches, truth, states, what is refused; nothing loads MiniGrid before it is played."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

from grid_play import lively_actions

from saccade.envs.tasks.minigrid.tasks import TASKS
from saccade.envs.tasks.minigrid.things import (
    DROP,
    EMPTY,
    FORWARD,
    LEFT,
    NUMBERS,
    PICKUP,
    RIGHT,
    THINGS,
    TOGGLE,
    WALL,
    ball,
    key,
)
from saccade.envs.tasks.minigrid.world import GridWorlds, Truth
from saccade.types import UserError

BOX = NUMBERS[7, 2, 0]
SOME_TASKS = ("red_fetch_green", "ObstructedMaze-1Dlhb", "Dynamic-Obstacles-5x5", "PutNear-6x6-N2", "MemoryS7")


def room(width: int = 8) -> GridWorlds:
    """One empty room of 8x8 cells, the agent in its second row and column, looking right."""
    worlds = GridWorlds("Empty-8x8", 1)
    worlds.reset([0], [0])
    worlds.state.things[0, worlds.state.things[0] > WALL] = EMPTY
    assert worlds.state.agent[0] == width + 1 and worlds.state.direction[0] == 0
    return worlds


def play(worlds: GridWorlds, *actions: int) -> None:
    for action in actions:
        worlds.step(np.array([action]))


def test_carrying_by_hand() -> None:
    """A box with a key in it is lifted, set down below the agent, and unpacked there."""
    worlds = room()
    state = worlds.state
    state.things[0, 10], state.contents[0, 10] = BOX, key(1)
    play(worlds, PICKUP)
    assert (state.carried[0], state.carried_contents[0], state.things[0, 10]) == (BOX, key(1), EMPTY)
    play(worlds, PICKUP, RIGHT, DROP, DROP)
    assert (state.carried[0], state.things[0, 17], state.contents[0, 17]) == (EMPTY, BOX, key(1))
    play(worlds, FORWARD)
    assert state.agent[0] == 9  # nobody walks through a box
    play(worlds, TOGGLE)
    assert (state.things[0, 17], state.contents[0, 17]) == (key(1), EMPTY)
    play(worlds, LEFT, FORWARD)
    assert (state.agent[0], state.steps[0]) == (10, 9)


@pytest.mark.parametrize("colour", range(6))
def test_locked_doors_by_hand(colour: int) -> None:
    """Only a key of the door's colour opens it; unlocked, it opens and closes for everyone."""
    worlds = room()
    state = worlds.state
    opened, closed, locked = (NUMBERS[4, colour, number] for number in range(3))
    for carried in (EMPTY, ball(colour), key((colour + 1) % 6)):
        state.things[0, 10], state.carried[0] = locked, carried
        play(worlds, TOGGLE, FORWARD)
        assert (state.things[0, 10], state.agent[0]) == (locked, 9)
    state.carried[0] = key(colour)
    play(worlds, TOGGLE)
    assert state.things[0, 10] == opened
    state.carried[0] = EMPTY
    play(worlds, TOGGLE, FORWARD)
    assert (state.things[0, 10], state.agent[0]) == (closed, 9)
    play(worlds, TOGGLE, FORWARD)
    assert state.agent[0] == 10


@pytest.mark.parametrize("name", SOME_TASKS)
def test_no_environment_depends_on_its_neighbours(name: str) -> None:
    """Alone, in a batch, and in another place of a batch: the same pixels, rewards and ends."""
    seeds = [31, 32, 33, 34, 35]
    together, alone = GridWorlds(name, 5), [GridWorlds(name, 1) for _ in seeds]
    shuffled, order = GridWorlds(name, 5), np.array([3, 0, 4, 2, 1])
    together.reset(range(5), seeds)
    shuffled.reset(range(5), [seeds[index] for index in order])
    for worlds, seed in zip(alone, seeds, strict=True):
        worlds.reset([0], [seed])
    random = np.random.default_rng(0)
    for _ in range(80):
        actions = lively_actions(together, random)
        results = together.step(actions)
        assert np.array_equal(np.stack(shuffled.step(actions[order])), np.stack(results)[:, order])
        assert np.array_equal(shuffled.draw(), together.draw()[order])
        for index, worlds in enumerate(alone):
            assert np.array_equal(np.stack(worlds.step(actions[[index]]))[:, 0], np.stack(results)[:, index])
            assert np.array_equal(worlds.draw()[0], together.draw()[index])
        over = results[1] | results[2]
        together.reset(np.flatnonzero(over))
        shuffled.reset(np.flatnonzero(over[order]))
        for index in np.flatnonzero(over):
            alone[index].reset([0])


@pytest.mark.parametrize("name", SOME_TASKS)
def test_a_saved_environment_continues_in_another_batch(name: str) -> None:
    """Bit for bit, through a file and over the ends of episodes, mid-episode and right after one began."""
    source, random = GridWorlds(name, 3), np.random.default_rng(1)
    source.reset(range(3), [7, 8, 9])
    for _ in range(25):
        over = np.logical_or(*source.step(lively_actions(source, random))[1:])
        source.reset(np.flatnonzero(over))
    saved = [source.save(index) for index in range(3)]
    for value in (value for state in saved for value in state.values()):
        assert isinstance(value, np.ndarray) or json.loads(json.dumps(value)) == value
    places = [4, 0, 2]
    target = GridWorlds(name, 5)
    target.reset(range(5), range(5))
    for index, place in enumerate(places):
        target.restore(place, saved[index])
    assert [target.missions[place] for place in places] == source.missions
    for _ in range(60):
        assert np.array_equal(target.draw(np.array(places)), source.draw())
        actions = lively_actions(source, random)
        spread = np.zeros(5, int)
        spread[places] = actions
        expected, got = source.step(actions), target.step(spread)
        assert np.array_equal(np.stack(got)[:, places], np.stack(expected))
        over = np.flatnonzero(expected[1] | expected[2])
        source.reset(over)
        target.reset([places[index] for index in over])
    assert all(np.array_equal(source.save(0)[key], target.save(4)[key]) for key in saved[0])


def test_a_saved_state_is_a_copy() -> None:
    worlds = room()
    saved = worlds.save(0)
    play(worlds, RIGHT, FORWARD)
    assert (saved["agent"], saved["direction"], saved["steps"]) == (9, 0, 0)


def test_truth_of_red_fetch_green() -> None:
    """Two tiles of 64 pixels matter, the 32 of 36 free ones do not, walls and distractors are ignored."""
    worlds = GridWorlds("red_fetch_green", 8)
    worlds.reset(range(8), range(8))
    truth = worlds.truth()
    assert truth.shape == (8, 64, 64) and truth.dtype == np.uint8
    for value, pixels in ((Truth.IMPORTANT, 128), (Truth.UNIMPORTANT, 2048), (Truth.IGNORED, 64 * 64 - 2176)):
        assert ((truth == value).sum((1, 2)) == pixels).all()
    frames = worlds.draw()
    assert np.array_equal(worlds.task_mask(), truth == Truth.IMPORTANT)
    floor = frames[truth == Truth.UNIMPORTANT]
    assert set(np.unique(floor)) == {0, 33, 55}  # black, grid lines, and where two of them cross
    red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
    assert (truth[(abs(red - green) > 50) & (blue < 50)] == Truth.IMPORTANT).all()


def test_a_carried_target_is_nowhere_and_a_dropped_one_is_again() -> None:
    worlds = GridWorlds("GoToObject-6x6-N2", 1)
    worlds.reset([0], [0])
    state = worlds.state
    agent = int(state.agent[0])
    state.things[0, state.named[0]] = EMPTY
    state.named[0] = False
    ahead = agent + (1, 6, -1, -6)[int(state.direction[0])]
    state.things[0, ahead], state.named[0, ahead] = ball(3), True
    masked = [int(worlds.task_mask().sum())]
    for action in (PICKUP, DROP):
        play(worlds, action)
        masked.append(int(worlds.task_mask().sum()))
    assert masked == [128, 64, 128]


@pytest.mark.parametrize("name", [name for name in TASKS if name != "Playground"])
def test_what_missions_name_is_found(name: str) -> None:
    """In each task something besides the agent is important, and it is no wall and no empty cell."""
    worlds = GridWorlds(name, 2, tile_size=1)
    worlds.reset(range(2), [0, 1])
    named = worlds.state.named
    assert (named.sum(1) > 0).all()
    assert (worlds.state.things[named] > WALL).all()


def test_success_is_a_reward_above_zero_at_the_end() -> None:
    worlds = GridWorlds("red_fetch_green", 2)
    worlds.reset([0, 1], [0, 0])
    ahead = worlds.state.agent + np.array([1, 8, -1, -8])[worlds.state.direction]
    worlds.state.things[:, ahead[0]] = worlds.state.wanted[0], ball(2)
    rewards, terminated, truncated = worlds.step(np.array([PICKUP, PICKUP]))
    assert (rewards.tolist(), terminated.all(), truncated.any()) == ([1.0, -1.0], True, False)
    assert worlds.success().tolist() == [True, False]
    worlds.reset([0])
    assert not worlds.success().any()


def test_frames_are_drawn_where_one_says() -> None:
    worlds = GridWorlds("KeyCorridorS3R1", 3)
    worlds.reset(range(3), range(3))
    all_frames, out = worlds.draw(), np.full((2, 24, 56, 3), 7, np.uint8)
    assert worlds.draw(np.array([2, 0]), out) is out
    assert np.array_equal(out, all_frames[[2, 0]])
    assert not np.shares_memory(worlds.draw(), worlds.draw())


def test_refusals() -> None:
    with pytest.raises(UserError, match=r"no MiniGrid task 'Fetch-8x8'; did you mean Fetch-8x8-N3"):
        GridWorlds("Fetch-8x8", 1)
    worlds = GridWorlds("Dynamic-Obstacles-5x5", 2)
    worlds.reset([0, 1], [0, 1])
    for actions in (np.array([0, 3]), np.array([0, -1]), np.array([0.0, 1.0]), np.array([0])):
        with pytest.raises(UserError, match=r"2 whole numbers in 0\.\.2"):
            worlds.step(actions)
    with pytest.raises(UserError, match=r"'Dynamic-Obstacles-5x5'.*'red_fetch_green'"):
        GridWorlds("red_fetch_green", 1).restore(0, worlds.save(0))
    playground = GridWorlds("Playground", 1)
    playground.reset([0], [0])
    for ask in (playground.truth, playground.task_mask, playground.success):
        with pytest.raises(UserError, match="Playground has no mission"):
            ask()


def test_without_minigrid_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(UserError, match=r'pip install "saccade-rl\[minigrid\]"'):
        GridWorlds("Empty-5x5", 1)


def test_minigrid_is_loaded_when_it_is_played() -> None:
    code = (
        "import sys, saccade.envs, saccade.envs.tasks.minigrid.world, saccade.envs.distractions.palette\n"
        "from saccade.envs.tasks.minigrid.tasks import TASKS\n"
        "print(len(TASKS), [name for name in ('minigrid', 'pygame', 'gymnasium', 'torch') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"{len(TASKS)} []"


def test_every_thing_has_one_number() -> None:
    assert len(NUMBERS) == len(THINGS) <= 255
