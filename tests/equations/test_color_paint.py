"""Repainting in place against the published way: edit the XML, compile the model again."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from saccade.data.banks.clips import Clips
from saccade.data.banks.colors import ColorSetting
from saccade.data.folder import DataFolder
from saccade.envs.config import EnvConfig
from saccade.envs.distractions.color import Color, ColorPalette
from saccade.envs.distractions.video import VideoBackground
from saccade.envs.make import make_env
from saccade.envs.tasks.dmc_suite import MODE_GROUPS, MODES

SIZE = 64
SIGNATURE = int(mujoco.mjtState.mjSTATE_INTEGRATION)
GREEN = (0.2, 0.8, 0.2)
SETTING = ColorSetting((0.11, 0.52, 0.33), (0.21, 0.62, 0.43), (0.9, 0.123, 0.7), (0.8, 0.35, 0.0625))
OTHER_SETTING = ColorSetting((0.9, 0.1, 0.1), (1.0, 0.2, 0.2), (0.1, 0.1, 0.9), (0.0, 0.0, 0.0))

# What the published code writes into the XML: (element, name) -> attributes.
Edits = dict[tuple[str, str], dict[str, tuple[float, ...]]]
COLOR_EDITS: Edits = {
    ("texture", "grid"): {"rgb1": SETTING.grid_rgb1, "rgb2": SETTING.grid_rgb2},
    ("material", "self"): {"rgba": (*SETTING.self_rgb, 1.0)},
    ("texture", "skybox"): {"rgb1": SETTING.skybox_rgb},
}
SKY_EDITS: Edits = {("texture", "skybox"): {"rgb1": GREEN, "rgb2": GREEN, "markrgb": GREEN}}
FLOOR_EDITS: Edits = {("texture", "grid"): {"rgb1": GREEN, "rgb2": GREEN, "markrgb": GREEN}}

PALETTE = ColorPalette((OTHER_SETTING, SETTING), "benchmark")
NO_CLIPS = Clips("procedural", (), ())
CASES = {
    "color": ((PALETTE, 0), (PALETTE, 1), COLOR_EDITS),  # painted over another setting
    "video_easy": ((VideoBackground(NO_CLIPS, floor=False, in_order=False), 0),) * 2 + (SKY_EDITS,),
    "video_hard": ((VideoBackground(NO_CLIPS, floor=True, in_order=False), 0),) * 2 + (SKY_EDITS | FLOOR_EDITS,),
}


pytestmark = pytest.mark.usefixtures("generated_data")


def edited(content: bytes, edits: Edits) -> bytes:
    root = ElementTree.fromstring(content)
    for (tag, name), attributes in edits.items():
        for element in root.iter(tag):
            if element.get("name") == name:
                element.attrib.update({key: " ".join(map(str, value)) for key, value in attributes.items()})
    return ElementTree.tostring(root)


def compiled_again(env: Any, domain: str, edits: Edits) -> np.ndarray:
    """The picture of ``env``'s state by a model that is compiled from the edited files."""
    from dm_control import mujoco as dm_mujoco
    from dm_control.suite import common

    assets = {file: edited(content, edits) for file, content in common.ASSETS.items()}
    xml = edited(common.read_model(f"{domain}.xml"), edits)
    physics = dm_mujoco.Physics.from_xml_string(xml.decode(), assets=assets)
    ours = env.simulation.task.physics
    for quality in ("shadowsize", "numslices", "numstacks", "offsamples"):
        setattr(physics.model.vis.quality, quality, getattr(ours.model.vis.quality, quality))
    for field in ("site_rgba", "site_pos", "geom_pos", "geom_rgba"):
        getattr(physics.model, field)[:] = getattr(ours.model, field)
    physics.set_state(ours.get_state(SIGNATURE), SIGNATURE)
    physics.forward()
    picture = dm_mujoco.Camera(physics, SIZE, SIZE, 0).render().copy()
    physics.free()
    return picture


@pytest.mark.parametrize("mode", CASES)
@pytest.mark.parametrize(
    ("domain", "task"),
    [
        ("walker", "walk"),
        ("cartpole", "swingup"),
        ("finger", "spin"),
        ("ball_in_cup", "catch"),
        ("pendulum", "swingup"),
    ],
)
def test_same_pixels_as_a_model_compiled_with_these_colours(domain: str, task: str, mode: str) -> None:
    env = make_env(EnvConfig.parse(f"dmc/{domain}_{task}", image_size=SIZE, render_quality="fast"), seed=2)
    env.reset()
    env.step(np.ones(env.action_space.shape))
    before = env.simulation.scene.render().copy()
    (first, first_choice), (last, last_choice), edits = CASES[mode]
    first.paint(env.simulation.scene, first_choice)
    env.simulation.scene.render()
    last.paint(env.simulation.scene, last_choice)
    painted = env.simulation.scene.render().copy()
    expected = compiled_again(env, domain, edits)
    env.close()
    assert np.array_equal(painted, expected)
    assert not np.array_equal(painted, before)


def test_modes_are_the_published_ones() -> None:
    colors = {
        mode: distractions for mode, distractions in MODES.items() if mode in MODE_GROUPS["dmcgb"] and "color" in mode
    }
    assert colors == {"color_easy": (Color("easy"),), "color_hard": (Color("hard"),)}
    assert MODES["train"] == ()
    assert [(video.mode, video.floor) for mode in ("video_easy", "video_hard") for video in MODES[mode]] == [
        ("video_easy", False),
        ("video_hard", True),
    ]


def test_what_a_model_does_not_have_is_left_alone() -> None:
    env = make_env(EnvConfig.parse("dmc/cartpole_swingup", image_size=SIZE, render_quality="fast"), seed=2)
    env.reset()
    before = env.simulation.scene.render().copy()
    env.simulation.scene.paint_texture("background", rgb1=GREEN)
    env.simulation.scene.paint_material("fur", GREEN)
    assert np.array_equal(env.simulation.scene.render(), before)
    env.close()


def test_colours_are_drawn_with_replacement_from_all() -> None:
    palette = Color("hard").load(DataFolder(), SIZE, "seed")
    random = np.random.default_rng(0)
    drawn = [palette.choose(0, random) for _ in range(2000)]
    assert len(palette.settings) == 100
    assert set(drawn) == set(range(100))
    assert palette.provenance() == {"colors": "generated", "num_colors": 100}


def test_clips_follow_each_other_or_are_drawn() -> None:
    clips = Clips("procedural", ("a", "b", "c"), tuple(np.full((2, 1, 1, 3), n, np.uint8) for n in range(3)))
    in_order = VideoBackground(clips, floor=True, in_order=True)
    random = np.random.default_rng(0)
    choices = [0]
    for _ in range(6):
        choices.append(in_order.choose(choices[-1], random))
    assert choices[1:] == [1, 2, 0, 1, 2, 0]  # as published: the second clip first, the first one last
    drawn = VideoBackground(clips, floor=True, in_order=False)
    assert {drawn.choose(0, random) for _ in range(50)} == {0, 1, 2}


def test_a_clip_shows_a_frame_per_agent_step_and_starts_again() -> None:
    clip = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 2, 2, 3), np.uint8)
    video = VideoBackground(Clips("procedural", ("a",), (clip,)), floor=True, in_order=False)
    pixels = np.full((2, 2, 3), (51, 204, 51), np.uint8)
    pixels[0, 0] = (200, 100, 50)  # not green
    for step, shown in [(0, 0), (1, 1), (2, 2), (3, 0), (7, 1)]:
        frame = video.apply(pixels, 0, step)
        assert (frame[0, 0] == (200, 100, 50)).all()
        assert (frame.reshape(-1, 3)[1:] == shown).all()
    assert (pixels[1, 1] == (51, 204, 51)).all()
