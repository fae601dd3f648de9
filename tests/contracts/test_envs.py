"""Every environment: seeded, honest about its pixels, and never changed by what it is seen through."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from saccade.envs import register
from saccade.envs.config import EnvConfig
from saccade.envs.distractions.distracting_cs import FAMILIES, PARTS
from saccade.envs.make import make_env
from saccade.envs.tasks.dmc_suite import BENCHMARK_TASKS, MODES
from saccade.envs.tasks.manipulation_suite import MANIPULATION_MODES, MANIPULATION_TASKS
from saccade.testing import check_environment, check_modes
from saccade.types import UserError

SIZE = 48
SMALL = {"image_size": SIZE, "render_quality": "fast"}
GRADED = tuple(f"{family}:{intensities[0]}" for family, intensities in FAMILIES.items())
SEEDED = [
    *(f"dmc/walker_walk@{mode}" for mode in (*MODES, *GRADED[: len(PARTS)])),
    *(f"manipulation/reach@{mode}" for mode in MANIPULATION_MODES),
]
DISTRACTED = [
    ("dmc/walker_walk", (*MODES, *GRADED)),
    ("dmc/finger_turn_easy", (*MODES, GRADED[0])),
    *((task, tuple(MANIPULATION_MODES)) for task in MANIPULATION_TASKS),
]


pytestmark = pytest.mark.usefixtures("generated_data")


def small(task_id: str, **fields: Any) -> EnvConfig:
    return EnvConfig.parse(task_id, **(SMALL | fields))


def actions(env: gymnasium.Env[Any, Any], count: int) -> np.ndarray:
    shape = (count, *env.action_space.shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("task_id", SEEDED)
def test_it_keeps_the_promises_of_an_environment(task_id: str) -> None:
    config = small(task_id, task_mask=True)
    check_environment(lambda seed: make_env(config, seed), steps=4, seeds=(1, 2))


@pytest.mark.parametrize("task_id", ["dmc/walker_walk@color_hard", "manipulation/reach@test1"])
def test_the_first_reset_uses_the_seed_that_it_was_made_with(task_id: str) -> None:
    pictures = []
    for made, given in ((7, None), (None, 7), (8, None)):
        env = make_env(small(task_id), made)
        pictures.append(env.reset(seed=given)[0])
        env.close()
    assert np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize(("task", "modes"), DISTRACTED, ids=lambda value: value if isinstance(value, str) else "")
def test_distractions_change_pixels_alone(task: str, modes: tuple[str, ...]) -> None:
    check_modes(
        lambda mode, seed: make_env(small(task, mode=mode), seed),
        modes,
        steps=4,
        seed=1,
        state=lambda env: env.simulation.task.physics.get_state(),
    )


@pytest.mark.parametrize("task", [*BENCHMARK_TASKS, *MANIPULATION_TASKS])
def test_observations(task: str) -> None:
    env = make_env(small(task), seed=3)
    observations = [env.reset()[0]]
    assert np.array_equal(observations[0][:3], observations[0][6:])  # the first frame, three times
    for action in actions(env, 3):
        observations.append(env.step(action)[0])
    env.close()
    for observation in observations:
        assert observation in env.observation_space
        assert observation.std() > 1  # a picture
    for before, after in pairwise(observations):
        assert np.array_equal(before[3:], after[:6])  # oldest frame first
        assert not np.array_equal(after[3:6], after[6:])  # something moves


def test_writing_to_an_observation_changes_nothing_later() -> None:
    env = make_env(small("dmc/cartpole_swingup"), seed=0)
    observation, _ = env.reset()
    kept = observation.copy()
    observation[:] = 0
    after, *_ = env.step(np.zeros(1, np.float32))
    env.close()
    assert np.array_equal(after[:6], kept[3:])


def test_physics_and_rewards_are_dm_controls_own() -> None:
    from dm_control import suite

    env = make_env(small("dmc/cheetah_run", action_repeat=3), seed=5)
    theirs = suite.load("cheetah", "run", task_kwargs={"random": 5, "time_limit": math.inf})
    for _ in range(2):
        env.reset()
        theirs.reset()
        for action in actions(env, 3):
            expected = sum(theirs.step(action).reward for _ in range(3))
            assert env.step(action)[1] == expected
            assert np.array_equal(env.simulation.task.physics.get_state(), theirs.physics.get_state())
    env.close()


def test_actions_cover_the_controls_and_are_clipped() -> None:
    env = make_env(small("dmc/quadruped_walk"), seed=0)
    env.reset()
    motors = env.simulation.task.environment.action_spec()
    low, high = motors.minimum, motors.maximum
    for action, control in [(-1, low), (1, high), (0, (low + high) / 2), (7, high)]:
        env.step(np.full(12, action, np.float32))
        np.testing.assert_allclose(env.simulation.task.physics.control(), control, atol=1e-15)
    for wrong in (np.zeros(11), np.full(12, np.nan)):
        with pytest.raises(UserError, match="12 finite numbers"):
            env.step(wrong)
    env.close()


@pytest.mark.parametrize(
    ("task", "action_repeat", "agent_steps"),
    [
        ("dmc/walker_walk", None, 250),
        ("dmc/cartpole_swingup", None, 125),
        ("dmc/finger_spin", None, 500),
        ("dmc/cartpole_swingup", 4, 250),
        ("dmc/lqr_lqr_2_1", 300, 4),  # 1000 / 300, rounded up
        ("manipulation/reach", None, 50),
        ("manipulation/peg_in_box", 4, 13),  # 50 / 4, rounded up
    ],
)
def test_length_of_an_episode(task: str, action_repeat: int | None, agent_steps: int) -> None:
    assert EnvConfig(task, action_repeat=action_repeat).episode_agent_steps == agent_steps


def test_an_episode_is_truncated_and_never_terminates() -> None:
    env = make_env(small("dmc/lqr_lqr_2_1", action_repeat=300), seed=0)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1))
    for _ in range(2):
        env.reset()
        ends = [env.step(np.zeros(1))[2:4] for _ in range(4)]
        assert ends == [(False, False)] * 3 + [(False, True)]
        assert env.simulation.task.physics.time() == pytest.approx(1200 * 0.03)
        with pytest.raises(ResetNeeded):
            env.step(np.zeros(1))
    env.close()


def test_video_frames_follow_the_agent_steps() -> None:
    env = make_env(small("dmc/walker_walk@video_hard", clip_order="sequential"), seed=0)
    from saccade.data.banks.clips import load_clips
    from saccade.data.folder import DataFolder

    clips = load_clips(DataFolder(), "video_hard", SIZE).arrays
    for clip in (clips[1], clips[2]):  # the published order: the second clip first
        observation, _ = env.reset()
        frames = [observation]
        frames += [env.step(action)[0] for action in actions(env, 4)]
        for step, stacked in enumerate(frames):
            for age in range(3):
                shown = stacked[6 - 3 * age : 9 - 3 * age, 0, :8]  # a piece of sky
                assert np.array_equal(shown, clip[max(step - age, 0), 0, :8].T)
    env.close()


@pytest.mark.parametrize(
    "task_id", ["dmc/reacher_easy@color_hard", "dmc/reacher_easy@video_hard", "manipulation/peg_in_box@test1"]
)
def test_a_seed_at_reset_starts_everything_anew(task_id: str) -> None:
    for order in ("seed", "sequential"):
        env = make_env(small(task_id, clip_order=order), seed=None)
        pictures = [env.reset(seed=seed)[0] for seed in (7, None, 7, None)]
        env.close()
        assert np.array_equal(pictures[0], pictures[2])
        assert np.array_equal(pictures[1], pictures[3])
        assert not np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    ("task", "mode"),
    [("dmc/ball_in_cup_catch", "train"), ("dmc/ball_in_cup_catch", "video_hard"), ("manipulation/reach", "test4")],
)
def test_gymnasium_finds_nothing_to_complain_about(task: str, mode: str) -> None:
    register()
    env = gymnasium.make(task, mode=mode, render_mode="rgb_array", **SMALL)
    check_env(env.unwrapped)
    observation, _ = env.reset(seed=0)
    picture = env.render()
    assert np.array_equal(picture, observation[6:].transpose(1, 2, 0))
    assert env.unwrapped.config == small(f"{task}@{mode}")
    env.close()
    env.close()


@pytest.mark.parametrize("task", ["dmc/walker_walk", "manipulation/reach"])
def test_render_quality(task: str) -> None:
    frames = {}
    for quality in ("full", "fast"):
        env = make_env(EnvConfig.parse(task, image_size=SIZE, render_quality=quality), seed=1)
        frames[quality] = env.reset()[0][:3].astype(float)
        assert env.provenance["render_quality"] == quality
        env.close()
    squared_error = np.mean((frames["full"] - frames["fast"]) ** 2)
    assert 0 < squared_error < 255**2 / 10**3.5  # over 35 dB at this size, but not the same


def test_provenance_is_json_and_tells_sources() -> None:
    for mode, expected in {
        "color_easy": {"colors": "generated"},
        "video_easy": {"clips": "procedural"},
    }.items():
        env = make_env(small(f"dmc/cartpole_balance@{mode}"), seed=0)
        assert json.loads(json.dumps(env.provenance)) == env.provenance
        assert expected.items() <= env.provenance.items()
        assert env.provenance["action_repeat"] == 8
        env.close()


@pytest.mark.parametrize(
    ("task_id", "fields"),
    [
        ("dmc/walker_walk@video_hard", {"task_mask": True}),
        ("manipulation/reach@test1", {"action_space": "xyz", "reach_bonus": False}),
    ],
)
def test_a_config_survives_json(task_id: str, fields: dict[str, Any]) -> None:
    config = small(task_id, **fields)
    told = json.loads(json.dumps(asdict(config)))
    options = told.pop("options")
    assert EnvConfig.parse(told.pop("task"), **told, **options) == config
    register()
    env = gymnasium.make(config.task, mode=config.mode, **(SMALL | fields))
    assert env.unwrapped.config == config
    env.close()
