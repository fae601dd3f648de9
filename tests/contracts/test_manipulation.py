"""The robot tasks: as published in what can be measured, and the same in every variant but for what is seen."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from saccade.data.banks.textures import generate_texture
from saccade.envs.config import EnvConfig
from saccade.envs.distractions.surroundings import TINTS
from saccade.envs.make import make_env
from saccade.envs.tasks.manipulation_suite import MANIPULATION_MODES, MANIPULATION_TASKS
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.types import UserError

REFERENCES = Path(__file__).parent / "references"
VARIANTS = [mode for mode in MANIPULATION_MODES if mode != "train"]
BLIND = {"image_size": 4, "render_quality": "fast"}  # where pictures do not matter
SMALL = {"image_size": 48, "render_quality": "fast"}
GAIN = 10.0  # of the scripted controller: action per metre that is left
Play = Callable[[Any], np.ndarray]


pytestmark = pytest.mark.usefixtures("generated_data")


def scripted(env: Any) -> np.ndarray:
    """Straight to the goal."""
    return GAIN * env.simulation.task.to_goal()[: env.simulation.task.num_actions]


def over_the_edge(env: Any) -> np.ndarray:
    """To above the box first, then down."""
    way = env.simulation.task.to_goal()
    if np.linalg.norm(way[:2]) > 0.03:
        way[2] = max(way[2] + 0.16, 0)  # the peg's middle 16 cm over the bottom
    return GAIN * way


def returns(config: EnvConfig, play: Play, episodes: int, reachable: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Return and success of each episode, but for goals beyond ``y = reachable``."""
    env = make_env(config, seed=0)
    scores, successes = [], []
    while len(scores) < episodes:
        env.reset()
        goal = env.simulation.task.to_goal() + env.simulation.task.problem.thing()
        if goal[1] > reachable:
            continue
        rewards = []
        for _ in range(config.episode_agent_steps):
            rewards.append(env.advance(play(env)))
            successes.append(env.simulation.task.outcome()["is_success"])
        scores.append(sum(rewards))
    env.close()
    return np.array(scores), np.array(successes).reshape(episodes, -1).any(axis=1)


def test_a_scripted_controller_gets_what_it_gets_in_the_published_reach() -> None:
    scores, successes = returns(EnvConfig.parse("manipulation/reach", **BLIND), scripted, 80)
    # Published: 31.7, over 300 episodes. The standard error of 80 is 0.6.
    assert scores.mean() == pytest.approx(31.7, abs=1 + 2 * 0.6)
    assert successes.all()


def test_without_the_bonus_reach_costs_all_the_way() -> None:
    config = EnvConfig.parse("manipulation/reach", reach_bonus=False, **BLIND)
    scores, _ = returns(config, scripted, 20)
    assert scores.max() < 0
    assert scores.mean() == pytest.approx(-10.3, abs=2.5)


def test_a_scripted_controller_gets_what_it_gets_in_the_published_peg_in_box() -> None:
    # Published: 227 over the goals that can be reached. The standard error of 40 episodes is 6.
    scores, successes = returns(EnvConfig.parse("manipulation/peg_in_box", **BLIND), scripted, 40, reachable=0.5)
    assert scores.mean() == pytest.approx(227, abs=2 * 6)
    assert successes.mean() > 0.95


def test_the_peg_can_be_lowered() -> None:
    config = EnvConfig.parse("manipulation/peg_in_box", action_space="xyz", **BLIND)
    scores, successes = returns(config, over_the_edge, 12, reachable=0.5)
    assert scores.mean() > 232  # what the published methods get
    assert successes.mean() > 0.9


@pytest.mark.parametrize(("task", "published", "error"), [("reach", -53, 1.9), ("peg_in_box", -85, 2.6)])
def test_random_actions_get_what_they_get_in_the_published_tasks(task: str, published: float, error: float) -> None:
    random = np.random.default_rng(3)
    config = EnvConfig.parse(f"manipulation/{task}", **BLIND)
    scores, successes = returns(config, lambda env: random.uniform(-1, 1, 2), 40)
    assert scores.mean() == pytest.approx(published, abs=3 * error)
    assert successes.mean() < 0.4


def test_goals_beyond_the_workspace_stay_out_of_reach() -> None:
    env = make_env(EnvConfig.parse("manipulation/reach", action_space="xyz", **BLIND), seed=0)
    grasp = env.simulation.task.physics.named.data.site_xpos
    for action, axis, limit in [((1, 0, 0), 0, 1.7), ((0, 1, 0), 1, 0.45), ((0, -1, 0), 1, 0.15), ((0, 0, 1), 2, 1.0)]:
        env.reset()
        for _ in range(50):
            env.advance(np.array(action))
        assert abs(grasp["grasp"][axis] - limit) < 0.06  # it is caught within one action's length
    env.close()


def test_places_follow_their_published_ranges() -> None:
    for task, start_height, goal_height in (("reach", 0.636, 0.58), ("peg_in_box", 0.806, 0.585)):
        env = make_env(EnvConfig.parse(f"manipulation/{task}", **BLIND), seed=1)
        data = env.simulation.task.physics.named.data
        grasps, goals = [], []
        for _ in range(60):
            env.simulation.task.reset()
            grasps.append(data.site_xpos["grasp"].copy())
            goals.append(env.simulation.task.problem.goal().copy())
        env.close()
        starts, ends = np.array(grasps), np.array(goals)
        middle = 0.3 if task == "reach" else 0.375
        assert np.abs(ends[:, 0] - 1.605).max() <= 0.1 and np.ptp(ends[:, 0]) > 0.15
        assert np.abs(ends[:, 1] - middle).max() <= 0.2 and np.ptp(ends[:, 1]) > 0.3
        assert ends[:, 2] == pytest.approx(goal_height)
        assert starts[:, 2] == pytest.approx(start_height, abs=0.02)
        # The arm is given no time to come to rest, and starts from the middle: it covers a part of the range.
        assert starts[:, 0].min() > 1.15 and starts[:, 0].max() < 1.40 and np.ptp(starts[:, 0]) > 0.05
        assert starts[:, 1].min() > 0.18 and starts[:, 1].max() < 0.42 and np.ptp(starts[:, 1]) > 0.05


@pytest.mark.parametrize("task", MANIPULATION_TASKS)
def test_an_episode_is_truncated_after_50_steps_and_tells_success(task: str) -> None:
    env = make_env(EnvConfig.parse(task, **BLIND), seed=2)
    env.reset()
    told = []
    for step in range(50):
        _, reward, terminated, truncated, info = env.step(scripted(env).clip(-1, 1))
        assert np.isfinite(reward) and not terminated and truncated == (step == 49)
        told.append(info["is_success"])
    env.close()
    assert all(type(success) is bool for success in told)
    assert not told[0] and told[-1]


@pytest.mark.parametrize("task", MANIPULATION_TASKS)
def test_episodes_change_no_other_part_of_the_model(task: str) -> None:
    """What a state keeps of the model, where the target is, is all that an episode changes in it."""
    env = make_env(EnvConfig.parse(task, **BLIND), seed=2)
    model = env.simulation.task.physics.model.ptr
    names = [name for name in dir(model) if isinstance(getattr(model, name), np.ndarray)]
    before = {name: getattr(model, name).copy() for name in names}
    for _ in range(2):
        env.reset()
        env.step(np.ones(2))
    changed = {name for name in names if not np.array_equal(before[name], getattr(model, name))}
    env.close()
    assert changed <= {"site_pos"}


def test_repeated_actions_add_up() -> None:
    once = make_env(EnvConfig.parse("manipulation/peg_in_box", **BLIND), seed=3)
    twice = make_env(EnvConfig.parse("manipulation/peg_in_box", action_repeat=2, **BLIND), seed=3)
    for env in (once, twice):
        env.reset()
    for action in np.random.default_rng(0).uniform(-1, 1, (3, 2)):
        assert twice.step(action)[1] == once.step(action)[1] + once.step(action)[1]
    for env in (once, twice):
        env.close()


def test_workers_play_the_same() -> None:
    configs = [EnvConfig.parse("manipulation/reach", mode=mode, **SMALL) for mode in ("train", "test1")]
    seen = []
    for num_workers in (0, 1):
        with EnvWorkers(configs, [4, 4], num_workers) as envs:
            steps = [envs.reset()]
            steps += [envs.step(np.full((2, 2), 0.5, np.float32)) for _ in range(3)]
            assert {row["table_top"] for row in envs.provenance if "table_top" in row} == {"generated"}
        seen.append(steps)
    for alone, together in zip(*seen, strict=True):
        np.testing.assert_array_equal(
            alone if isinstance(alone, np.ndarray) else alone.obs, getattr(together, "obs", together)
        )
    np.testing.assert_array_equal(seen[0][3].reward, seen[1][3].reward)
    assert seen[0][3].reward[0] == seen[0][3].reward[1]  # whatever is seen


# --- pictures ---------------------------------------------------------------------------------------


def look(task_id: str, **fields: Any) -> np.ndarray:
    """The picture after a few steps: ``[H, W, 3]``."""
    env = make_env(EnvConfig.parse(f"manipulation/{task_id}", **fields), seed=3)
    env.reset()
    for _ in range(4):
        observation, *_ = env.step(np.array([1.0, 0.5]))
    env.close()
    return observation[-3:].transpose(1, 2, 0)


@pytest.mark.parametrize("task_id", ["reach@train", "peg_in_box@test1"])
def test_the_camera_picture_is_the_stored_one(task_id: str) -> None:
    stored = np.asarray(Image.open(REFERENCES / f"{task_id.replace('@', '_')}.png"), dtype=float)
    # Of 255: coarser shapes are 0.4 away on average, a missing link is 1, and one step of the arm 2 to 4.
    assert np.abs(look(task_id) - stored).mean() < 0.8


@pytest.mark.parametrize("task", ["reach", "peg_in_box"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_same_pixels_as_a_model_compiled_with_these_surroundings(task: str, variant: str) -> None:
    from dm_control import mujoco as dm_mujoco

    from saccade.envs.tasks.manipulation import MODELS

    env = make_env(EnvConfig.parse(f"manipulation/{task}", mode=variant, **SMALL), seed=3)
    env.reset()
    painted = env.simulation.scene.render().copy()
    assets = {path.name: path.read_bytes() for path in MODELS.glob("*.xml")}
    with BytesIO() as file:
        Image.fromarray(generate_texture(variant)).save(file, format="PNG")
        assets["table.png"] = file.getvalue()
    assets["surroundings.xml"] = edited(assets["surroundings.xml"], TINTS[variant])
    physics = dm_mujoco.Physics.from_xml_string(assets[f"{task}.xml"].decode(), assets=assets)
    ours = env.simulation.task.physics
    physics.model.site_pos[:] = ours.model.site_pos
    for quality in ("numslices", "numstacks", "offsamples"):
        setattr(physics.model.vis.quality, quality, getattr(ours.model.vis.quality, quality))
    with physics.reset_context():
        physics.set_state(ours.get_state())
    compiled = dm_mujoco.Camera(physics, 48, 48, 0).render().copy()
    physics.free()
    env.close()
    np.testing.assert_array_equal(painted, compiled)


def edited(content: bytes, tint: tuple[float, float, float]) -> bytes:
    """``surroundings.xml`` with a variant's colours and picture written into it."""
    root = ElementTree.fromstring(content)
    for texture in root.iter("texture"):
        if texture.attrib["name"] == "skybox":
            texture.attrib["rgb1"] = " ".join(map(str, tint))
        else:
            texture.attrib.clear()
            texture.attrib.update({"name": "table", "type": "cube", "file": "table.png"})
    for material in root.iter("material"):
        if "rgba" in material.attrib:
            own = np.array(material.attrib["rgba"].split(), dtype=float)
            material.attrib["rgba"] = " ".join(map(repr, (own * (*tint, 1.0)).tolist()))
    return ElementTree.tostring(root)


def test_a_variant_leaves_robot_and_goal_as_they_are() -> None:
    pictures = {mode: look(f"reach@{mode}", task_mask=False).astype(int) for mode in MANIPULATION_MODES}
    env = make_env(EnvConfig("manipulation/reach", task_mask=True), seed=3)
    env.reset()
    for _ in range(4):
        *_, info = env.step(np.array([1.0, 0.5]))
    env.close()
    mask = info["task_mask"][-1]
    inside = mask.copy()  # not the outline, which smoothing mixes with what is behind
    for shift in (-1, 1):
        inside &= np.roll(mask, shift, 0) & np.roll(mask, shift, 1)
    assert inside.sum() > 300
    for variant in VARIANTS:
        difference = np.abs(pictures[variant] - pictures["train"]).max(axis=-1)
        assert np.mean(difference[inside] > 2) < 0.05
        assert np.mean(difference[~mask] > 2) > 0.9


def write_texture(root: Path, variant: str, color: tuple[int, int, int]) -> None:
    (root / "textures").mkdir(exist_ok=True)
    Image.new("RGB", (16, 16), color).save(root / "textures" / f"{variant}.png")


def test_own_textures_replace_the_generated_ones(tmp_path: Path) -> None:
    write_texture(tmp_path, "test1", (0, 0, 255))
    env = make_env(EnvConfig.parse("manipulation/reach", mode="test1", data=str(tmp_path), **SMALL), seed=3)
    observation, _ = env.reset()
    assert env.provenance["table_top"] == "benchmark"
    env.close()
    table = observation[-3:, -4:, :10].reshape(3, -1)
    assert (table[2] > 150).all() and (table[:2] < 60).all()


def test_a_texture_that_is_missing_is_generated_with_a_warning(tmp_path: Path) -> None:
    write_texture(tmp_path, "test1", (0, 0, 255))
    with pytest.warns(UserWarning, match=r"has no picture textures/test2: a generated table top is used"):
        env = make_env(EnvConfig.parse("manipulation/reach", mode="test2", data=str(tmp_path), **SMALL), seed=3)
    assert env.provenance["table_top"] == "generated"
    env.close()


def test_a_texture_folder_with_nothing_usable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    with pytest.raises(UserError, match="holds no picture named test1"):
        make_env(EnvConfig.parse("manipulation/reach", mode="test2", data=str(tmp_path), **SMALL))
    (tmp_path / "textures" / "test2.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"test2\.png cannot be read"):
        make_env(EnvConfig.parse("manipulation/reach", mode="test2", data=str(tmp_path), **SMALL))
