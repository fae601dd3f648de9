"""An environment's state is all of it: another environment, given it, continues bit for bit."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco.opengl import load_simulator
from saccade.types import UserError

SIZE = 32
STEPS_BEFORE, STEPS_AFTER = 3, 50

CASES = [
    "dmc/walker_walk@video_hard",
    "dmc/finger_turn_hard@color_hard",
    "dmc/reacher_hard@video_easy",
    "dmc/ball_in_cup_catch",
    "dmc/walker_walk@gb2_rotate_hard",
    "dmc/finger_spin@gb2_rotate_shift_easy",
    "dmc/cheetah_run@gb2_color_video_hard",
    "dmc/cartpole_swingup@color_easy",
    "dmc/cheetah_run",
    "dmc/finger_spin",
    "dmc/swimmer_swimmer6",
    "dmc/point_mass_hard",
    "dmc/stacker_stack_2",
    "dmc/walker_walk@distracting_cs:0.05",
    "dmc/cartpole_swingup@distracting_cs_camera:0.3",
    "dmc/reacher_easy@distracting_cs_original:0.1",
    "dmc/finger_spin@distracting_cs_static:0.025",
    "manipulation/reach@test2",
    "manipulation/peg_in_box@test1",
]


pytestmark = pytest.mark.usefixtures("generated_data")


def small(task_id: str, **fields: Any) -> EnvConfig:
    return EnvConfig.parse(task_id, image_size=SIZE, render_quality="fast", action_repeat=2, **fields)


def continue_from(env: Any, steps: int) -> tuple[np.ndarray, list[float]]:
    """The observations and rewards of some steps, a reset and two steps more; always the same actions."""
    random = np.random.default_rng(1)
    observations, rewards = [], []
    for step in range(steps + 2):
        if step == steps:
            observations.append(env.reset()[0])
        observation, reward, *_ = env.step(random.uniform(-1, 1, env.action_space.shape))
        observations.append(observation)
        rewards.append(reward)
    return np.stack(observations), rewards


@pytest.mark.parametrize("task_id", CASES)
@pytest.mark.parametrize("steps_before", [0, STEPS_BEFORE])
def test_another_environment_continues(task_id: str, steps_before: int) -> None:
    steps_after = min(STEPS_AFTER, small(task_id).episode_agent_steps - steps_before) if steps_before else 5
    env = make_env(small(task_id), seed=1)
    env.reset()
    env.reset()
    for _ in range(steps_before):
        env.step(env.action_space.sample())
    state = env.get_state()
    observations, rewards = continue_from(env, steps_after)
    env.close()

    other = make_env(small(task_id), seed=99)
    other.reset()
    other.set_state(state)
    assert all(np.array_equal(value, other.get_state()[key]) for key, value in state.items())
    other_observations, other_rewards = continue_from(other, steps_after)
    other.close()
    assert other_rewards == rewards
    assert np.array_equal(other_observations, observations)
    assert observations.std() > 1


def test_a_fresh_process_continues_without_a_reset(tmp_path: Path) -> None:
    task_id = "dmc/walker_walk@video_hard"
    env = make_env(small(task_id, task_mask=True, clip_order="sequential"), seed=1)
    env.reset()
    for _ in range(STEPS_BEFORE):
        env.step(env.action_space.sample())
    (tmp_path / "state").write_bytes(pickle.dumps(env.get_state()))
    expected = [env.step(np.full(6, 0.3)) for _ in range(5)]
    env.close()
    program = f"""
import pickle
from pathlib import Path
import numpy as np
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
config = EnvConfig.parse(
    {task_id!r}, image_size={SIZE}, render_quality="fast", action_repeat=2,
    task_mask=True, clip_order="sequential",
)
env = make_env(config, seed=5)
env.set_state(pickle.loads(Path({str(tmp_path / "state")!r}).read_bytes()))
steps = [env.step(np.full(6, 0.3)) for _ in range(5)]
Path({str(tmp_path / "steps")!r}).write_bytes(pickle.dumps(steps))
"""
    # Not closed on purpose: ending without it must be silent, too.
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    steps = pickle.loads((tmp_path / "steps").read_bytes())
    for (observation, reward, *_, info), (expected_observation, expected_reward, *_, expected_info) in zip(
        steps, expected, strict=True
    ):
        assert reward == expected_reward
        assert np.array_equal(observation, expected_observation)
        assert np.array_equal(info["task_mask"], expected_info["task_mask"])


def test_a_state_is_plain_and_its_own() -> None:
    env = make_env(small("dmc/reacher_easy@color_hard"), seed=1)
    env.reset()
    state = env.get_state()
    kept = pickle.dumps(state)
    for value in state.values():
        assert isinstance(value, np.ndarray | int | float | str | bool)
    env.step(np.ones(2))
    env.reset()
    assert pickle.dumps(state) == kept
    env.close()


def test_a_state_of_another_environment_is_refused() -> None:
    env, other = make_env(small("dmc/walker_walk"), seed=1), make_env(small("dmc/walker_run"), seed=1)
    env.reset()
    with pytest.raises(UserError, match=r"walker_walk.*walker_run"):
        other.set_state(env.get_state())
    masked = make_env(small("dmc/walker_walk", task_mask=True), seed=1)
    with pytest.raises(UserError, match="without task masks"):
        masked.set_state(env.get_state())
    for each in (env, other, masked):
        each.close()


def test_tasks_change_no_other_part_of_the_model() -> None:
    """Over the whole suite: what differs after a reset is what ``get_state`` keeps of a model."""
    load_simulator()
    from dm_control import suite

    from saccade.envs.mujoco.state import EPISODE_MODEL_FIELDS

    changed = set()
    for domain, task in suite.ALL_TASKS:
        environment = suite.load(domain, task, task_kwargs={"random": 0, "time_limit": math.inf})
        model = environment.physics.model.ptr
        names = [name for name in dir(model) if not name.startswith(("_", "tex_data", "mesh_", "skin_"))]
        fields = {name: getattr(model, name) for name in names}
        before = {name: value.copy() for name, value in fields.items() if isinstance(value, np.ndarray)}
        for _ in range(2):
            environment.reset()
        changed |= {name for name, value in before.items() if not np.array_equal(value, getattr(model, name))}
        environment.physics.free()
    assert changed <= set(EPISODE_MODEL_FIELDS)
    assert changed == set(EPISODE_MODEL_FIELDS), "a field is kept that no task changes"


def test_the_generator_of_distractions_is_part_of_the_state() -> None:
    env = make_env(small("dmc/cartpole_balance@color_hard"), seed=1)
    env.reset()
    state = env.get_state()
    choices: list[list[int]] = [[], []]
    for drawn in choices:
        env.set_state(state)
        for _ in range(4):
            env.reset()
            drawn.append(int(env.get_state()["choices"][0]))
    env.close()
    assert choices[0] == choices[1]
    assert len(set(choices[0])) > 1
