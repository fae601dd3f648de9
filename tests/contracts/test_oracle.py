"""The oracle: black outside the simulator's own mask, the mode's own pixels inside, in every suite that knows masks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from saccade.bench.results import setting_of
from saccade.cli import main, train_command
from saccade.cli.options import Evaluate
from saccade.cli.parsing import parsed
from saccade.cli.suite_options import given
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.oracle import shown
from saccade.envs.suites import SUITES, option_names, suite_of
from saccade.envs.tasks.dmc_suite import DMC_DOMAINS
from saccade.runs.config import from_json, to_json
from saccade.types import UserError

SIZE = 40
STEPS = 3
GRID = "minigrid/red_fetch_green"
CASES = [
    ("dmc/walker_walk@video_hard", "task"),
    ("dmc/ball_in_cup_catch@color_hard", "task"),
    ("dmc/finger_turn_easy@video_easy+noise:0.1", "task_and_ground"),
    ("manipulation/reach@test3", "task"),
    ("manipulation/peg_in_box@test1", "task_and_ground"),
    (f"{GRID}@palette", "task"),
    (f"{GRID}@noise", "task"),
]


pytestmark = pytest.mark.usefixtures("generated_data")


def config_of(task_id: str, **fields: Any) -> EnvConfig:
    if task_id.startswith("minigrid"):
        return EnvConfig.parse(task_id, **fields)
    return EnvConfig.parse(task_id, image_size=SIZE, render_quality="fast", **fields)


def play(task_id: str, steps: int = STEPS, seed: int = 1, **fields: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Observations ``[steps + 1, frames, colours, H, W]`` and their task masks ``[steps + 1, frames, H, W]``."""
    env = make_env(config_of(task_id, **fields), seed)
    env.action_space.seed(0)
    obs, info = env.reset()
    seen, masks = [obs], [info.get("task_mask")]
    for _ in range(steps):
        obs, _, _, _, info = env.step(env.action_space.sample())
        seen.append(obs)
        masks.append(info.get("task_mask"))
    env.close()
    stacked = np.stack(seen)
    frames = stacked.reshape(len(stacked), -1, 3, *stacked.shape[2:])
    return frames, None if masks[0] is None else np.stack([mask for mask in masks if mask is not None])


def test_what_is_shown_by_hand() -> None:
    picture, mask = np.full((2, 2, 3), 9, np.uint8), np.array([[True, False], [False, True]])
    assert shown(picture, mask).tolist() == [[[9] * 3, [0] * 3], [[0] * 3, [9] * 3]]
    assert shown(picture, mask).dtype == np.uint8 and picture.min() == 9


@pytest.mark.parametrize(("task_id", "oracle"), CASES)
def test_outside_the_mask_is_black_and_inside_is_what_the_mode_shows(task_id: str, oracle: str) -> None:
    plain, masks = play(task_id, task_mask=True)
    oracles, told = play(task_id, oracle_mask=oracle, task_mask=True)
    assert masks is not None and told is not None and np.array_equal(masks, told)
    inside = np.broadcast_to(masks[:, :, None], plain.shape)
    assert inside.any() and np.array_equal(oracles[inside], plain[inside])
    if oracle == "task":
        assert not oracles[~inside].any() and plain[~inside].any()
    else:
        ground = oracles.any(2) & ~masks
        assert ground.any() and not ground.all()
        everywhere = np.broadcast_to(ground[:, :, None], plain.shape)
        assert np.array_equal(oracles[everywhere], plain[everywhere])


@pytest.mark.parametrize("task", ["dmc/walker_walk", "dmc/cheetah_run"])
def test_behind_the_oracle_a_video_changes_next_to_nothing(task: str) -> None:
    """Only outlines, whose pixels are a blend of body and background: less than a fiftieth of the change without it."""
    changes = []
    for fields in ({}, {"oracle_mask": "task"}):
        (clean, _), (distracted, _) = play(task, **fields), play(f"{task}@video_hard", **fields)
        changes.append(np.abs(clean.astype(int) - distracted).mean())
    assert changes[0] > 20 and 0 < changes[1] < changes[0] / 50


def test_the_frames_of_a_stack_each_have_the_mask_of_their_own_time() -> None:
    frames, _ = play("dmc/cheetah_run", steps=4, oracle_mask="task", frame_stack=3)
    alone, _ = play("dmc/cheetah_run", steps=4, oracle_mask="task", frame_stack=1)
    for step in range(2, 5):
        assert np.array_equal(frames[step], alone[step - 2 : step + 1, 0])
    assert not np.array_equal(frames[4][0], frames[4][2])


@pytest.mark.parametrize("task_id", ["dmc/walker_walk@video_hard", "manipulation/reach", f"{GRID}@palette"])
def test_a_state_continues_bit_for_bit(task_id: str) -> None:
    env = make_env(config_of(task_id, oracle_mask="task"), seed=1)
    env.action_space.seed(0)
    env.reset()
    env.step(env.action_space.sample())
    state, actions = env.get_state(), [env.action_space.sample() for _ in range(STEPS)]
    expected = [env.step(action)[:2] for action in actions]
    env.close()
    other = make_env(config_of(task_id, oracle_mask="task"), seed=99)
    other.reset()
    other.set_state(state)
    for action, (obs, reward) in zip(actions, expected, strict=True):
        again = other.step(action)
        assert np.array_equal(again[0], obs) and again[1] == reward
    other.close()
    without = make_env(config_of(task_id), seed=1)
    without.reset()
    with pytest.raises(UserError, match="state of another environment"):
        without.set_state(state)
    without.close()


def test_a_film_shows_what_the_agent_sees() -> None:
    env = make_env(config_of("dmc/walker_walk@video_hard", oracle_mask="task"), seed=1, render_mode="rgb_array")
    obs, _ = env.reset()
    assert np.array_equal(env.render(), obs[-3:].transpose(1, 2, 0))
    env.close()


def test_a_batch_of_grid_worlds_is_pixel_by_pixel_its_environments() -> None:
    config = EnvConfig.parse(f"{GRID}@noise", oracle_mask="task", frame_stack=2)
    streams_of = suite_of(GRID).streams
    assert streams_of is not None
    streams = streams_of(config, [3, 4])
    assert streams is not None
    envs = [make_env(config, seed) for seed in (3, 4)]
    seen = streams.start()
    assert all(np.array_equal(row, env.reset()[0]) for row, env in zip(seen, envs, strict=True))
    random, alone = np.random.default_rng(0), 0
    for _ in range(150):
        actions = random.integers(0, 4, 2)  # one of them picks up what it finds, which ends the episode
        step = streams.step(actions)
        for index, env in enumerate(envs):
            obs, _, terminated, truncated, _ = env.step(actions[index])
            if terminated or truncated:
                obs = env.reset()[0]
            assert np.array_equal(step.obs[index], obs)
        alone += bool((step.terminated | step.truncated).sum() == 1)
    assert alone > 0 and 0.5 < (step.obs == 0).mean() < 1


def test_the_ground_of_every_domain_is_a_level_surface_that_does_not_move() -> None:
    from saccade.envs.mujoco.opengl import load_simulator

    load_simulator()
    import mujoco

    level = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)
    for task in (*(f"dmc/{domain}_{names[0]}" for domain, names in DMC_DOMAINS.items()), "dmc/quadruped_escape"):
        made = suite_of(task).simulation.keywords["task"](EnvConfig(task))  # type: ignore[attr-defined]
        model, data = made.physics.model.ptr, made.physics.data.ptr
        found = [geom for geom in map(model.geom, range(model.ngeom)) if geom.name in made.ground]
        assert found, task
        for geom in found:
            upwards = data.geom_xmat[geom.id].reshape(3, 3)[:, 2]
            assert geom.type[0] in level and geom.bodyid[0] == 0 and upwards == pytest.approx([0, 0, 1]), task
        planes = [geom for geom in map(model.geom, range(model.ngeom)) if geom.type[0] in level]
        walls = [geom for geom in planes if data.geom_xmat[geom.id].reshape(3, 3)[2, 2] < 0.99]
        assert not {geom.name for geom in walls} & set(made.ground), task
        made.physics.free()


def test_provenance_and_tables_tell_it() -> None:
    told = {}
    for oracle in ("off", "task"):
        env = make_env(config_of("dmc/walker_walk", oracle_mask=oracle), seed=0)
        told[oracle] = env.provenance
        env.close()
    assert "oracle_mask" not in told["off"] and told["task"]["oracle_mask"] == "task"
    assert setting_of(told["task"]) == f"{setting_of(told['off'])}, behind an oracle that shows task"
    assert setting_of({"oracle_mask": "task_and_ground"}) == "behind an oracle that shows task and ground"


@pytest.mark.parametrize("suite", [name for name, row in SUITES.items() if row.knows_masks])
def test_every_suite_that_knows_masks_has_an_oracle(suite: str) -> None:
    assert "oracle_mask" in option_names(SUITES[suite]) and SUITES[suite].options().oracle_mask == "off"


@pytest.mark.parametrize(
    ("task", "oracle", "told"),
    [
        ("dmc/walker_walk", "tsk", "there is no oracle_mask 'tsk'; the nearest: task"),
        (GRID, "task_and_ground", "in a grid world every cell is ground: use 'task'"),
        (
            "atari/Breakout",
            "task",
            "oracle_mask is an option of dmc and manipulation and minigrid and driving and carla, but atari/Breakout",
        ),
    ],
)
def test_what_no_oracle_can_show_is_refused(task: str, oracle: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        EnvConfig.parse(task, oracle_mask=oracle)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_grid_without_a_mission_is_refused() -> None:
    tasks = [task for task in SUITES["minigrid"].tasks if not has_mission(task)]
    assert tasks
    with pytest.raises(UserError, match="no mission that says which pixels matter"):
        EnvConfig.parse(tasks[0], oracle_mask="task")


def has_mission(task: str) -> bool:
    from saccade.envs.tasks.minigrid.rules import RULES
    from saccade.envs.tasks.minigrid_suite import grid_task

    return RULES[grid_task(task).rule].has_mission


def test_it_is_a_flag_of_training_and_evaluating(capsys: pytest.CaptureFixture[str]) -> None:
    config, _ = train_command.parse(["sac", "dmc/walker_walk", "--oracle-mask", "task"])
    assert config.env.option("oracle_mask") == "task"
    for word in ("off", "task_and_ground"):
        options = parsed(Evaluate, "saccade evaluate", ["runs/one", "--oracle-mask", word])
        assert given(options.opening.options) == {"oracle_mask": word}
    assert main(["train", "ppo", "atari/Breakout", "--oracle-mask", "task"]) == 2
    assert "--oracle-mask is an option of dmc and manipulation and minigrid and driving" in capsys.readouterr().err


def test_a_run_of_a_time_without_oracles_had_none() -> None:
    config, _ = train_command.parse(["sac", "dmc/walker_walk", "--steps", "1000"])
    values = json.loads(json.dumps(to_json(config)))
    del values["env"]["options"]["oracle_mask"]
    assert from_json(values) == config
