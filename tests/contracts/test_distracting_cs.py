"""The Distracting Control Suite in use: its clips, its camera in every task, its masks, and what cannot be."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from PIL import Image
from toy_envs import ToyEnv

from saccade.bench.verdicts import mode_text
from saccade.cli import main
from saccade.data.banks.davis import SIDE, TRAINING_CLIPS, clip_names, sky_clips
from saccade.data.folder import DataFolder
from saccade.doctor.examination import examine
from saccade.envs.config import EnvConfig, check_data
from saccade.envs.distractions.distracting_cs import FAMILIES
from saccade.envs.make import make_env
from saccade.explain.modes import read_modes
from saccade.explain.shifted import Shift
from saccade.types import UserError

SMALL = {"image_size": 48, "render_quality": "fast"}


pytestmark = pytest.mark.usefixtures("generated_data")


def made(task: str, mode: str, seed: int = 3, **fields: Any) -> Any:
    return make_env(EnvConfig.parse(task, mode=mode, **SMALL | fields), seed)


def seen(task: str, mode: str, steps: int, **fields: Any) -> np.ndarray:
    """The newest frames of an episode without any action: uint8 ``[steps + 1, 3, H, W]``."""
    with closing(made(task, mode, **fields)) as env:
        frames = [env.reset()[0]]
        frames += [env.step(np.zeros(env.action_space.shape))[0] for _ in range(steps)]
        return np.stack(frames)[:, -3:]


# Cameras that stand and that follow, from each side and from above; the published domains have equations of their own.
ELSEWHERE = [
    *("dmc/acrobot_swingup", "dmc/fish_upright", "dmc/hopper_stand", "dmc/humanoid_stand", "dmc/lqr_lqr_2_1"),
    *("dmc/manipulator_bring_ball", "dmc/point_mass_easy", "dmc/quadruped_walk", "dmc/swimmer_swimmer6"),
]


@pytest.mark.parametrize("task", ELSEWHERE)
def test_other_domains_are_seen_from_elsewhere_too(task: str) -> None:
    with closing(made(task, "distracting_cs_camera:0.3")) as env, closing(made(task, "train")) as clean:
        env.reset()
        clean.reset()
        ours, theirs = (one.simulation.task.physics for one in (env, clean))
        camera = env.simulation.scene.moving.view()
        env.simulation.scene.moving.apply()
        number = env.simulation.scene.moving._camera
        axes = ours.data.cam_xmat[number].reshape(3, 3)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
        target = theirs.data.cam_xpos[number] - camera.agent_distance * theirs.data.cam_xmat[number].reshape(3, 3)[:, 2]
        towards = target - ours.data.cam_xpos[number]
        np.testing.assert_allclose(-axes[:, 2], towards / np.linalg.norm(towards), atol=1e-12)
        assert np.linalg.norm(ours.data.cam_xpos[number] - theirs.data.cam_xpos[number]) > 0.01
        assert ours.data.cam_xpos[number][2] > camera.reference[2] - 1e-9  # never from below


def test_what_is_static_stays_and_what_is_not_moves() -> None:
    for part in ("background", "camera", "color"):
        moves, stays = (
            seen("dmc/ball_in_cup_catch", f"distracting_cs_{part}{kind}:0.1", 6) for kind in ("", "_static")
        )
        plain = seen("dmc/ball_in_cup_catch", "train", 6)
        corner = (slice(None), slice(None), slice(0, 6), slice(0, 6))  # of the sky: no ball comes there
        if part != "color":  # which the sky does not have
            assert (np.ptp(moves[corner].astype(int), axis=0) > 0).any()
            assert (np.ptp(stays[corner].astype(int), axis=0) == 0).all()
        assert not np.array_equal(stays[0], plain[0]) and not np.array_equal(moves[-1], stays[-1])


def test_the_original_changes_twice_as_often() -> None:
    with closing(made("dmc/walker_walk", "distracting_cs_camera:0.3", action_repeat=2)) as env:
        env.reset()
        choices = env.get_state()["choices"]
        with closing(made("dmc/walker_walk", "distracting_cs_original_camera:0.3", action_repeat=1)) as other:
            other.reset()
            assert np.array_equal(choices, other.get_state()["choices"])
            for _ in range(5):
                for one in (env, other):
                    one.step(np.zeros(6))
                offsets = [
                    physics.data.cam_xpos[0] - physics.data.subtree_com[1]
                    for physics in (one.simulation.task.physics for one in (env, other))
                ]
                np.testing.assert_allclose(*offsets, atol=1e-12)


@pytest.mark.parametrize("task", ["dmc/walker_walk", "dmc/ball_in_cup_catch", "dmc/reacher_easy"])
def test_masks_follow_the_camera(task: str) -> None:
    with closing(made(task, "distracting_cs:0.4", image_size=84, task_mask=True)) as env:
        env.reset()
        for _ in range(3):
            *_, info = env.step(np.random.default_rng(0).uniform(-1, 1, env.action_space.shape))
            physics, scene = env.simulation.task.physics, env.simulation.scene
            ids, kinds = scene._camera.render(segmentation=True).transpose(2, 0, 1)
            drawn = kinds == mujoco.mjtObj.mjOBJ_TENDON
            for kind, bodies in (
                (mujoco.mjtObj.mjOBJ_GEOM, physics.model.geom_bodyid),
                (mujoco.mjtObj.mjOBJ_SITE, physics.model.site_bodyid),
            ):
                names = [physics.model.id2name(number, kind) for number in range(len(bodies))]
                belongs = np.array([body != 0 or "target" in name for name, body in zip(names, bodies, strict=True)])
                drawn[kinds == kind] = belongs[ids[kinds == kind]]
            mask = info["task_mask"][-1]
            assert (mask & drawn).sum() / (mask | drawn).sum() > 0.85, (mask.sum(), drawn.sum())


def test_it_is_asked_for_and_written_in_one_way() -> None:
    for word in ("distracting_cs:0.1", "distracting_cs:.10", "distracting_cs:1e-1"):
        assert EnvConfig.parse(f"dmc/walker_walk@{word}").mode == "distracting_cs:0.1"
        assert read_modes([word], ("train",)).names == ("distracting_cs:0.1",)
    config = EnvConfig.parse("dmc/walker_walk@distracting_cs_static:0.05+noise:0.10")
    assert config.mode == "distracting_cs_static:0.05+noise:0.1"
    plain = seen("dmc/walker_walk", "distracting_cs_static:0.05", 0)
    assert np.abs(seen("dmc/walker_walk", config.mode, 0).astype(int) - plain).mean() > 1
    assert "moving/control_steps" not in state_of("train") and state_of("distracting_cs_color:0.1")


def state_of(mode: str) -> dict[str, Any]:
    with closing(made("dmc/cartpole_balance", mode)) as env:
        env.reset()
        return dict(env.get_state())


ONE_SENTENCE = {
    "dmc/walker_walk@distracting_cs": "'distracting_cs' needs an intensity, one of 0.025, 0.05, 0.1, 0.15, 0.2, 0.3",
    "dmc/walker_walk@distracting_cs:0.7": "'distracting_cs:0.7' needs an intensity, one of 0.025",
    "dmc/walker_walk@distracting_cs:hard": "'distracting_cs:hard' needs an intensity, one of 0.025",
    "dmc/walker_walk@distracting_cs_original:0.5": "needs an intensity, one of 0.1, 0.2, 0.3, such as",
    "dmc/walker_walk@distracting_cs_colour:0.1": "did you mean distracting_cs_color",
    "dmc/walker_walk@noise:0.1+distracting_cs:0.1": "write that first, as in distracting_cs:0.1+noise:0.1",
    "manipulation/reach@distracting_cs:0.1": "the choices are train, test1, test2, test3, test4, test5, and shifts",
}


@pytest.mark.parametrize("task", ONE_SENTENCE)
def test_what_there_is_not_is_one_sentence(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "sac", task, "--device", "cpu", "--out", "run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("saccade: ")]
    assert ONE_SENTENCE[task] in line
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_environments_have_no_such_mode() -> None:
    with pytest.raises(UserError, match=r"'distracting_cs:0\.1' is a mode of dmc tasks, such as dmc/walker_walk"):
        Shift(ToyEnv(0), "distracting_cs:0.1")


def test_a_camera_on_the_agents_head_cannot_be_moved() -> None:
    sentence = r"mounted on the agent or turns to it.*leave out --camera"
    with (
        closing(made("dmc/humanoid_walk", "distracting_cs_camera:0.1", camera="egocentric")) as env,
        pytest.raises(UserError, match=sentence),
    ):
        env.reset()
    with closing(made("dmc/humanoid_walk", "distracting_cs_color:0.1", camera="egocentric")) as env:
        env.reset()


def test_a_list_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    words = [line.split()[0] for line in told.splitlines() if line.startswith("distracting_cs")]
    lines = [word for word in words if ":" not in word]  # those are of the group, whose line is broken
    assert len(lines) == 5 and {line for line in lines if not line.endswith("...")} < set(FAMILIES)
    assert "INTENSITY: 0.025 0.05 0.1 0.15 0.2 0.3 0.4 0.5" in told


# ------------------------------------------------------------------------------------------------------ clips


def clip(data: Path, name: str, colours: list[tuple[int, int, int]], ending: str = ".png") -> None:
    folder = data / "DAVIS" / "JPEGImages" / "480p" / name
    folder.mkdir(parents=True)
    for number, colour in enumerate(colours):
        Image.new("RGB", (71, 40), colour).save(folder / f"{number:05d}{ending}")


def test_clips_of_davis_come_in_its_order(tmp_path: Path) -> None:
    for name in ("boat", "bear", "bike-packing", "bmx-bumps", "walking"):  # one of them is not for training
        clip(tmp_path, name, [(200, 10, 10), (10, 200, 10)])
    folder = DataFolder(tmp_path)
    first = sky_clips(folder, 2)
    assert first.source == "davis" and first.names == ("bear", "bmx-bumps") and not first.missing
    array = first.arrays[0]
    assert array.shape == (2, SIDE, SIDE, 3) and (array[1] == (10, 200, 10)).all()
    with pytest.warns(UserWarning, match=r"lacks 56 of 60 clips \(boxing-fisheye, .*\): the others are played"):
        every = sky_clips(folder, 60)
    assert every.names == ("bear", "bmx-bumps", "boat", "walking") and len(every.missing) == 56
    row = next(row for row in examine(tmp_path).rows if row.what == "DAVIS")
    assert row.ok and row.value == "4 of 60 training clips"


def test_clips_of_ones_own_come_by_name(tmp_path: Path) -> None:
    for name in ("street", "lawn", "yard"):
        clip(tmp_path, name, [(90, 90, 90)], ".jpg")
    assert sky_clips(DataFolder(tmp_path), 2).names == ("lawn", "street")


def test_the_sky_shows_the_folders_clip(tmp_path: Path) -> None:
    clip(tmp_path, "bear", [(250, 0, 0), (0, 250, 0), (0, 0, 250)])
    clip(tmp_path, "bmx-bumps", [(250, 0, 0), (0, 250, 0), (0, 0, 250)])
    config = {"data": str(tmp_path), "action_repeat": 2}
    frames = seen("dmc/ball_in_cup_catch", "distracting_cs_background:0.05", 12, **config)[:, :, 2, 2]
    assert set(frames.argmax(1).tolist()) == {0, 1, 2} and (frames.max(1) > 240).all() and (frames.min(1) < 5).all()
    with closing(made("dmc/cartpole_balance", "distracting_cs:0.05", **config)) as env:
        told = env.provenance
    assert (told["clips"], told["num_clips"], told["camera_intensity"], told["color_period"]) == ("davis", 2, 0.05, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with closing(made("dmc/cartpole_balance", "distracting_cs_background:0.05")) as env:
            assert env.provenance["clips"] == "procedural"


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = EnvConfig.parse("dmc/walker_walk", data=str(tmp_path))
    (tmp_path / "DAVIS").mkdir()
    with pytest.raises(UserError, match=r"has no folder JPEGImages/480p: unpack DAVIS-2017-trainval-480p\.zip in"):
        check_data(config, ["distracting_cs:0.1"])
    (tmp_path / "DAVIS" / "JPEGImages" / "480p" / "bear").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds no clip, a folder of pictures \(.jpg, .jpeg, .png\); unpack"):
        check_data(config, ["distracting_cs_background:0.1"])
    check_data(config, ["distracting_cs_camera:0.1", "train"])
    words = ["train", "sac", "dmc/walker_walk@distracting_cs:0.1", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main([*words, "--data", str(tmp_path)]) == 2 and not (tmp_path / "run").exists()
    assert "holds no clip" in capsys.readouterr().err
    clip(tmp_path, "walking", [(1, 2, 3)])
    with pytest.raises(UserError, match=r"holds none of the 4 clips that this mode plays \(bear, bmx-bumps, boat"):
        check_data(config, ["distracting_cs:0.1"])
    assert clip_names(tmp_path / "DAVIS" / "JPEGImages" / "480p") == ["walking"] and TRAINING_CLIPS[-1] == "walking"
    (tmp_path / "DAVIS" / "JPEGImages" / "480p" / "bear" / "00000.jpg").write_bytes(b"no picture")
    clips = sky_clips(DataFolder(tmp_path), 1)
    with pytest.raises(UserError, match=r"bear/00000.jpg cannot be read .* remove the folder of its clip"):
        clips.arrays[0]


def test_a_folder_of_other_things_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="has no folder DAVIS: generated scenes are used"):
        clips = sky_clips(DataFolder(tmp_path), 60)
    assert clips.source == "procedural" and len(set(clips.names)) == len(clips) == 60
    assert 25 <= len(clips.arrays[0]) <= 100


def test_rows_tell_the_mode() -> None:
    assert mode_text("distracting_cs:0.1+noise:0.1") == "distracting_cs 0.1 with noise 0.1"
