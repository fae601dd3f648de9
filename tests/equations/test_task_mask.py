"""The task mask against hand arithmetic and against the segmentation that OpenGL renders."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import mujoco
import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.tasks.dmc_suite import BENCHMARK_TASKS
from saccade.envs.tasks.manipulation_suite import MANIPULATION_TASKS

HEIGHT = 10.0  # of the camera, which looks straight down with an angle of 90 degrees
SIZE = 100  # pixels, so that at ground level a pixel is 20 / 100 = 0.2 wide

SCENE = """
<mujoco>
  <worldbody>
    <camera pos="0 0 10" fovy="90"/>
    <geom type="plane" size="20 20 1" pos="0 0 -1"/>
    {things}
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def cast() -> Callable[..., np.ndarray]:
    from saccade.envs.mujoco.opengl import load_simulator

    load_simulator()
    from saccade.envs.mujoco.mask import TaskMask

    def cast(things: str, **changes: float) -> np.ndarray:
        model = mujoco.MjModel.from_xml_string(SCENE.format(things=things))
        data = mujoco.MjData(model)
        mask = TaskMask(model, SIZE)
        for field, value in changes.items():
            getattr(model, field)[-1] = value
        mujoco.mj_forward(model, data)
        mask.begin_episode(model)
        return mask(data)

    return cast


BALL = '<body pos="{pos}"><joint/><geom type="sphere" size="1"/></body>'
STATIC_BOX = '<geom type="box" size="{half} {half} .1" pos="{pos}"/>'


def test_a_moving_sphere_is_a_disc(cast: Callable[..., np.ndarray]) -> None:
    mask = cast(BALL.format(pos="4 2 0"))
    rows, columns = np.nonzero(mask)
    # A unit sphere z = 10 below and D = sqrt(120) away covers pi f^2 sqrt((D^2 - 1) / (z^2 - 1)) / (z^2 - 1)
    # pixels; with a focal length f of 50 pixels that is pi 2500 sqrt(119 / 99) / 99 = 87.0.
    assert mask.sum() == pytest.approx(87.0, abs=4)
    assert columns.mean() == pytest.approx(50 + 5 * 4 - 0.5, abs=0.5)  # x to the right, 5 pixels a unit
    assert rows.mean() == pytest.approx(50 - 5 * 2 - 0.5, abs=0.5)  # y up


def test_what_does_not_move_is_not_the_task_but_hides_it(cast: Callable[..., np.ndarray]) -> None:
    box = STATIC_BOX.format(half=1, pos="0 0 5")
    assert not cast(box).any()
    assert not cast(box + BALL.format(pos="0 0 0")).any()  # the box covers 20 x 20 pixels, the ball 10 x 10
    assert cast(box + BALL.format(pos="0 0 7.5")).any()


@pytest.mark.parametrize(
    "thing",
    [
        '<geom name="my_target" type="box" size="1 1 .1"/>',
        '<body name="target"><geom type="box" size="1 1 .1"/></body>',
        '<site name="target" type="box" size="1 1 .1"/>',
        '<body><joint/><geom size=".01"/><site type="box" size="1 1 .1"/></body>',
        '<body mocap="true"><geom type="box" size="1 1 .1"/></body>',
        '<body><joint/><geom size=".01"/><body><geom type="box" size="1 1 .1"/></body></body>',
        '<body><geom type="box" size="1 1 .1"/><body><joint/><geom size=".01"/></body></body>',  # a robot's foot
    ],
)
def test_what_belongs_to_the_task(cast: Callable[..., np.ndarray], thing: str) -> None:
    # The top of the box lies 9.9 below the camera: 2 * 50 / 9.9 = 10.1 pixels wide, or 10 pixel centres.
    expected = np.zeros((SIZE, SIZE), dtype=bool)
    expected[45:55, 45:55] = True
    assert np.array_equal(cast(thing), expected)


@pytest.mark.parametrize(
    "thing",
    [
        '<geom name="rail" type="box" size="1 1 .1"/>',
        '<body><geom type="box" size="1 1 .1"/><body><geom size=".01"/></body></body>',
        '<site name="goal" type="box" size="1 1 .1"/>',
        '<site name="target" type="box" size="1 1 .1" group="3"/>',
        '<geom name="target" type="box" size="1 1 .1" group="4"/>',
        '<site name="target" type="box" size="1 1 .1" rgba="1 0 0 0"/>',
        '<geom name="target" type="plane" size="1 1 .1"/>',
        '<site name="target" type="box" size="1 1 .1" pos="0 0 -2"/>',  # under the floor
        '<site name="target" type="sphere" size="1" pos="0 0 12"/>',  # behind the camera
    ],
)
def test_what_does_not_belong_to_the_task(cast: Callable[..., np.ndarray], thing: str) -> None:
    assert not cast(thing).any()


def test_what_an_episode_changes_in_the_model_counts(cast: Callable[..., np.ndarray]) -> None:
    target = '<geom name="target" type="sphere" size="1"/>'
    visible = cast(target)
    assert cast(target, geom_size=2.0).sum() > 3 * visible.sum()
    assert not cast(target, geom_rgba=0.0).any()


@pytest.mark.parametrize("angle", [0, 40, 90])
def test_as_one_ray_at_a_time(cast: Callable[..., np.ndarray], angle: float) -> None:
    capsule = f'<body pos="1 0 0" euler="90 0 {angle}"><joint/><geom type="capsule" size=".3 4"/></body>'
    model = mujoco.MjModel.from_xml_string(SCENE.format(things=capsule))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    hit = np.zeros(1, dtype=np.int32)
    expected = np.zeros((SIZE, SIZE), dtype=bool)
    for row, column in np.ndindex(SIZE, SIZE):
        ray = np.array([(column - 49.5) / 50, (49.5 - row) / 50, -1.0])
        mujoco.mj_ray(model, data, np.array([0, 0, HEIGHT]), ray, None, 1, -1, hit)
        expected[row, column] = hit[0] == 1  # 0 is the floor
    assert expected.sum() > 100
    assert np.array_equal(cast(capsule), expected)


SEGMENTED_TASKS = [
    *BENCHMARK_TASKS,
    "dmc/finger_turn_hard",
    "dmc/reacher_easy",
    "dmc/pendulum_swingup",
    *MANIPULATION_TASKS,
]


@pytest.mark.parametrize("task", SEGMENTED_TASKS)
def test_as_opengl_segments_it(task: str) -> None:
    from dm_control import mujoco as dm_mujoco

    size = 84
    env = make_env(EnvConfig.parse(task, image_size=size, render_quality="fast", task_mask=True), seed=4)
    physics = env.simulation.task.physics
    camera = dm_mujoco.Camera(physics, size, size, 0)
    for _ in range(2):
        env.reset()
        *_, info = env.step(np.random.default_rng(0).uniform(-1, 1, env.action_space.shape))
        ids, kinds = camera.render(segmentation=True).transpose(2, 0, 1)
        drawn = np.zeros((size, size), dtype=bool)
        for kind, bodies in [
            (mujoco.mjtObj.mjOBJ_GEOM, physics.model.geom_bodyid),
            (mujoco.mjtObj.mjOBJ_SITE, physics.model.site_bodyid),
        ]:
            names = [physics.model.id2name(number, kind) for number in range(len(bodies))]
            belongs = [body != 0 or "target" in name for name, body in zip(names, bodies, strict=True)]
            here = kinds == kind
            drawn[here] = np.array(belongs)[ids[here]]
        drawn |= kinds == mujoco.mjtObj.mjOBJ_TENDON  # the string of ball_in_cup
        mask = info["task_mask"][-1]
        assert (mask == drawn).mean() >= 0.99
        assert (mask & drawn).sum() / (mask | drawn).sum() > 0.9
    env.close()


def test_masks_are_stacked_with_their_frames() -> None:
    env = make_env(EnvConfig.parse("dmc/walker_walk", image_size=48, render_quality="fast", task_mask=True), seed=4)
    _, info = env.reset()
    masks = [info["task_mask"]]
    assert masks[0].shape == (3, 48, 48)
    assert masks[0].dtype == bool
    assert (masks[0] == masks[0][-1]).all()
    for _ in range(3):
        masks.append(env.step(np.ones(6))[-1]["task_mask"])
    env.close()
    for before, after in pairwise(masks):
        assert np.array_equal(before[1:], after[:2])
        assert not np.array_equal(before[-1], after[-1])
        assert not np.shares_memory(before, after)
