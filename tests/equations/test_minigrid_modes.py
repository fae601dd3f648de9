"""Modes of grid worlds: palettes, textures and noise change pixels, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

from grid_play import lively_actions

from saccade.data.folder import DataFolder
from saccade.envs.distractions import Distraction
from saccade.envs.distractions.appearance import Appearance, AppearanceBank
from saccade.envs.distractions.noise import GaussianNoise, Noise
from saccade.envs.distractions.palette import (
    APART,
    APART_FROM_TARGETS,
    LAVA_COLOUR,
    MINIGRID_COLOURS,
    Palette,
)
from saccade.envs.distractions.texture import Texture
from saccade.envs.tasks.minigrid.things import COLOUR_OF, EMPTY, GREEN, LAVA, WALL
from saccade.envs.tasks.minigrid.world import GridWorlds
from saccade.types import UserError

BLACK_FLOOR = np.zeros((1, 1, 3), np.uint8)
SOME_TASKS = ("red_fetch_green", "DoorKey-6x6", "LavaCrossingS9N1", "GoToDoor-5x5", "ObstructedMaze-1Dlhb")


def bank(distraction: Distraction, image_size: int = 64) -> AppearanceBank:
    loaded = distraction.load(DataFolder(), image_size, "seed")
    assert isinstance(loaded, AppearanceBank)
    return loaded


def tiles(worlds: GridWorlds) -> np.ndarray:
    """Frames cell by cell: uint8 ``[num_envs, cells, 8, 8, 3]``."""
    height, width = worlds.task.height, worlds.task.width
    return worlds.draw().reshape(-1, height, 8, width, 8, 3).swapaxes(2, 3).reshape(-1, height * width, 8, 8, 3)


@pytest.mark.parametrize("name", SOME_TASKS)
def test_minigrids_own_look_as_an_appearance(name: str) -> None:
    """Laying things over the floor gives MiniGrid's pictures, but for grid lines that a thing's edge half covers."""
    plain, laid = GridWorlds(name, 4), GridWorlds(name, 4, appearances=[Appearance(BLACK_FLOOR)])
    for worlds in (plain, laid):
        worlds.reset(range(4), range(4))
    random = np.random.default_rng(0)
    for _ in range(40):
        actions = lively_actions(plain, random)
        results = plain.step(actions)
        laid.step(actions)
        over = np.flatnonzero(results[1] | results[2])
        plain.reset(over)
        laid.reset(over)
        apart = np.abs(tiles(plain).astype(int) - tiles(laid))
        assert apart.max() <= 36 and apart[:, :, 1:, 1:].max() <= 1


@pytest.mark.parametrize("distraction", [Palette(5), Texture(5), Noise()], ids=["palette", "texture", "noise"])
@pytest.mark.parametrize("name", SOME_TASKS)
def test_physics_and_reward_are_the_same(name: str, distraction: Distraction) -> None:
    """To the bit, random numbers included, over the ends of episodes; pixels differ in every frame."""
    nuisance = distraction.load(DataFolder(), 11 * 8, "seed")
    looks = nuisance.appearances if isinstance(nuisance, AppearanceBank) else None
    plain, changed = GridWorlds(name, 3), GridWorlds(name, 3, appearances=looks)
    random, choices, choosing = np.random.default_rng(2), np.zeros(3, int), np.random.default_rng(3)
    over = np.arange(3)
    plain.reset(over, [5, 6, 7])
    changed.reset(over, [5, 6, 7])
    for step in range(60):
        for index in over:
            choices[index] = nuisance.choose(int(choices[index]), choosing)
            changed.state.appearance[index] = 0 if looks is None else choices[index]
        frames = [
            nuisance.apply(frame, int(choice), step) for frame, choice in zip(changed.draw(), choices, strict=True)
        ]
        for before, after in zip(plain.draw(), frames, strict=True):
            assert before.shape == after.shape and after.dtype == np.uint8 and not np.array_equal(before, after)
        actions = lively_actions(plain, random)
        results = plain.step(actions)
        assert np.array_equal(np.stack(changed.step(actions)), np.stack(results))
        over = np.flatnonzero(results[1] | results[2])
        plain.reset(over)
        changed.reset(over)
        for index in range(3):
            ours, theirs = plain.save(index), changed.save(index)
            assert all(np.array_equal(ours[key], theirs[key]) for key in ours if key != "appearance")


def test_palettes_keep_the_task_and_change_the_rest() -> None:
    """The agent and the green object are drawn as ever; distractors, walls and floor are not."""
    looks = bank(Palette(20)).appearances
    plain, changed = GridWorlds("red_fetch_green", 20), GridWorlds("red_fetch_green", 20, appearances=looks)
    for worlds in (plain, changed):
        worlds.reset(range(20), range(20))
    changed.state.appearance[:] = np.arange(20)
    before, after, state = tiles(plain).astype(int), tiles(changed).astype(int), plain.state
    for index, look in enumerate(looks):
        assert look.colours is not None and look.wall is not None
        for cell in np.flatnonzero((state.things[index] > WALL) & ~state.named[index]):
            colour = look.colours[COLOUR_OF[state.things[index, cell]]]
            assert np.abs(after[index, cell] - colour).sum(-1).min() <= 3  # the middle of a ball, the bit of a key
        assert (after[index][state.things[index] == WALL] == look.wall).all()
        empty = (state.things[index] == EMPTY) & (np.arange(64) != state.agent[index])
        assert (after[index][empty][:, 1:, 1:] == look.floor).all()
        for cell, channel in ((int(np.flatnonzero(state.named[index])[0]), 1), (int(state.agent[index]), 0)):
            full = before[index, cell, 1:, 1:, channel] == 255  # no edge: nothing of the floor is seen through
            assert full.sum() > 5
            assert np.array_equal(after[index, cell, 1:, 1:][full], before[index, cell, 1:, 1:][full])


def test_things_of_a_targets_colour_keep_it() -> None:
    worlds = GridWorlds("DoorKey-6x6", 1, appearances=bank(Palette(1)).appearances)
    plain = GridWorlds("DoorKey-6x6", 1)
    worlds.reset([0], [0])
    plain.reset([0], [0])
    assert worlds.state.kept_colours[0].nonzero()[0].tolist() == [GREEN, 4]  # the goal's; the key's and the door's
    door = int(np.flatnonzero(worlds.state.things[0] == 4 + 2 * 6 + 4)[0])
    assert np.array_equal(tiles(worlds)[0, door], tiles(plain)[0, door])


def test_no_colour_of_a_palette_is_taken_for_one_of_minigrids() -> None:
    own = np.array([*MINIGRID_COLOURS, LAVA_COLOUR])
    for look in bank(Palette()).appearances:
        assert look.wall is not None and look.colours is not None and len(look.colours) == 6
        new = np.array([look.floor[0, 0], look.wall, *look.colours], dtype=float)
        assert np.linalg.norm(new[:, None] - own, axis=-1).min() >= APART
        assert np.linalg.norm(new[2:, None] - own, axis=-1).min() >= APART_FROM_TARGETS
        between = np.linalg.norm(new[:, None] - new, axis=-1)
        assert between[~np.eye(len(new), dtype=bool)].min() >= APART


def test_textures_are_seen_on_the_floor_alone() -> None:
    looks = bank(Texture(4)).appearances
    plain, changed = GridWorlds("red_fetch_green", 4), GridWorlds("red_fetch_green", 4, appearances=looks)
    for worlds in (plain, changed):
        worlds.reset(range(4), range(4))
    changed.state.appearance[:] = np.arange(4)
    before, after, things = tiles(plain), tiles(changed), plain.state.things
    assert np.array_equal(before[things == WALL], after[things == WALL])
    empty = (things == EMPTY) & (np.arange(64) != plain.state.agent[:, None])
    for index, look in enumerate(looks):
        picture = look.floor.reshape(8, 8, 8, 8, 3).swapaxes(1, 2).reshape(64, 8, 8, 3)
        assert np.array_equal(after[index][empty[index]][:, 1:, 1:], picture[empty[index]][:, 1:, 1:])
    assert len({look.floor.tobytes() for look in looks}) == 4


def test_lava_and_goals_keep_their_look() -> None:
    looks = bank(Palette(3)).appearances
    plain, changed = GridWorlds("LavaGapS5", 3), GridWorlds("LavaGapS5", 3, appearances=looks)
    for worlds in (plain, changed):
        worlds.reset(range(3), range(3))
    changed.state.appearance[:] = np.arange(3)
    kept = (plain.state.things > WALL) & (plain.state.things <= LAVA)
    assert kept.any() and np.array_equal(tiles(plain)[kept], tiles(changed)[kept])


@pytest.mark.parametrize("distraction", [Palette(7), Texture(7)], ids=["palette", "texture"])
def test_every_look_is_chosen(distraction: Distraction) -> None:
    looks, random = bank(distraction), np.random.default_rng(0)
    assert {looks.choose(0, random) for _ in range(200)} == set(range(7))
    assert 7 in looks.provenance().values()
    again = bank(distraction).appearances
    assert all(np.array_equal(one.floor, other.floor) for one, other in zip(looks.appearances, again, strict=True))


def test_noise_is_gaussian_and_a_function_of_choice_and_step() -> None:
    noise, frame = GaussianNoise(20.0), np.full((64, 64, 3), 128, np.uint8)
    changes = noise.apply(frame, 4, 9).astype(int) - 128
    count = changes.size
    assert abs(changes.mean()) < 4 * 20 / count**0.5
    assert abs(changes.std() - 20) < 4 * 20 / (2 * count) ** 0.5
    assert abs(np.mean(np.abs(changes) <= 20) - 0.6946) < 0.02  # within 20.5 of the mean, when rounded
    assert (frame == 128).all()
    assert np.array_equal(noise.apply(frame, 4, 9), noise.apply(frame, 4, 9))
    for choice, step in ((4, 10), (5, 9)):
        other = noise.apply(frame, choice, step).astype(int) - 128
        assert abs(np.corrcoef(changes.ravel(), other.ravel())[0, 1]) < 0.04
    for level in (0, 255):
        clipped = noise.apply(np.full((64, 64, 3), level, np.uint8), 1, 1)
        assert 0.4 < (clipped == level).mean() < 0.6


def test_noise_has_a_size() -> None:
    for std in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="grey levels above 0"):
            Noise(std)
    assert Noise().load(DataFolder(), 64, "seed").provenance() == {"noise_std": 0.08 * 255}
