"""MiniGrid as a suite: streams are environments, pixel by pixel, and what cannot be is refused in a sentence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.cli import main
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.streams import Streams, StreamStep, WorkerStreams
from saccade.envs.suites import modes_of, suite_of
from saccade.envs.tasks.minigrid.simulation import GridStreams
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.envs.workers.env_workers import EnvWorkers

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

RED_FETCH_GREEN, SHORT = "minigrid/red_fetch_green", "minigrid/Dynamic-Obstacles-5x5"
SEEDS = [3, 4, 5]
STEPS = 340  # longer than an episode of red_fetch_green
MODES = tuple(modes_of(RED_FETCH_GREEN))


def described(task: str, mode: str, **fields: Any) -> EnvConfig:
    return EnvConfig.parse(f"{task}@{mode}", frame_stack=2, **fields)


def random_actions(config: EnvConfig, steps: int) -> np.ndarray:
    actions = suite_of(config.task).spaces(config).actions
    return np.random.default_rng(0).integers(0, actions.count, (steps, len(SEEDS)))


class Restarted:
    """Environments of Gymnasium's kind, restarted by hand as their episodes end."""

    def __init__(self, config: EnvConfig) -> None:
        self.envs: list[PixelEnv] = [make_env(config, seed) for seed in SEEDS]
        self.ends = {"terminated": 0, "truncated": 0}

    def start(self) -> np.ndarray:
        return np.stack([env.reset()[0] for env in self.envs])

    def step(self, actions: np.ndarray) -> StreamStep:
        found = [env.step(int(action)) for env, action in zip(self.envs, actions, strict=True)]
        obs, reward, terminated, truncated = (np.array([each[part] for each in found]) for part in range(4))
        success = [each[4]["is_success"] for each in found if "is_success" in each[4]]
        ended = terminated | truncated
        last = obs[ended]
        for index in np.flatnonzero(ended):
            obs[index] = self.envs[index].reset()[0]
        self.ends["terminated"] += int(terminated.sum())
        self.ends["truncated"] += int(truncated.sum())
        return StreamStep(obs, reward, terminated, truncated, last, np.array(success) if success else None)


def assert_same(ours: StreamStep, theirs: StreamStep) -> None:
    for name, left, right in zip(StreamStep._fields, ours, theirs, strict=True):
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", [RED_FETCH_GREEN, SHORT])
def test_streams_are_the_environments_of_the_same_seeds(task: str, mode: str) -> None:
    config = described(task, mode, num_actions=3)  # nothing is picked up: episodes are as long as they can be
    streams, envs = GridStreams(config, SEEDS), Restarted(config)
    np.testing.assert_array_equal(streams.start(), envs.start())
    for actions in random_actions(config, STEPS):
        assert_same(streams.step(actions), envs.step(actions))
    assert envs.ends["truncated" if task == RED_FETCH_GREEN else "terminated"] >= len(SEEDS)


@pytest.mark.parametrize("wrong_pick", [-1.0, 0.0])
def test_streams_reward_as_environments_do(wrong_pick: float) -> None:
    config = described(RED_FETCH_GREEN, "train", wrong_pick=wrong_pick)
    streams, envs, rewards = GridStreams(config, SEEDS), Restarted(config), set[float]()
    np.testing.assert_array_equal(streams.start(), envs.start())
    for actions in random_actions(config, STEPS):
        step = streams.step(actions)
        assert_same(step, envs.step(actions))
        assert step.success is not None and np.array_equal(step.success, step.reward > 0)
        rewards |= set(step.reward[step.terminated])
    assert envs.ends["terminated"] > len(SEEDS) and rewards == {1.0, wrong_pick}


def test_a_task_that_is_not_square() -> None:
    config = described("minigrid/RedBlueDoors-8x8", "texture")
    streams, envs = GridStreams(config, SEEDS), Restarted(config)
    assert streams.start().shape == envs.start().shape == (len(SEEDS), 6, 64, 128)
    for actions in random_actions(config, 20):
        assert_same(streams.step(actions), envs.step(actions))


@pytest.mark.parametrize("mode", MODES)
def test_streams_continue_from_a_state(mode: str) -> None:
    config = described(RED_FETCH_GREEN, mode)
    actions = random_actions(config, 400)
    first = GridStreams(config, SEEDS)
    first.start()
    for row in actions[:150]:
        first.step(row)
    state = first.get_state()
    expected = [first.step(row) for row in actions[150:]]
    assert sum(step.ended.sum() for step in expected) > len(SEEDS)  # new episodes are drawn as they would have been
    second = GridStreams(config, [seed + 100 for seed in SEEDS])
    second.set_state(state)
    for row, step in zip(actions[150:], expected, strict=True):
        assert_same(second.step(row), step)


@pytest.mark.parametrize("mode", ["palette", "noise"])
def test_streams_of_workers_are_streams_of_the_suite(mode: str) -> None:
    config = described(RED_FETCH_GREEN, mode)
    grid = GridStreams(config, SEEDS)
    with closing(WorkerStreams(EnvWorkers([config] * len(SEEDS), SEEDS, num_workers=0))) as workers:
        both: tuple[Streams, Streams] = grid, workers
        np.testing.assert_array_equal(*(streams.start() for streams in both))
        assert grid.spaces == workers.spaces and grid.num_envs == workers.num_envs
        for actions in random_actions(config, 150):
            assert_same(grid.step(actions), workers.step(actions))


def test_the_task_mask_is_the_stack_of_what_matters() -> None:
    env = make_env(EnvConfig.parse(RED_FETCH_GREEN, frame_stack=2, task_mask=True), 0)
    obs, info = env.reset()
    assert info["task_mask"].shape == (2, 64, 64) and info["task_mask"].dtype == bool
    turned, *_, info_after = env.step(0)
    assert np.array_equal(info_after["task_mask"][0], info["task_mask"][1])
    changed = (turned[3:] != obs[3:]).any(0)  # a turn is seen in the cell of the agent, which matters
    assert changed.any() and info_after["task_mask"][1][changed].all()


TINY = "--preset small --steps 64 --envs 2 --rollout-steps 8 --minibatches 2 --workers 0 --evaluation-modes"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sac minigrid/red_fetch_green", "discrete actions, which sac cannot learn: use one of ppo, fls, digr, "),
        (
            "ppo minigrid/red_fetch_green --render-quality fast",
            "option of dmc and manipulation, but minigrid/red_fetch_green is of minigrid, which has --num-actions, ",
        ),
        (
            "ppo minigrid/red_fetch_green --random-steps 5",
            "--random-steps is an option of methods that learn from a replay buffer, but ppo learns from rollouts",
        ),
        (
            "ppo minigrid/red_fetch_green --no-overlap",
            "--overlap is an option of methods that learn from a replay buffer, but ppo learns from rollouts: leave it",
        ),
        ("ppo minigrid/red_fetch_green --clip-range -3", "--clip-range -3.0 is out of range: it must be from 0 to 1."),
        ("ppo minigrid/red_fetch_green --gae-lambda 7", "--gae-lambda 7.0 is out of range: it must be from 0 to 1."),
        ("ppo minigrid/red_fetch_green --image-size 70", "minigrid/red_fetch_green has 8 cells a side: use 72"),
        ("ppo minigrid/red_fetch_green --image-size 16", "use larger pictures, or --network small."),
        (
            "ppo minigrid/red_fetch_gren",
            "there is no task 'minigrid/red_fetch_gren'; the nearest: minigrid/red_fetch_green",
        ),
        ("ppo minigrid/red_fetch_green@video_hard", "the choices are train, palette, texture, noise"),
        ("ppo minigrid/red_fetch_green --num-actions 9", "num_actions is 9, but must be a whole number from 1 to 7"),
        ("ppo minigrid/red_fetch_green --wrong-pick nan", "wrong_pick is nan, but must be a finite number"),
        ("ppo minigrid/red_fetch_green --action-repeat 2", "action_repeat is 2, but minigrid plays an action once"),
        ("ppo minigrid/DoorKey-5x5 --wrong-pick 0", "wrong_pick is for minigrid/red_fetch_green alone"),
        (
            "ppo minigrid/red_fetch_green --minibatches 17",
            "16 decisions, which cannot be split into --minibatches 17: choose fewer, or more --rollout-steps or",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    method, task, *options = words.split()
    tiny = TINY.split() if method == "ppo" else []
    assert main(["train", method, task, *tiny, *options, "--device", "cpu", "--out", "run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("saccade: ")]
    assert told in line and line.count("saccade: ") == 1
    assert list(tmp_path.iterdir()) == []
