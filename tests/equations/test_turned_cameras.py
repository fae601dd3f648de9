"""The turned cameras of DMC-GB2 against hand arithmetic, rotations written another way, and turned pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.distractions.turned_camera import (
    NUM_ENTRIES,
    OTHER_LIMITS,
    PUBLISHED_LIMITS,
    CameraViews,
    ShiftLimits,
    TurnedCamera,
    order,
    rotation_degrees,
    shift_degrees,
)
from saccade.envs.make import make_env
from saccade.envs.tasks.dmc_suite import BENCHMARK_TASKS, MODES
from saccade.types import UserError

LIMITS = ShiftLimits(sideways=6, up=6, down=12)
VIEWS = {name: parts[0] for name, parts in MODES.items() if any(isinstance(part, TurnedCamera) for part in parts)}
SIZE = 64
EXACT = 1e-12


def about(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rodrigues' formula: cos I + sin [u] + (1 - cos) u u^T."""
    x, y, z = axis
    angle, unit = math.radians(degrees), np.array(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * np.outer(unit, unit)


def made(task: str, mode: str = "train", **fields: Any) -> Any:
    return make_env(EnvConfig.parse(task, mode=mode, image_size=SIZE, render_quality="fast", **fields), seed=2)


def test_rotations_by_hand() -> None:
    # 100 steps of 360 / 100 = 3.6 degrees from -180, or of 1.8 from -90; nothing at the middle one.
    assert [rotation_degrees(k, "hard") for k in (0, 1, 50, 99)] == pytest.approx([-180, -176.4, 0, 176.4])
    assert [rotation_degrees(k, "easy") for k in (0, 1, 50, 99)] == pytest.approx([-90, -88.2, 0, 88.2])


def test_shifts_by_hand() -> None:
    # 25 points a side. Top: 12 degrees in 25 steps of 0.48; right: 18 in steps of 0.72; and back.
    expected = {
        0: (-6, -6), 1: (-5.52, -6), 24: (5.52, -6), 25: (6, -6), 26: (6, -5.28), 50: (6, 12), 51: (5.52, 12),
        75: (-6, 12), 99: (-6, -5.28),
    }  # fmt: skip
    for entry, degrees in expected.items():
        assert shift_degrees(entry, LIMITS, "hard") == pytest.approx(degrees)
        assert shift_degrees(entry, LIMITS, "easy") == pytest.approx([each / 1.5 for each in degrees])
    points = {shift_degrees(entry, LIMITS, "hard") for entry in range(NUM_ENTRIES)}
    assert len(points) == NUM_ENTRIES
    assert all(abs(sideways) > 5.9 or down < -5.9 or down > 11.9 for sideways, down in points)  # on the border


def test_both_lists_are_shuffled_alike_so_a_rotation_always_meets_the_same_shift() -> None:
    # As the published code does it: two lists, two generators of the same seed.
    lists = [[*range(100)], [*range(100)]]
    for each in lists:
        np.random.RandomState(0).shuffle(each)
    assert lists[0] == lists[1] == order(100).tolist()
    paired = TurnedCamera("hard", "hard").load(None, SIZE, "seed")  # type: ignore[arg-type]
    assert paired.num_views == 100
    for choice in (1, 2, 77):
        entry = lists[0][choice - 1]
        sideways, down = shift_degrees(entry, LIMITS, "hard")
        turned = about((0, 1, 0), sideways) @ about((1, 0, 0), down) @ about((0, 0, 1), 3.6 * entry - 180)
        np.testing.assert_allclose(paired.rotation(choice, LIMITS), turned, atol=EXACT)


def test_any_rotation_may_meet_any_shift() -> None:
    free = TurnedCamera("hard", "hard", paired=False).load(None, SIZE, "sequential")  # type: ignore[arg-type]
    entry = int(order(10_000)[41])
    sideways, down = shift_degrees(entry % 100, LIMITS, "hard")
    turned = about((0, 1, 0), sideways) @ about((1, 0, 0), down) @ about((0, 0, 1), 3.6 * (entry // 100) - 180)
    np.testing.assert_allclose(free.rotation(42, LIMITS), turned, atol=EXACT)
    assert free.num_views == 10_000
    assert TurnedCamera("hard", None, paired=False).load(None, SIZE, "seed").num_views == 100  # type: ignore[arg-type]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_hundred_episodes_in_order_show_each_view_once(view: TurnedCamera) -> None:
    nuisance = view.load(None, SIZE, "sequential")  # type: ignore[arg-type]
    random, choice, seen = np.random.default_rng(0), 0, set()
    for _ in range(100):
        choice = nuisance.choose(choice, random)
        seen.add(nuisance.rotation(choice, LIMITS).round(9).tobytes())
    assert len(seen) == 100
    drawn = {view.load(None, SIZE, "seed").choose(0, random) for _ in range(400)}  # type: ignore[arg-type]
    assert 90 < len(drawn) <= 100 and drawn <= {*range(100)}


@pytest.mark.parametrize("task", [*BENCHMARK_TASKS, "dmc/reacher_easy"])
def test_the_camera_looks_as_the_closed_form_says_in_every_step(task: str) -> None:
    """Camera matrix = the model's own, times shift, times rotation; its place stays."""
    clean, *turned = [
        made(task, mode) for mode in ("train", "gb2_rotate_easy", "gb2_shift_hard", "gb2_rotate_shift_hard")
    ]
    model_name = clean.simulation.scene.own_camera.model_name
    published = task != "dmc/reacher_easy"
    assert (model_name in PUBLISHED_LIMITS) == published
    limits = PUBLISHED_LIMITS.get(model_name, OTHER_LIMITS)
    action = np.full(clean.action_space.shape, 0.5)
    for env in (clean, *turned):
        env.reset()
    for _ in range(3):
        own = clean.simulation.task.physics.data
        for env in turned:
            data = env.simulation.task.physics.data
            (nuisance,), (choice,) = env._nuisances, env._choices
            entry = int(order(100)[choice - 1])
            expected = np.array(own.cam_xmat[0]).reshape(3, 3)
            if nuisance.shift:
                sideways, down = shift_degrees(entry, limits, nuisance.shift)
                expected = expected @ about((0, 1, 0), sideways) @ about((1, 0, 0), down)
            if nuisance.rotate:
                expected = expected @ about((0, 0, 1), rotation_degrees(entry, nuisance.rotate))
            np.testing.assert_allclose(np.array(data.cam_xmat[0]).reshape(3, 3), expected, atol=EXACT)
            np.testing.assert_allclose(data.cam_xpos[0], own.cam_xpos[0], atol=EXACT)
        for env in (clean, *turned):
            env.step(action)
    for env in (clean, *turned):
        env.close()


def looking(env: Any, view: CameraViews, choice: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and the task's mask, of the present state in a view."""
    view.paint(env.simulation.scene, choice)
    return env.simulation.picture().copy(), env.simulation.mask()


def test_a_quarter_turn_turns_the_picture_and_its_mask() -> None:
    env = made("dmc/walker_walk", task_mask=True)
    env.reset()
    picture, mask = env.simulation.picture().copy(), env.simulation.mask()
    first = 1 + order(100).tolist().index(0)  # -90 degrees: the camera clockwise, what it sees the other way
    turned, its_mask = looking(env, CameraViews("easy", None, True, False), first)
    assert (its_mask != np.rot90(mask)).mean() < 0.01 and mask.mean() > 0.03
    assert np.abs(turned.astype(int) - np.rot90(picture)).mean() < 3 < np.abs(turned.astype(int) - picture).mean()
    back, its_mask = looking(env, CameraViews("easy", None, True, False), 1 + order(100).tolist().index(50))
    np.testing.assert_array_equal(back, picture)  # each view is counted from the model's own, not from the last one
    np.testing.assert_array_equal(its_mask, mask)
    env.close()


def test_a_shift_moves_the_agent_by_focal_length_times_tangent() -> None:
    """6 degrees sideways, 12 down; at SIZE pixels and 45 degrees the focal length is 32 / tan(22.5) = 77.25 pixels."""
    env = made("dmc/ball_in_cup_catch")
    env.reset()
    camera, data = env.simulation.scene.own_camera, env.simulation.task.physics.data
    ahead = data.cam_xpos[0] - np.array(data.cam_xmat[0]).reshape(3, 3)[:, 2]  # seen in the middle
    focal_length = SIZE / 2 / math.tan(math.radians(45) / 2)
    assert focal_length == pytest.approx(77.25, abs=0.01)
    for degrees, right, down in (
        ((6, 0), 77.25 * math.tan(math.radians(6)), 0),
        ((0, 12), 0, 77.25 * math.tan(math.radians(12))),
    ):
        entry = about((0, 1, 0), degrees[0]) @ about((1, 0, 0), degrees[1])
        camera.turn(entry)
        x, y, z = np.array(data.cam_xmat[0]).reshape(3, 3).T @ (ahead - data.cam_xpos[0])
        assert (focal_length * x / -z, focal_length * -y / -z) == pytest.approx((right, down), abs=0.01)
    env.close()


def test_a_camera_that_follows_with_its_eyes_is_refused() -> None:
    env = made("dmc/cartpole_swingup", "gb2_shift_hard", camera="lookatcart")
    with pytest.raises(UserError, match="camera 1 always looks at one body and cannot be turned"):
        env.reset()
    env.close()
