"""Every task is looked at by a camera that sees it, and its mask covers what moves: bodies, tendons and skins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco.looks import FIRST_CAMERA
from saccade.envs.tasks.dmc_suite import CAMERAS, DMC_DOMAINS, DMC_TASKS
from saccade.envs.tasks.manipulation_suite import MANIPULATION_TASKS
from saccade.runs.config import from_json, to_json
from saccade.types import UserError

SIDE = 84
LEAST, MOST = 0.0015, 0.3  # of the picture: point_mass is a small ball, the dog is near
ELSEWHERE = {"quadruped": 2, "lqr": 1}  # by domain, else camera 0 of the model


@pytest.fixture(scope="module", autouse=True)
def _simulator() -> None:
    from saccade.envs.mujoco.opengl import load_simulator

    load_simulator()


def simulation(task: str) -> Any:
    from saccade.envs.tasks.dmc import ControlSuite
    from saccade.envs.tasks.manipulation import Robot

    made = (ControlSuite if task in DMC_TASKS else Robot)(EnvConfig(task))
    made.seed(3)
    made.reset()
    return made


@pytest.fixture(params=[*DMC_TASKS, *MANIPULATION_TASKS])
def seen(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, int]]:
    from saccade.envs.mujoco.scene import camera_number

    made = simulation(request.param)
    yield request.param, made, camera_number(made.physics.model.ptr, made.camera)
    made.physics.free()


def test_the_mask_of_every_task_is_plausible(seen: tuple[str, Any, int]) -> None:
    """Neither next to nothing nor most of the picture; and what an actuated body does is in view."""
    from saccade.envs.mujoco.mask import TaskMask

    task, made, camera = seen
    model, data = made.physics.model.ptr, made.physics.data.ptr
    mask = TaskMask(model, SIDE, camera)
    mask.begin_episode(model)
    shares = [mask(data).mean()]
    random = np.random.default_rng(0)
    for _ in range(3):
        made.step(random.uniform(-1, 1, made.num_actions))
        shares.append(mask(data).mean())
    assert all(LEAST < share < MOST for share in shares), (task, shares)
    domain = DMC_TASKS[task][0] if task in DMC_TASKS else ""
    expected = 2 if task == "dmc/dog_fetch" else ELSEWHERE.get(domain, 0)
    assert camera == expected, f"{task} is looked at by camera {camera}"


def test_every_domain_names_its_camera() -> None:
    assert set(CAMERAS) == set(DMC_DOMAINS)


@pytest.mark.parametrize(
    ("task", "kind", "least"), [("dmc/dog_walk", "SKIN", 0.9), ("dmc/ball_in_cup_catch", "TENDON", 0.5)]
)
def test_skins_and_tendons_are_where_opengl_draws_them(task: str, kind: str, least: float) -> None:
    import mujoco
    from dm_control import mujoco as dm_mujoco

    size = 160
    env = make_env(EnvConfig.parse(task, image_size=size, render_quality="fast", task_mask=True), seed=1)
    _, info = env.reset()
    camera = dm_mujoco.Camera(env.simulation.task.physics, size, size, 0)
    _, kinds = camera.render(segmentation=True).transpose(2, 0, 1)
    drawn = kinds == getattr(mujoco.mjtObj, f"mjOBJ_{kind}")
    mask = info["task_mask"][-1]
    env.close()
    assert drawn.sum() > 20
    assert (mask & drawn).sum() / drawn.sum() > least
    if kind == "SKIN":
        assert (mask & drawn).sum() / (mask | drawn).sum() > least  # and nothing else


def test_a_camera_is_chosen_by_name_or_number() -> None:
    pictures = {}
    for camera in (None, "side", "0", "back", "1"):
        env = make_env(EnvConfig.parse("dmc/walker_walk", image_size=36, render_quality="fast", camera=camera), seed=1)
        pictures[camera] = env.reset(seed=1)[0]
        assert env.provenance.get("camera") == (1 if camera in ("back", "1") else None)
        env.close()
    for camera, same in (("side", None), ("0", None), ("1", "back")):
        np.testing.assert_array_equal(pictures[camera], pictures[same])
    assert (pictures["back"] != pictures[None]).any()
    for wrong in ("top", "2", "-1", ""):
        with pytest.raises(UserError, match=r"there is no camera .* this task has side, back, or their numbers"):
            make_env(EnvConfig.parse("dmc/walker_walk", image_size=36, camera=wrong))


def test_a_run_from_before_keeps_the_camera_that_it_had() -> None:
    from training_cases import config

    told = to_json(config("sac"))
    options = told["env"].pop("options")
    assert options.pop("camera") is None and options.pop("oracle_mask") == "off"  # neither was there to choose
    told["env"] |= options
    assert from_json(told).env.options.camera == FIRST_CAMERA
