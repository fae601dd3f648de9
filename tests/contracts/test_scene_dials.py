"""Dials of a simulator's scene: nothing at 0, the benchmark's mode at 1, more in between, and physics never changes."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import saccade
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco import view
from saccade.envs.mujoco.view import light_left, moved_camera, rotation
from saccade.envs.scene_dials import SCENE_DIALS
from saccade.explain.modes import in_modes, read_modes
from saccade.explain.tasks import find_task, saccade_task
from saccade.types import UserError

SIZE, STEPS = 36, 3
FAST: dict[str, Any] = {"render_quality": "fast", "image_size": SIZE, "frame_stack": 1}
CASES = [
    (task, name)
    for task in ("dmc/walker_walk", "manipulation/reach")
    for name, dial in SCENE_DIALS.items()
    if task.partition("/")[0] in dial.suites
]


class Played:
    """Pictures, rewards, masks and the final state of a few steps, and the first picture of a second episode."""

    def __init__(self, task: str, mode: str) -> None:
        env = make_env(EnvConfig.parse(task, mode=mode, task_mask=True, **FAST))
        random = np.random.default_rng(1)
        obs, info = env.reset(seed=5)
        frames, rewards, masks = [obs], [], [info["task_mask"]]
        for _ in range(STEPS):
            obs, reward, _, _, info = env.step(random.uniform(-1, 1, env.action_space.shape))
            frames.append(obs)
            rewards.append(reward)
            masks.append(info["task_mask"])
        self.state = env.get_state()["physics"]
        frames.append(env.reset()[0])
        env.close()
        self.frames, self.rewards, self.masks = np.stack(frames), rewards, np.stack(masks)

    def distance(self, other: Played) -> float:
        return float(np.abs(self.frames.astype(int) - other.frames).mean())


@cache
def played(task: str, mode: str) -> Played:
    return Played(task, mode)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_from_nothing_to_more_and_physics_is_the_same(task: str, name: str) -> None:
    own = played(task, "train")
    distances = []
    for strength in (0, 0.3, 0.7, 1):
        found = played(task, f"{name}:{strength}")
        assert found.rewards == own.rewards
        np.testing.assert_array_equal(found.state, own.state)
        assert name.startswith("camera") or (found.masks == own.masks).all()
        assert not name.startswith("camera") or strength == 0 or (found.masks != own.masks).any()
        distances.append(found.distance(own))
    assert distances[0] == 0.0 and distances == sorted(distances) and len(set(distances)) == 4
    assert distances[-1] > 2


@pytest.mark.parametrize(("dial", "mode"), [("colors", "color_hard"), ("video", "video_hard")])
def test_at_one_it_is_the_mode_of_the_benchmark(dial: str, mode: str) -> None:
    full, almost, hard = (played("dmc/walker_walk", one) for one in (f"{dial}:1", f"{dial}:0.9999", mode))
    np.testing.assert_array_equal(full.frames, hard.frames)
    assert np.abs(almost.frames.astype(int) - hard.frames).max() <= 1


def test_a_fading_video_is_so_far_between_two_pictures() -> None:
    half, hard = (played("dmc/walker_walk", one) for one in ("video:0.5", "video_hard"))
    middle = (played("dmc/walker_walk", "train").frames.astype(int) + hard.frames) / 2
    assert np.abs(half.frames - middle).max() <= 0.5
    # What another distraction painted stays below it, in a second episode too.
    over, none = (Played("dmc/walker_walk", f"color_hard+video:{one}") for one in ("0.001", "0"))
    np.testing.assert_array_equal(over.frames, none.frames)


def test_colours_come_before_the_video_in_whatever_order() -> None:
    one, other = (Played("dmc/walker_walk", mode) for mode in ("colors:1+video:0.5", "video:0.5+colors:1"))
    np.testing.assert_array_equal(one.frames, other.frames)
    assert one.distance(played("dmc/walker_walk", "video:0.5")) > 5


def test_poses_are_those_of_the_closed_forms() -> None:
    # A camera at (0, -2, 1) that looks level along y, at a place 2 before it: (0, 0, 1).
    position, frame = np.array([0.0, -2.0, 1.0]), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    sine, cosine = math.sin(math.radians(30)), math.cos(math.radians(30))
    moved, turned = moved_camera(position, frame, 2.0, yaw=1)
    np.testing.assert_allclose(moved, [2 * sine, -2 * cosine, 1], atol=1e-12)
    np.testing.assert_allclose(turned[:, 2], [sine, -cosine, 0], atol=1e-12)
    moved, turned = moved_camera(position, frame, 2.0, pitch=1)
    rise = math.radians(20)
    np.testing.assert_allclose(moved, [0, -2 * math.cos(rise), 1 + 2 * math.sin(rise)], atol=1e-12)
    np.testing.assert_allclose(turned[:, 0], [1, 0, 0], atol=1e-12)
    moved, turned = moved_camera(position, frame, 2.0, roll=1)
    np.testing.assert_allclose(moved, position, atol=1e-12)
    np.testing.assert_allclose(turned[:, 0], [cosine, 0, sine], atol=1e-12)
    moved, turned = moved_camera(position, frame, 2.0, away=0.5)
    np.testing.assert_allclose(moved, [0, -3, 1], atol=1e-12)
    np.testing.assert_allclose(turned, frame, atol=1e-12)
    moved, turned = moved_camera(position, frame, 2.0, 0.3, 0.6, 0.9, 0.2)  # it looks at the same place from 2.4 away
    np.testing.assert_allclose(moved - 2.4 * turned[:, 2], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation(np.array([0, 0, 1.0]), math.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_lamps_lose_what_is_said() -> None:
    np.testing.assert_allclose(light_left(1, 0), [0.2] * 3)
    np.testing.assert_allclose(light_left(0.5, 0), [0.6] * 3)
    np.testing.assert_allclose(light_left(0, 0.5), [1, 0.775, 0.6])
    np.testing.assert_allclose(light_left(1, 1), [0.2, 0.11, 0.04])
    env = make_env(EnvConfig.parse("dmc/walker_walk@light_intensity:1+light_colour:0.5", **FAST))
    model = env.simulation.task.physics.model
    own, headlight = model.light_diffuse.copy(), model.vis.headlight.diffuse.copy()
    for _ in range(2):  # a second episode dims no further
        env.reset(seed=0)
        np.testing.assert_allclose(model.light_diffuse, own * [0.2, 0.155, 0.12], rtol=1e-6)
        np.testing.assert_allclose(model.vis.headlight.diffuse, headlight * [0.2, 0.155, 0.12], rtol=1e-6)
    env.close()


def test_lamps_go_to_one_side() -> None:
    env = make_env(EnvConfig.parse("dmc/cartpole_balance@light_direction:1", **FAST))
    env.reset(seed=0)
    data = env.simulation.task.physics.data
    # The camera looks along y from (0, -4, 1), and the lamp was at (0, 0, 6) and shone down.
    about, pivot = math.radians(view.FULL_DEGREES["light_direction"]), np.array([0, data.cam_xpos[0][1], 1.0])
    pivot[1] += env.simulation.scene.view.distance
    height = 6 - pivot[2]
    sign = np.sign(data.light_xpos[0][0])
    np.testing.assert_allclose(
        data.light_xpos[0] - pivot, [sign * height * math.sin(about), -pivot[1], height * math.cos(about)], atol=1e-6
    )
    np.testing.assert_allclose(data.light_xdir[0], [-sign * math.sin(about), 0, -math.cos(about)], atol=1e-6)
    env.close()


def test_the_picture_and_the_mask_are_those_of_a_camera_that_stands_there() -> None:
    """The other way: the model's own camera is put where the closed form says, and no dial is turned."""
    mode = "camera_yaw:0.6+camera_pitch:0.8+camera_roll:0.5+camera_distance:0.3"
    env = make_env(EnvConfig.parse("dmc/cartpole_balance", mode=mode, task_mask=True, **FAST))
    dialled, info = env.reset(seed=2)
    distance = env.simulation.scene.view.distance
    env.close()
    env = make_env(EnvConfig.parse("dmc/cartpole_balance", task_mask=True, **FAST))
    before, _ = env.reset(seed=2)
    physics = env.simulation.task.physics
    frame = physics.data.cam_xmat[0].reshape(3, 3).copy()
    position, turned = moved_camera(physics.data.cam_xpos[0].copy(), frame, distance, 0.6, 0.8, 0.5, 0.3)
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, turned.ravel())
    physics.model.cam_pos[0], physics.model.cam_quat[0] = position, quaternion
    placed, told = env.reset(seed=2)
    env.close()
    assert np.abs(placed.astype(int) - before).mean() > 5
    assert np.abs(placed.astype(int) - dialled).max() <= 3 and (placed != dialled).mean() < 0.02
    assert (told["task_mask"] == info["task_mask"]).mean() > 0.998


def test_an_episode_goes_on_bit_for_bit() -> None:
    mode = "camera_yaw:0.5+light_direction:0.4+video:0.4+noise:0.2"
    one, other = (make_env(EnvConfig.parse("dmc/walker_walk", mode=mode, task_mask=True, **FAST)) for _ in range(2))
    one.reset(seed=1)
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 6))
    one.step(actions[0])
    state = one.get_state()
    assert one.provenance["camera_yaw"] == 0.5 and one.provenance["video_strength"] == 0.4
    other.reset(seed=9)
    other.set_state(state)
    for action in actions[1:]:
        (obs, reward, *_, info), (same, again, *_, told) = one.step(action), other.step(action)
        assert reward == again
        np.testing.assert_array_equal(obs, same)
        np.testing.assert_array_equal(info["task_mask"], told["task_mask"])
    np.testing.assert_array_equal(one.reset()[0], other.reset()[0])
    one.close()
    other.close()


def test_a_dial_is_a_mode_of_a_name() -> None:
    env = saccade.make("dmc/walker_walk@light_intensity:0.50", **FAST)
    assert env.unwrapped.config.mode == "light_intensity:0.5"
    env.close()


@pytest.mark.parametrize(
    ("task", "mode", "reason"),
    [
        ("minigrid/red_fetch_green", "camera_yaw:0.5", "in tasks of dmc and manipulation, not of minigrid/"),
        ("atari/Pong", "light_colour:1", "choose from brightness"),
        ("manipulation/reach", "colors:0.5", "in tasks of dmc, not of manipulation/reach: choose from .*camera_yaw"),
        ("manipulation/reach", "video:0.5", "video is for environments of your own"),
        ("dmc/walker_walk", "camera_yaw:1+camera_yaw:0.5", "camera_yaw is turned twice"),
        ("dmc/walker_walk", "video_easy+video:0.5", "video and the mode video_easy paint the same things"),
        ("dmc/walker_walk", "gb2_color_video_hard+colors:0.5", "paint the same things"),
        ("dmc/walker_walk", "gb2_video_easy+video:0.5", "paint the same things"),
        ("dmc/walker_walk", "distracting_cs:0.1+video:0.5", "paint the same things"),
        ("dmc/walker_walk", "distracting_cs_background_static:0.1+colors:0.5", "paint the same things"),
        ("dmc/walker_walk", "color_hard+colors:0.5", "colors and the mode color_hard paint the same things"),
        ("dmc/walker_walk", "camera_yaw:1.1", "needs a strength from 0"),
        ("dmc/walker_walk", "camera_yawn:1", "did you mean camera_yaw"),
    ],
)
def test_what_a_task_cannot_turn(task: str, mode: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        EnvConfig(task, mode)


def test_nor_can_an_environment_of_ones_own() -> None:
    env = gymnasium.make("minigrid/red_fetch_green")
    with pytest.raises(UserError, match="camera_roll changes what a simulator draws"):
        saccade.Shift(env, "camera_roll:0.5")
    env.close()


def test_a_control_task_that_is_explained_has_them_too() -> None:
    policy = saccade.load("zoo:ppo-red-fetch-green", device="cpu")
    asked = read_modes(("camera_yaw:0.5",), ("train",))
    config = EnvConfig.parse("dmc/walker_walk", **FAST)
    assert "camera_yaw:0.5" in in_modes(saccade_task(config), asked, policy).modes
    with pytest.raises(UserError, match="manipulation, not of minigrid/red_fetch_green"):
        in_modes(find_task("minigrid/red_fetch_green"), asked, policy)
