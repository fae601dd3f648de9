"""Red-Fetch-Green as it was recorded: first states, whole episodes, pixels, the truth, and scores of given maps.

``SACCADE_GOLDEN`` names the folder of recordings; this one is ``digr/red_fetch_green.npz`` in it. Every number is taken
from the file.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.envs.tasks.minigrid.red_fetch_green import OBJECT_COLOURS, SIZE
from saccade.envs.tasks.minigrid.things import (
    BALL_TYPE,
    COLOURS,
    DONE,
    EMPTY,
    KEY_TYPE,
    NUMBERS,
)
from saccade.envs.tasks.minigrid.world import GridWorlds, Truth
from saccade.metrics.localisation import area_under_roc, important_sum, unimportant_sum
from saccade.metrics.measures import area_under_curve

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

TOLERANCE = 1e-9
TARGETS = OBJECT_COLOURS  # lists of actions are named by them

Recording = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def recording(recorded: Callable[[str], Recording]) -> Recording:
    return recorded("digr/red_fetch_green.npz")


def begun(seeds: np.ndarray) -> GridWorlds:
    worlds = GridWorlds("red_fetch_green", len(seeds))
    worlds.reset(range(len(seeds)), [int(seed) for seed in seeds])
    return worlds


def test_first_states(recording: Recording) -> None:
    state = begun(recording["env_seeds"]).state
    for index in range(len(state.agent)):
        x, y = recording["agent_xy"][index]
        assert state.agent[index] == y * SIZE + x
        assert state.direction[index] == recording["agent_direction"][index]
        lying = np.full((SIZE, SIZE), EMPTY)
        for colour, kind, (x, y) in zip(
            OBJECT_COLOURS, recording["object_kind"][index], recording["object_xy"][index], strict=True
        ):
            lying[y, x] = NUMBERS[(KEY_TYPE, BALL_TYPE)[kind], COLOURS.index(colour), 0]
        assert np.array_equal(state.things[index].reshape(SIZE, SIZE)[1:-1, 1:-1], lying[1:-1, 1:-1])


def test_first_frames_and_their_truth(recording: Recording) -> None:
    worlds = begun(recording["env_seeds"])
    frames, truth = worlds.draw(), worlds.truth()
    assert np.array_equal(frames, recording["frames"])
    assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames] == recording["sha256"].tolist()
    assert np.array_equal(truth == Truth.IMPORTANT, recording["important"])
    assert np.array_equal(truth == Truth.UNIMPORTANT, recording["unimportant"])
    assert np.array_equal(worlds.task_mask(), recording["important"])


def test_episodes(recording: Recording) -> None:
    """All lists of actions at once; what has ended does nothing from then on."""
    worlds = begun(recording["list_seed"])
    actions, lengths = recording["actions"].astype(int), recording["length"]
    for step in range(int(lengths.max())):
        under_way = step < lengths
        results = worlds.step(np.where(under_way, actions[:, step], DONE))
        for name, ours in zip(("rewards", "terminated", "truncated"), results, strict=True):
            assert np.array_equal(ours[under_way], recording[name][under_way, step]), (name, step)
        frames = worlds.draw()
        for index in np.flatnonzero(under_way):
            assert zlib.crc32(frames[index].tobytes()) == recording["frame_crc32"][index, step]
            if step == lengths[index] - 1:
                assert np.array_equal(frames[index], recording["last_frame"][index])
                assert results[1][index] or results[2][index]
                assert worlds.success()[index] == (recording["rewards"][index, step] > 0)


def test_shortest_ways(recording: Recording) -> None:
    """A search over cells and directions needs as many steps as were recorded, and so do the lists so named."""
    state = begun(recording["env_seeds"]).state
    for index, recorded in enumerate(recording["shortest"]):
        for (x, y), steps in zip(recording["object_xy"][index], recorded, strict=True):
            target = int(y) * SIZE + int(x)
            assert shortest(state.things[index], int(state.agent[index]), int(state.direction[index]), target) == steps
    shortest_of = dict(zip(recording["env_seeds"].tolist(), recording["shortest"], strict=True))
    for name, seed, length in zip(recording["list_name"], recording["list_seed"], recording["length"], strict=True):
        if name in TARGETS:
            assert shortest_of[int(seed)][TARGETS.index(name)] == length


def shortest(things: np.ndarray, agent: int, direction: int, target: int) -> int:
    """Steps until the thing at ``target`` is picked up; -1 where it cannot be reached."""
    steps, queue = {(agent, direction): 0}, deque([(agent, direction)])
    while queue:
        cell, facing = queue.popleft()
        ahead = cell + (1, SIZE, -1, -SIZE)[facing]
        if ahead == target:
            return steps[cell, facing] + 1
        moved = (ahead if things[ahead] == EMPTY else cell, facing)
        for following in (moved, (cell, (facing + 1) % 4), (cell, (facing - 1) % 4)):
            if following not in steps:
                steps[following] = steps[cell, facing] + 1
                queue.append(following)
    return -1


def test_scores_of_given_maps(recording: Recording) -> None:
    """With our truth of the states: sums by both normalisations, and areas under the curve."""
    maps, important, ignored = maps_and_truth(recording)
    for name, ours in (
        ("auc", area_under_roc(maps, important, ignored)),
        ("important_sum", important_sum(maps, important, ignored, normalise_by="all")),
        ("unimportant_sum", unimportant_sum(maps, important, ignored, normalise_by="all")),
        ("important_sum_counted", important_sum(maps, important, ignored)),
        ("unimportant_sum_counted", unimportant_sum(maps, important, ignored)),
    ):
        np.testing.assert_allclose(ours, recording[f"metric/{name}"], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def test_pooled_scores_of_given_maps(recording: Recording) -> None:
    maps, important, ignored = maps_and_truth(recording)
    scaled = maps / maps.amax((1, 2), keepdim=True)
    for name, recorded in zip(recording["pooled_name"], recording["pooled_auc"], strict=True):
        rows = torch.from_numpy(recording["map_name"] == name)
        values, inside, left_out = (each[rows].flatten()[None] for each in (scaled, important, ignored))
        pooled = area_under_curve(values, (inside & ~left_out).double(), (~inside & ~left_out).double())
        np.testing.assert_allclose(pooled, [recorded], rtol=TOLERANCE, atol=TOLERANCE, err_msg=str(name))


def maps_and_truth(recording: Recording) -> tuple[Tensor, Tensor, Tensor]:
    """The recorded maps in float64, and our own truth of their states: important and ignored pixels."""
    truth = torch.from_numpy(begun(recording["env_seeds"]).truth())[torch.from_numpy(recording["map_state"])]
    maps = torch.from_numpy(recording["maps"].astype(np.float64))
    return maps, truth == int(Truth.IMPORTANT), truth == int(Truth.IGNORED)
