"""The Distracting Control Suite by hand arithmetic: its table, its walks, and the camera's pose in closed form."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mujoco
import numpy as np
import pytest

from saccade.data.banks.davis import TRAINING_CLIPS
from saccade.envs.config import EnvConfig
from saccade.envs.distractions.camera import STREAM, CameraWalk, camera_walk, spherical
from saccade.envs.distractions.distracting_cs import DOMAINS, FAMILIES, NAMES, modes_in
from saccade.envs.distractions.material_walk import MaterialWalk, color_walk
from saccade.envs.distractions.sky_clips import SkyClips, to_and_fro
from saccade.envs.distractions.walks import Walk, changes
from saccade.envs.make import make_env

WALKER = np.array([-0.009, -2.0, 1.228])  # where its camera is, from its centre of mass
TASKS = {
    "dmc/walker_walk": (2.35, -90.3, 58.5),
    "dmc/cheetah_run": (3.00, -90.7, 87.2),
    "dmc/cartpole_swingup": (4.12, -90, 76.0),
    "dmc/ball_in_cup_catch": (1.28, -90, 51.3),
    "dmc/finger_spin": (1.28, -90, 51.3),
    "dmc/reacher_easy": (0.75, 0, 0),
}
"""Distance, azimuth and polar angle of the cameras, measured with the published code."""


def test_the_published_table() -> None:
    counts = [2, 2, 4, 6, 8, 60, 60, 60]
    intensities = [0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]
    walker = modes_in("walker")
    for intensity, count in zip(intensities, counts, strict=True):
        assert walker[f"distracting_cs:{intensity}"] == (
            *(SkyClips(count, 2, 1.0), CameraWalk(intensity, 2), MaterialWalk(intensity, 2)),
        )
    for intensity, count in {0.1: 4, 0.2: 8, 0.3: 60}.items():
        assert walker[f"distracting_cs_original_background:{intensity}"] == (SkyClips(count, 1, 1.0),)
    assert walker["distracting_cs_camera_static:0.5"] == (CameraWalk(0.5, 0),)
    opacities = {domain: modes_in(domain)["distracting_cs:0.1"][0].floor_opacity for domain in DOMAINS}  # type: ignore[attr-defined]
    assert opacities == {
        **dict.fromkeys(("cartpole", "finger", "ball_in_cup"), 0.3),
        "reacher": 0,
        "walker": 1,
        "cheetah": 1,
    }
    assert len(FAMILIES) == 16 and len(NAMES) == len(set(NAMES)) == 8 * 8 + 8 * 3 == len(walker)
    assert len(set(TRAINING_CLIPS)) == 60 and list(TRAINING_CLIPS) == sorted(TRAINING_CLIPS)


def test_changes_come_in_even_control_steps() -> None:
    assert [changes(step, 2) for step in (0, 1, 2, 3, 4, 8)] == [0, 0, 1, 1, 2, 4]
    assert [changes(step, 1) for step in (0, 1, 2)] == [0, 1, 2]
    assert [changes(step, 0) for step in (0, 1, 1000)] == [0, 0, 0]


def test_a_clip_turns_at_its_ends_by_hand() -> None:
    class Drawn:
        def __init__(self, frame: int, direction: int) -> None:
            self.frame, self.direction = frame, direction

        def integers(self, count: int) -> int:
            return self.frame

        def choice(self, values: tuple[int, ...]) -> int:
            return self.direction

    def shown(frame: int, direction: int) -> list[int]:
        return list(itertools.islice(to_and_fro(Drawn(frame, direction), 4), 9))  # type: ignore[arg-type]

    assert shown(2, 1) == [2, 3, 3, 2, 1, 0, 1, 2, 3]
    assert shown(1, -1) == [1, 0, 1, 2, 3, 3, 2, 1, 0]
    assert shown(0, -1) == [0, 0, 1, 2, 3, 3, 2, 1, 0]
    assert set(itertools.islice(to_and_fro(np.random.default_rng(0), 1), 5)) == {0}


def test_colours_stay_near_their_own_and_step_by_three_per_cent_of_the_intensity() -> None:
    own = np.array([[0.5, 0.5, 0.5], [0.05, 1.0, 0.98]])
    colours = np.stack(list(itertools.islice(color_walk(np.random.default_rng(1), own, 0.1), 20_000)))
    assert colours.min(0).min() == 0 and colours.max() == 1
    np.testing.assert_allclose(colours[:, 0].min(), 0.4)
    np.testing.assert_allclose(colours[:, 1].max(0), (0.15, 1.0, 1.0))
    inside = (colours[1:, 0] > 0.41) & (colours[1:, 0] < 0.59)
    np.testing.assert_allclose(np.diff(colours[:, 0], axis=0)[inside].std(), 0.003, rtol=0.03)
    begun = np.stack([next(color_walk(np.random.default_rng(seed), own, 0.1)) for seed in range(2000)])
    np.testing.assert_allclose(begun[:, 0].std(), 0.2 / math.sqrt(12), rtol=0.05)  # uniform


# Standard deviations of distance, azimuth, polar angle and roll (metres, degrees), and how often one is at a bound:
# 100 episodes of 501 changes of an independent implementation.
STATISTICS = {0.1: ((0.15, 5.7, 5.7, 6.0), None), 0.5: ((0.70, 28.6, 21.8, 29.9), (0.08, 0.05, 0.04))}


@pytest.mark.parametrize("intensity", STATISTICS)
def test_the_walk_goes_as_far_as_the_published_one(intensity: float) -> None:
    places = []
    for seed in range(100):
        walk = camera_walk(np.random.default_rng(seed), WALKER, intensity, down=False, moves=True)
        places += [(*spherical(place.offset), place.roll) for place in itertools.islice(walk, 501)]
    seen = np.array(places)
    deviations, at_bound = STATISTICS[intensity]
    np.testing.assert_allclose(seen.std(0) * (1, *(180 / math.pi,) * 3), deviations, rtol=0.12)
    reach, (distance, azimuth, polar) = math.pi / 2 * intensity, spherical(WALKER)
    low = (distance * (1 - 0.5 * intensity), azimuth - reach, max(polar - reach, 0))
    high = (distance * (1 + 1.5 * intensity), azimuth + reach, min(polar + reach, math.pi / 2))
    assert (seen[:, :3] >= np.array(low) - 1e-9).all() and (seen[:, :3] <= np.array(high) + 1e-9).all()
    assert np.abs(seen[:, 3]).max() <= reach
    if at_bound is not None:
        share = (np.isclose(seen[:, :3], low, atol=1e-6) | np.isclose(seen[:, :3], high, atol=1e-6)).mean(0)
        np.testing.assert_allclose(share, at_bound, atol=0.03)


def test_a_static_walk_stays() -> None:
    walk = Walk(camera_walk(np.random.default_rng(3), WALKER, 0.4, down=False, moves=False))
    np.testing.assert_allclose(walk[50].offset, walk[0].offset, atol=1e-12)
    assert walk[50].roll == walk[0].roll != 0


def naive_walk(seed: int, offset: np.ndarray, s: float, down: bool, count: int) -> list[tuple[np.ndarray, float]]:
    """The published rules as they are told, in plain numbers; angles by arc cosine."""
    random = np.random.default_rng([STREAM, seed])

    def told(at: np.ndarray) -> list[float]:
        r = math.sqrt(sum(c * c for c in at))
        return [r, math.atan2(at[1], at[0]), math.acos(at[2] / r)]

    def at(r: float, h: float, v: float) -> np.ndarray:
        return np.array([r * math.sin(v) * math.cos(h), r * math.sin(v) * math.sin(h), r * math.cos(v)])

    r0, h0, v0 = told(offset)
    quarter = math.pi / 2
    h_bounds, v_bounds = [h0 - quarter * s, h0 + quarter * s], [v0 - quarter * s, v0 + quarter * s]
    if not down:
        h_bounds = [max(h_bounds[0], -math.pi), min(h_bounds[1], 0)]
        v_bounds = [max(v_bounds[0], 0), min(v_bounds[1], quarter)]
    bounds = [[r0 * (1 - 0.5 * s), r0 * (1 + 1.5 * s)], h_bounds, v_bounds]
    position = at(*random.uniform([low for low, _ in bounds], [high for _, high in bounds]))
    roll = random.uniform(-quarter * s, quarter * s)
    direction = random.normal(size=3)
    velocity = direction / math.sqrt((direction**2).sum()) * random.uniform(0, 0.4 * s)
    roll_velocity = random.uniform(-math.pi / 50, math.pi / 50) * s
    found = []
    for _ in range(count):
        velocity = velocity + random.normal(0, 0.1 * s, 3) * r0 / 4
        speed = math.sqrt((velocity**2).sum())
        if speed > 0.4 * s * r0 / 4:
            velocity = velocity * (0.4 * s * r0 / 4) / speed
        roll_velocity = np.clip(
            roll_velocity + random.normal(0, math.pi / 300 * s), -math.pi / 50 * s, math.pi / 50 * s
        )
        clipped = [min(max(c, low), high) for c, (low, high) in zip(told(position + velocity), bounds, strict=True)]
        velocity, position = at(*clipped) - position, at(*clipped)
        rolled = np.clip(roll + roll_velocity, -quarter * s, quarter * s)
        roll_velocity, roll = rolled - roll, rolled
        found.append((position, roll))
    return found


def about(axis: int, angle: float) -> np.ndarray:
    """The rotation about an axis, from MuJoCo's quaternions."""
    direction, quaternion, matrix = np.eye(3)[axis], np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, direction, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def naive_pose(default: Any, offset: np.ndarray, roll: float, down: bool) -> tuple[np.ndarray, np.ndarray]:
    origin, position, matrix, distance = default
    target = position + matrix @ [0, 0, -distance]
    place = origin + offset
    x, y, z = target - place
    if down:
        axis, angle = np.cross([0, 0, -1.0], [x, y, z]), math.acos(-z / math.sqrt(x * x + y * y + z * z))
        quaternion, turned = np.zeros(4), np.zeros(9)
        mujoco.mju_axisAngle2Quat(quaternion, axis / np.linalg.norm(axis), angle)
        mujoco.mju_quat2Mat(turned, quaternion)
        return place, turned.reshape(3, 3) @ about(2, roll)
    yaw, pitch = math.atan2(x, y), math.atan2(z, math.hypot(x, y)) + math.pi / 2
    return place, about(2, -yaw) @ about(0, pitch) @ about(2, roll)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("intensity", ["0.1", "0.5"])
def test_the_camera_stands_where_the_closed_form_says(task: str, intensity: str) -> None:
    mode, control_steps, down = f"distracting_cs_camera:{intensity}", 3, "reacher" in task
    config = EnvConfig.parse(task, mode=mode, image_size=16, render_quality="fast", action_repeat=control_steps)
    env = make_env(config, seed=5)
    clean = make_env(EnvConfig.parse(task, image_size=16, render_quality="fast", action_repeat=control_steps), seed=5)
    env.reset()
    clean.reset()
    model, seen, plain = (
        env.simulation.task.physics.model, env.simulation.task.physics.data, clean.simulation.task.physics.data,
    )  # fmt: skip
    follows = model.cam_mode[0] == mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM
    offset = plain.cam_xpos[0] - plain.subtree_com[1] if follows else plain.cam_xpos[0].copy()
    r, h, v = spherical(offset)
    np.testing.assert_allclose((r, math.degrees(h), math.degrees(v)), TASKS[task], atol=0.06)
    walk = naive_walk(env.get_state()["choices"][0], offset, float(intensity), down, 40)
    begun = np.linalg.norm(plain.cam_xpos[0] - plain.subtree_com[1])
    for step in range(25):
        distance = np.linalg.norm(plain.cam_xpos[0] - plain.subtree_com[1]) if follows else begun
        origin = plain.subtree_com[1] if follows else np.zeros(3)
        default = (origin, plain.cam_xpos[0], plain.cam_xmat[0].reshape(3, 3), distance)
        position, axes = naive_pose(default, *walk[step * control_steps // 2], down)
        np.testing.assert_allclose(seen.cam_xpos[0], position, rtol=0, atol=1e-12)
        np.testing.assert_allclose(seen.cam_xmat[0].reshape(3, 3), axes, rtol=0, atol=1e-12)
        action = np.random.default_rng(step).uniform(-1, 1, env.action_space.shape)
        assert env.step(action)[1] == clean.step(action)[1]
        signature = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        states = [one.simulation.task.physics.get_state(signature) for one in (env, clean)]
        assert np.array_equal(*states)
    random = [one.simulation.task.environment.task.random.get_state()[1] for one in (env, clean)]
    assert np.array_equal(*random)
    env.close()
    clean.close()
