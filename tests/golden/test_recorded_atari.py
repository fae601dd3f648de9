"""Atari as it was recorded: the papers' wrappers, observation by observation, and Breakout without an end.

``SACCADE_GOLDEN`` names the folder of recordings; these are ``fls/atari_preprocessing.npz`` and
``fls/breakout_infinite.npz`` in it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.tasks.atari.simulation import AtariSimulation
from saccade.envs.tasks.pixel_env import PixelEnv

pytest.importorskip("ale_py", reason="ale-py is not installed")

FOLDER = Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "fls"
GAMES = {"breakout": "Breakout", "ms_pacman": "MsPacman", "seaquest": "Seaquest"}

Recording = dict[str, np.ndarray]


def recorded(name: str) -> Recording:
    file = FOLDER / name
    if not file.is_file():
        pytest.skip(f"there is no recording {file}")
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def preprocessing() -> Recording:
    return recorded("atari_preprocessing.npz")


class Given:
    """What stands for a generator: the numbers of frames that a recording waited at the start of its games."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.left = [int(number) for number in numbers]

    def integers(self, low: int, high: int) -> int:
        assert low <= self.left[0] < high
        return self.left.pop(0)


def begun(task: str, noops: Sequence[int], **options: Any) -> PixelEnv:
    config = EnvConfig.parse(f"atari/{task}", frame_stack=4, **options)
    generators = iter((None, Given(noops)))  # the second is the one that the environment seeds
    return PixelEnv(config, AtariSimulation(config, lambda seed: next(generators)))


def checksum(obs: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(obs).tobytes())


@pytest.mark.parametrize("length", ["", "long/"])
@pytest.mark.parametrize("game", GAMES)
def test_wrappers_of_the_papers(preprocessing: Recording, game: str, length: str) -> None:
    expected = {name: preprocessing[f"{game}/{length}{name}"] for name in (
        "actions", "reward", "raw_reward", "done", "lives", "game_over", "emulator_frames", "obs_crc32"
    )}  # fmt: skip
    env = begun(GAMES[game], preprocessing[f"{game}/noops"])
    emulator = env.simulation.emulator  # type: ignore[attr-defined]
    obs, _ = env.reset()
    assert env.simulation.action_meanings == tuple(preprocessing[f"{game}/action_meanings"])  # type: ignore[attr-defined]
    found: dict[str, list[Any]] = {name: [] for name in expected if name != "actions"}
    found["obs_crc32"].append(checksum(obs))
    found["emulator_frames"].append(emulator.frames)
    before = 0  # frames of games that are over
    for action in expected["actions"]:
        obs, reward, terminated, truncated, info = env.step(int(action))
        told = {"reward": reward, "done": terminated, "game_over": emulator.over, **info}
        for name, value in told.items():
            found[name].append(value)
        assert not truncated
        if terminated:
            before += emulator.frames if emulator.over else 0
            obs, _ = env.reset()
        found["obs_crc32"].append(checksum(obs))
        found["emulator_frames"].append(before + emulator.frames)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert not length or sum(found["game_over"]) > 1


def test_a_whole_game_is_its_lives_and_what_is_played_between_them(preprocessing: Recording) -> None:
    """Evaluations: the same frames as in training, in which a lost life ends nothing and no reward is cut."""
    recording = {
        name: preprocessing[f"breakout/long/{name}"] for name in ("actions", "obs_crc32", "raw_reward", "done")
    }
    over = int(np.flatnonzero(preprocessing["breakout/long/game_over"])[0])
    env = begun("Breakout", preprocessing["breakout/noops"], episodic_life=False, clip_rewards=False)
    obs, _ = env.reset()
    assert checksum(obs) == recording["obs_crc32"][0]
    total = 0.0
    for step in range(over + 1):
        obs, reward, terminated, _, _ = env.step(int(recording["actions"][step]))
        total += reward
        assert terminated == (step == over)
        if not terminated:
            assert checksum(obs) == recording["obs_crc32"][step + 1], step
    assert recording["done"][: over + 1].sum() == 5 and total >= recording["raw_reward"][: over + 1].sum() > 0
