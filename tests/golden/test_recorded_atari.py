"""Atari as it was recorded: the papers' wrappers, observation by observation, and Breakout without an end.

``SACCADE_GOLDEN`` names the folder of recordings; these are ``fls/atari_preprocessing.npz`` and
``fls/breakout_infinite.npz`` in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.tasks.atari.emulator import Emulator
from saccade.envs.tasks.atari.games import GAMES as GAMES_THERE_ARE
from saccade.envs.tasks.atari.simulation import AtariSimulation
from saccade.envs.tasks.pixel_env import PixelEnv

pytest.importorskip("ale_py", reason="ale-py is not installed")

GAMES = {"breakout": "Breakout", "ms_pacman": "MsPacman", "seaquest": "Seaquest"}

Recording = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def preprocessing(recorded: Callable[[str], Recording]) -> Recording:
    return recorded("fls/atari_preprocessing.npz")


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
    assert env.simulation.action_names == tuple(preprocessing[f"{game}/action_meanings"])  # type: ignore[attr-defined]
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


# --- Breakout without an end --------------------------------------------------------------------------

WALL = 36  # bytes of memory, a bit half a brick


def score_of(memory: np.ndarray) -> int:
    high, low = int(memory[76]), int(memory[77])
    return 100 * (high & 15) + 10 * (low >> 4) + (low & 15)


def bits_of(memory: np.ndarray) -> int:
    return int(np.unpackbits(memory[:WALL]).sum())


def assert_plays_as_recorded(emulator: Emulator, recording: Recording) -> None:
    """Rewards, scores, walls and lives of every frame, and what is written where a wall is gone."""
    found: dict[str, list[int]] = {"reward": [], "score": [], "wall_bits": [], "lives": []}
    events = recording["event_frame"].tolist()
    for frame, action in enumerate(recording["actions"]):
        found["reward"].append(emulator.act((0, 1, 3, 4)[action]))
        memory = emulator.memory
        found["score"].append(score_of(memory))
        found["wall_bits"].append(bits_of(memory))
        found["lives"].append(emulator.lives)
        if frame in events:
            written = recording["score_bytes_after"][events.index(frame)]
            assert memory[76] & 15 == written[0] & 15 and memory[77] == written[1]
    score = recording["score_ram"].astype(int)
    expected = {**recording, "score": np.where(score >= 864, score - 432, score)}
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert min(found["reward"]) == 0 and len(events) == (score >= 864).sum() > 0


def part(recording: Recording, name: str) -> Recording:
    return {key.removeprefix(name): value for key, value in recording.items() if key.startswith(name)}


def near_the_end_of_a_wall(emulator: Emulator, preset: np.ndarray) -> int:
    """Two points below 864, as it was recorded; the reward of the frame in which that is seen."""
    emulator.begin()
    for _ in range(60):
        emulator.act(0)
    for place, value in enumerate(preset[:WALL]):
        emulator.write(place, int(value))
    emulator.write(76, int(emulator.memory[76]) & 0xF0 | int(preset[WALL]))
    emulator.write(77, int(preset[WALL + 1]))
    return emulator.act(0)


@pytest.fixture(scope="module")
def infinite(recorded: Callable[[str], Recording]) -> Recording:
    return recorded("fls/breakout_infinite.npz")


def test_the_wall_of_breakout_infinite_comes_back(infinite: Recording) -> None:
    recording, emulator = part(infinite, "short/"), Emulator(GAMES_THERE_ARE["BreakoutInfinite"])
    assert near_the_end_of_a_wall(emulator, recording["preset"]) == recording["dropped_reward"]
    assert_plays_as_recorded(emulator, recording)


def test_the_wall_of_breakout_does_not(infinite: Recording) -> None:
    recording, emulator = part(infinite, "short/"), Emulator(GAMES_THERE_ARE["Breakout"])
    near_the_end_of_a_wall(emulator, recording["preset"])
    rewards, walls = [], []
    for action in recording["actions"]:
        rewards.append(emulator.act((0, 1, 3, 4)[action]))
        walls.append(bits_of(emulator.memory))
    np.testing.assert_array_equal(rewards, recording["unpatched_reward_raw"])
    np.testing.assert_array_equal(walls, recording["unpatched_wall_bits"])


def test_a_whole_game_of_breakout_infinite(infinite: Recording) -> None:
    emulator = Emulator(GAMES_THERE_ARE["BreakoutInfinite"])
    emulator.begin()
    assert_plays_as_recorded(emulator, part(infinite, "long/"))


def test_what_is_owed_is_part_of_a_state(infinite: Recording) -> None:
    """Saved in the very frame that took the score back: who goes on from there gives it back."""
    recording, emulator = part(infinite, "short/"), Emulator(GAMES_THERE_ARE["BreakoutInfinite"])
    near_the_end_of_a_wall(emulator, recording["preset"])
    (event,) = recording["event_frame"]
    for action in recording["actions"][: event + 1]:
        emulator.act((0, 1, 3, 4)[action])
    other = Emulator(GAMES_THERE_ARE["BreakoutInfinite"])
    other.restore(emulator.save())
    assert other.act(0) == emulator.act(0) == 0
