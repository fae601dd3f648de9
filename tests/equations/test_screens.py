"""Clips on a screen in the scene, against the published way: a site that follows the agent, and one face's texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from saccade.data.banks.clips import Clips
from saccade.data.banks.colors import ColorSetting
from saccade.envs.config import EnvConfig
from saccade.envs.distractions.color import ColorPalette
from saccade.envs.distractions.on_screen import (
    PUBLISHED_SCREENS,
    ColorInTurn,
    PaletteInTurn,
    PlayingScreen,
    VideoOnScreen,
    clip_side,
)
from saccade.envs.make import make_env
from saccade.envs.tasks.dmc_suite import BENCHMARK_TASKS, DMC_TASKS, MODE_GROUPS, MODES, SCREEN_DOMAINS
from saccade.types import UserError

SIZE = 64
# As the published code writes them: size, place, angles; and what a screen that follows keeps to the centre of mass.
PUBLISHED = {
    "walker": ("1.86 0.1 1.86", "0.0 1.96 -0.7", "-30 0 0", (0.0, -1.07)),
    "cheetah": ("1.86 0.1 1.86", "0.0 1.6 -0.7", "0 0 0", (-0.05, 0.15)),
    "cartpole": ("1.86 0.1 1.86", "0.0 0.5 1.0", "0 0 0", None),
    "ball_in_cup": ("0.66 0.1 0.66", "0.0 0.5 0.05", "-27 0 0", None),
    "finger": ("0.66 0.1 0.66", "0.0 0.5 0.05", "-27 0 0", None),
}


pytestmark = pytest.mark.usefixtures("generated_data")


def pictures(count: int) -> NDArray[np.uint8]:
    """No two alike, and none the same turned or mirrored."""
    return np.random.default_rng(3).integers(256, size=(count, SIZE, SIZE, 3), dtype=np.uint8)


def clips(arrays: Sequence[np.ndarray]) -> Clips:
    return Clips("procedural", tuple(f"scene{number}" for number in range(len(arrays))), tuple(arrays))


def env_with(task: str, nuisance: Any, mode: str = "gb2_video_easy", **fields: Any) -> Any:
    env = make_env(EnvConfig.parse(task, mode=mode, image_size=SIZE, render_quality="fast", **fields), seed=4)
    env._nuisances = [nuisance]
    return env


def published_model(domain: str) -> Any:
    """A domain's physics with a screen in it, changed as the published code does it, with its numbers."""
    from dm_control import mujoco as dm_mujoco
    from dm_control.suite import common

    from saccade.envs.tasks.dmc import SCREENED

    document, assets = SCREENED[domain].get_model_and_assets()
    size, place, angles, _ = PUBLISHED[domain]
    root = ElementTree.fromstring(document)
    site = {"name": "video_screen", "type": "box", "size": size, "pos": place, "euler": angles, "material": "projector"}
    ElementTree.SubElement(root.find("worldbody"), "site", site)  # type: ignore[arg-type]
    materials = ElementTree.fromstring(common.ASSETS["./common/materials.xml"])
    asset = next(materials.iter("asset"))
    side = "512"
    texture = {"name": "projector", "type": "skybox", "builtin": "flat", "width": side, "height": side, "mark": "none"}
    asset.insert(1, ElementTree.Element("texture", texture))
    dull = dict.fromkeys(("specular", "shininess", "reflectance", "emission"), "0")
    material = {"name": "projector", "texture": "projector", "texuniform": "false", **dull}
    ElementTree.SubElement(asset, "material", material)
    changed = {**assets, "./common/materials.xml": ElementTree.tostring(materials)}
    return dm_mujoco.Physics.from_xml_string(ElementTree.tostring(root), changed)


def into_state_of(theirs: Any, physics: Any) -> None:
    """Positions and velocities, and the colours of what has a name: finger's tasks hide its target."""
    signature = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    physics.set_state(theirs.get_state(signature), signature)
    model = physics.model.ptr
    for number in range(model.nsite):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_SITE, number)
        same = mujoco.mj_name2id(theirs.model.ptr, mujoco.mjtObj.mjOBJ_SITE, name)
        if same >= 0:
            model.site_rgba[number] = theirs.model.site_rgba[same]
    mujoco.mj_step1(model, physics.data.ptr)


def published_picture(env: Any, domain: str, picture: np.ndarray, floor: bool) -> np.ndarray:
    """What the published code shows in the state of ``env``."""
    from saccade.envs.mujoco.scene import Scene

    physics = published_model(domain)
    into_state_of(env.simulation.task.physics, physics)
    model, data = physics.model.ptr, physics.data.ptr
    scene = Scene(physics, SIZE, "fast", {}, 0)
    number = model.ntex - 1
    assert mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_TEXTURE, number) == "projector"
    model.tex_height[number] = model.tex_width[number] = SIZE
    model.tex_data[model.tex_adr[number] :][: picture.size] = picture.ravel()
    scene._upload(mujoco.mjr_uploadTexture, number)
    if not floor:
        physics.named.model.mat_rgba["grid", "a"] = 0
    beside = PUBLISHED[domain][-1]
    if beside is not None:
        agent = data.body("torso").subtree_com
        data.site("video_screen").xpos[0] = agent[0] + beside[0]
        data.site("video_screen").xpos[2] = agent[2] + beside[1]
    shown = scene.render().copy()
    scene.close()
    return shown


@pytest.mark.parametrize(
    ("task", "floor"),
    [*((task, True) for task in BENCHMARK_TASKS if task != "dmc/walker_stand"), ("dmc/cartpole_swingup", False)],
)
def test_the_published_picture(task: str, floor: bool) -> None:
    clip = pictures(5)
    env = env_with(task, PlayingScreen(clips([clip]), floor, in_order=False), action_repeat=4)
    env.reset()
    for _ in range(3):
        obs, *_ = env.step(np.ones(env.action_space.shape))
    expected = published_picture(env, DMC_TASKS[task][0], clip[3], floor)
    env.close()
    np.testing.assert_array_equal(obs[6:].transpose(1, 2, 0), expected)


def test_a_clip_begins_with_its_first_frame_and_begins_again() -> None:
    levels = np.array([10, 90, 250], np.uint8)
    clip = np.broadcast_to(levels[:, None, None, None], (3, SIZE, SIZE, 3))
    env = env_with("dmc/cartpole_balance", PlayingScreen(clips([clip]), False, in_order=False))
    shown = [env.reset()[0]]
    shown += [env.step(np.zeros(1))[0] for _ in range(4)]
    env.close()
    corner = [int(obs[6:, :8, :8].mean()) for obs in shown]  # of the screen, under the scene's light
    assert corner[0] < corner[1] < corner[2] and corner[3] == corner[0] and corner[4] == corner[1]


def test_in_order_colours_and_clips_advance_together_and_clips_are_one_ahead() -> None:
    """As published: a colour is taken before its index advances, a clip after."""
    colours = [ColorSetting(*[(level / 10,) * 3] * 4) for level in range(4)]
    palette = PaletteInTurn(ColorPalette(tuple(colours), "generated"), in_order=True)
    screen = PlayingScreen(clips(pictures(3)[:, None]), True, in_order=True)
    random, colour, clip = np.random.default_rng(0), 0, 0
    seen = []
    for _ in range(5):
        colour, clip = palette.choose(colour, random), screen.choose(clip, random)
        seen.append((colour - 1, clip))
    assert seen == [(0, 1), (1, 2), (2, 0), (3, 1), (0, 2)]
    free = PaletteInTurn(palette.palette, in_order=False)
    assert {free.choose(0, random) for _ in range(60)} == {1, 2, 3, 4}

    class Painted:
        def paint_texture(self, name: str, **colors: Any) -> None:
            told[name] = colors

        def paint_material(self, name: str, rgb: Any) -> None:
            told[name] = rgb

    told: dict[str, Any] = {}
    palette.paint(Painted(), 4)  # type: ignore[arg-type]
    assert told["self"] == colours[3].self_rgb


def test_the_screen_is_no_part_of_the_task_and_leaves_physics_alone() -> None:
    """Same states and rewards as without, bit for bit, in a domain where it follows and one where it stands."""
    for task in ("dmc/cheetah_run", "dmc/cartpole_two_poles"):
        played = []
        for mode in ("train", "gb2_video_hard"):
            env = make_env(EnvConfig.parse(task, mode=mode, image_size=SIZE, render_quality="fast", task_mask=True), 5)
            _, info = env.reset()
            steps = [(info["task_mask"].copy(), 0.0, env.simulation.task.physics.get_state())]
            for _ in range(3):
                _, reward, _, _, info = env.step(np.ones(env.action_space.shape))
                steps.append((info["task_mask"].copy(), reward, env.simulation.task.physics.get_state()))
            generator = env.simulation.task.environment.task.random.get_state()[1]
            played.append((steps, generator))
            env.close()
        (clean, drawn), (seen, also) = played
        assert np.array_equal(drawn, also)
        for one, other in zip(clean, seen, strict=True):
            assert one[1] == other[1] and np.array_equal(one[2], other[2]) and np.array_equal(one[0], other[0])


def test_where_a_screen_has_no_place() -> None:
    for mode in ("gb2_video_easy", "gb2_color_video_hard+noise:0.1"):
        with pytest.raises(
            UserError, match=r"place is known for ball_in_cup, .* alone, but this is reacher; the modes"
        ):
            EnvConfig("dmc/reacher_easy", mode)
    EnvConfig("dmc/reacher_easy", "gb2_color_hard")
    EnvConfig("dmc/reacher_easy", "gb2_rotate_hard")


def test_every_domain_with_a_screen_has_a_place_for_it() -> None:
    from saccade.envs.mujoco.camera import model_name
    from saccade.envs.tasks.dmc import ControlSuite

    names = set()
    for domain in SCREEN_DOMAINS:
        task = next(task for task, (its, _) in DMC_TASKS.items() if its == domain)
        made = ControlSuite(EnvConfig(task, "gb2_video_easy"))
        names.add(model_name(made.physics))
        made.physics.free()
    assert names == set(PUBLISHED_SCREENS)


def test_the_photometric_modes_are_the_published_ones() -> None:
    """The floor is invisible in video_hard alone; color_video_hard keeps it."""
    easy, hard = ColorInTurn("easy"), ColorInTurn("hard")
    assert {mode.removeprefix("gb2_"): MODES[mode] for mode in MODE_GROUPS["gb2_photometric"]} == {
        "color_easy": (easy,),
        "color_hard": (hard,),
        "video_easy": (VideoOnScreen("video_easy", floor=True),),
        "video_hard": (VideoOnScreen("video_hard", floor=False),),
        "color_video_easy": (easy, VideoOnScreen("video_easy", floor=True)),
        "color_video_hard": (hard, VideoOnScreen("video_hard", floor=True)),
    }


def test_a_clip_has_as_many_pixels_as_the_picture() -> None:
    assert [clip_side(size) for size in (1, 48, 64, 84, 100, 256, 300)] == [1, 64, 64, 128, 128, 256, 256]
