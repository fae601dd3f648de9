"""What a wrong environment gets: one sentence that names the value, what is allowed, and what to do."""

from __future__ import annotations

import ctypes.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from saccade.envs import register
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco import opengl
from saccade.envs.suites import TASKS
from saccade.envs.tasks.dmc_suite import DMC_TASKS
from saccade.envs.tasks.manipulation_suite import RobotOptions
from saccade.types import UserError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"task": "dmc/walker_wlak"}, "dmc/walker_walk"),
        ({"task": "walker_walk"}, "dmc/walker_walk"),
        ({"task": "dmc/walkerwalk"}, "dmc/walker_walk"),
        ({"task": "???"}, "`saccade list` shows all"),
        ({"task": "dmc/walker_walk@train"}, "EnvConfig.parse"),
        ({"mode": "video_hrad"}, "video_hard"),
        ({"mode": "colour_easy"}, "color_easy"),
        ({"mode": "zzz"}, "train, color_easy, color_hard, video_easy, video_hard"),
        ({"image_size": False}, "whole number from 1 to 1024"),
        ({"image_size": -84}, "whole number from 1 to 1024"),
        ({"image_size": 84.0}, "whole number from 1 to 1024"),
        ({"image_size": True}, "whole number from 1 to 1024"),
        ({"image_size": 10**6}, "whole number from 1 to 1024"),
        ({"frame_stack": 0}, "whole number from 1"),
        ({"frame_stack": "3"}, "whole number from 1"),
        ({"action_repeat": 0}, "whole number from 1"),
        ({"action_repeat": 2.5}, "whole number from 1"),
        ({"mode": "test1"}, "dmc/walker_walk has no mode 'test1'; the choices are train, color_easy, color_hard"),
        ({"mode": "video_hard", "task": "manipulation/reach"}, "the choices are train, test1, test2, test3, test4"),
        ({"mode": "test6", "task": "manipulation/reach"}, "test5"),
        ({"mode": "tset1", "task": "manipulation/peg_in_box"}, "test1"),
        ({"task": "manipulation/reech"}, "manipulation/reach"),
        ({"task": "manipulation/push"}, "manipulation/reach"),
        ({"options": {"render_quality": "fast"}}, "must be ControlOptions"),
        ({"options": RobotOptions()}, "must be ControlOptions"),
        ({"action_repeat": 51, "task": "manipulation/reach"}, "from 1 to 50"),
    ],
)
def test_a_wrong_field(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        EnvConfig(**({"task": "dmc/walker_walk"} | fields))
    message = str(caught.value)
    assert told in message
    assert repr(next(iter(fields.values()))) in message
    assert "\n" not in message


def test_without_an_image_size_a_picture_has_the_suites_usual_one() -> None:
    for task, usual in (("dmc/walker_walk", 84), ("minigrid/DoorKey-5x5", 40), ("minigrid/RedBlueDoors-8x8", 128)):
        assert EnvConfig(task).image_size == EnvConfig(task, image_size=0).image_size == usual


@pytest.mark.parametrize(
    ("task", "name", "value", "told"),
    [
        ("dmc/walker_walk", "render_quality", "fasst", "the nearest: fast"),
        ("dmc/walker_walk", "clip_order", "sequence", "the nearest: sequential"),
        ("dmc/walker_walk", "camera", 0, "camera is 0, but must be str or NoneType"),
        ("manipulation/reach", "action_space", "xyzw", "xyz"),
        ("manipulation/reach", "reach_bonus", 1, "reach_bonus is 1, but must be bool"),
        (
            "dmc/walker_walk",
            "action_space",
            "xyz",
            "of manipulation, but dmc/walker_walk is of dmc, which has",
        ),
        ("dmc/walker_walk", "reach_bonus", False, "which has render_quality, camera, clip_order, data"),
        (
            "manipulation/peg_in_box",
            "reach_bonus",
            False,
            "reach alone; leave it out for manipulation/peg",
        ),
        ("dmc/walker_walk", "cammera", "1", "there is no option 'cammera' of dmc/walker_walk; did you mean camera?"),
    ],
)
def test_a_wrong_option(task: str, name: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as caught:
        EnvConfig.parse(task, **{name: value})
    assert told in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)


def test_another_task_keeps_the_options_that_it_has() -> None:
    own = EnvConfig.parse("manipulation/reach", render_quality="fast", action_space="xyz", frame_stack=2)
    other = own.changed(task="dmc/walker_walk", camera="back")
    assert other == EnvConfig.parse("dmc/walker_walk", render_quality="fast", camera="back", frame_stack=2)
    assert own.option("action_space") == "xyz" and other.option("action_space", "none") == "none"


def test_a_task_id_with_two_modes() -> None:
    assert EnvConfig.parse("dmc/walker_walk", mode="train") == EnvConfig.parse("dmc/walker_walk@train")
    with pytest.raises(UserError, match="one of them"):
        EnvConfig.parse("dmc/walker_walk@train", mode="video_easy")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(UserError, match=f"seed is {seed}"):
        make_env(EnvConfig.parse("dmc/walker_walk", image_size=32, render_quality="fast"), seed)


def test_a_data_folder_that_is_not_there() -> None:
    with pytest.raises(UserError, match="/nowhere"):
        make_env(EnvConfig.parse("dmc/walker_walk", mode="color_easy", image_size=32, data="/nowhere"))


def test_another_pair_of_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "VERSIONS", {"dm-control": "1.0.41", "mujoco": "0.0.1"})
    with pytest.raises(UserError, match=r"mujoco 3.8.1 is installed.*pip install .*mujoco==0.0.1"):
        opengl.check_versions()
    monkeypatch.setattr(opengl, "VERSIONS", {"no-such-simulator": "1.0"})
    with pytest.raises(UserError, match=r"no-such-simulator \(missing\)"):
        opengl.check_versions()


@pytest.mark.parametrize(
    ("display", "device", "libraries", "expected"),
    [
        ("open", "nvidia0", {"EGL", "EGL_nvidia", "OSMesa"}, "egl"),
        ("", "nvidia3", {"EGL", "EGL_nvidia", "OSMesa"}, "egl"),
        ("open", "nvidiactl", {"EGL", "EGL_nvidia", "OSMesa"}, "glfw"),  # no GPU was given to the container
        ("open", "nvidia0", {"EGL", "GL", "OSMesa"}, "glfw"),  # a GPU without its graphics driver
        ("stale", "nvidia0", {"EGL", "GL", "OSMesa"}, "osmesa"),
        ("open", None, {"EGL", "GL", "OSMesa"}, "glfw"),
        ("stale", None, {"EGL", "GL", "OSMesa"}, "osmesa"),
        ("stale", None, {"EGL", "GL"}, "egl"),
        ("", None, {"EGL", "GL"}, "egl"),
        ("stale", None, {"EGL"}, "the display stale cannot be opened, there is no NVIDIA GPU, OSMesa is not installed"),
        ("", "nvidia3", {"EGL"}, "there is no display, the NVIDIA GPU has no EGL library.*NVIDIA_DRIVER_CAPABILITIES"),
        ("", None, set(), "there is no display, there is no NVIDIA GPU, OSMesa is not installed"),
    ],
)
def test_choice_of_opengl(
    bare_opengl: pytest.MonkeyPatch,
    display: str,
    device: str | None,
    libraries: set[str],
    expected: str,
    tmp_path: Path,
) -> None:
    bare_opengl.setenv("DISPLAY", display)
    bare_opengl.setattr(opengl, "DEVICES", tmp_path)
    if device is not None:
        (tmp_path / device).touch()
    bare_opengl.setattr("ctypes.util.find_library", lambda name: name if name in libraries else None)
    if display == "open":
        bare_opengl.setattr(opengl, "_display_opens", lambda: True)
    if expected not in opengl.BACKENDS:
        with pytest.raises(UserError, match=rf"\({expected}.*apt-get install -y libosmesa6"):
            opengl.choose_backend()
        return
    assert opengl.choose_backend() == expected == os.environ["MUJOCO_GL"]
    assert os.environ.get("PYOPENGL_PLATFORM") == (None if expected == "glfw" else expected)
    assert opengl.choose_backend() == expected


@pytest.fixture
def bare_opengl(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which nothing was chosen yet."""
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", opengl.VENDOR_VARIABLE, "LD_LIBRARY_PATH", "DISPLAY"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.skipif(ctypes.util.find_library("X11") is None, reason="no library that opens displays")
def test_a_display_that_was_left_over_is_none(bare_opengl: pytest.MonkeyPatch) -> None:
    bare_opengl.setenv("DISPLAY", ":987")
    assert not opengl._display_opens()


@pytest.mark.parametrize(("known", "given", "named"), [(False, None, True), (True, None, False), (False, "own", False)])
def test_a_driver_that_a_container_has_elsewhere_is_shown_to_egl(
    bare_opengl: pytest.MonkeyPatch, known: bool, given: str | None, named: bool, tmp_path: Path
) -> None:
    """Its library below LD_LIBRARY_PATH, its vendor file where EGL does not look."""
    for name in ("nvidia3", "libEGL_nvidia.so.0", "libEGL.so.1", "10_nvidia.json", "folder/50_mesa.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    if known:
        (tmp_path / "folder" / "10_nvidia.json").touch()
    bare_opengl.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    bare_opengl.setattr("ctypes.util.find_library", lambda name: None)
    bare_opengl.setattr(opengl, "DEVICES", tmp_path)
    bare_opengl.setattr(opengl, "VENDOR_FOLDERS", (str(tmp_path / "folder"),))
    bare_opengl.setattr(opengl, "CONTAINER_VENDOR_FILE", str(tmp_path / "10_nvidia.json"))
    if given is not None:
        bare_opengl.setenv(opengl.VENDOR_VARIABLE, given)
    assert opengl.choose_backend() == "egl" and opengl.has_nvidia_egl()
    expected = str(tmp_path / "10_nvidia.json") if named else given
    assert os.environ.get(opengl.VENDOR_VARIABLE) == expected


@pytest.mark.parametrize(
    ("backend", "device", "libraries", "said"),
    [
        ("egl", "nvidia0", {"EGL"}, "libnvidia-gl of the driver's version.*MUJOCO_GL=osmesa"),
        ("egl", "nvidia0", {"EGL_nvidia"}, "run `apt-get install -y libegl1 .* or set MUJOCO_GL=osmesa"),
        ("egl", "nvidia0", set(), "apt-get install -y libegl1.* and give the GPU's driver its EGL library"),
        ("egl", "nvidia0", {"EGL", "EGL_nvidia"}, "egl_vendor.d needs its 10_nvidia.json"),
        ("egl", None, {"EGL"}, "no NVIDIA GPU here: leave MUJOCO_GL unset"),
        ("osmesa", None, {"EGL"}, "its library is missing: run `apt-get install -y libosmesa6`"),
        ("glfw", None, {"EGL"}, "there is no display: leave MUJOCO_GL unset"),
        ("wgl", None, set(), "set it to one of glfw, egl, osmesa"),
    ],
)
def test_an_opengl_that_does_not_start_says_what_helps_here(
    bare_opengl: pytest.MonkeyPatch, backend: str, device: str | None, libraries: set[str], said: str, tmp_path: Path
) -> None:
    bare_opengl.setattr(opengl, "DEVICES", tmp_path)
    if device is not None:
        (tmp_path / device).touch()
    bare_opengl.setattr("ctypes.util.find_library", lambda name: name if name in libraries else None)
    error = opengl.no_opengl(backend, OSError("no such device"))
    assert re.search(rf"^the OpenGL backend '{backend}' does not start \(no such device\); .*{said}", str(error))


def test_contradicting_settings_of_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")
    with pytest.raises(UserError, match="PYOPENGL_PLATFORM"):
        opengl.choose_backend()


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        env=variables | environment,
    )


@pytest.mark.parametrize("backend", ["off", "nonsense"])
def test_an_opengl_that_does_not_start(backend: str) -> None:
    program = """
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.types import UserError
try:
    make_env(EnvConfig("dmc/walker_walk"))
except UserError as error:
    print(error)
"""
    done = run(program, MUJOCO_GL=backend)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"'{backend}' does not start" in done.stdout
    assert "leave MUJOCO_GL unset, or set it to one of glfw, egl, osmesa" in done.stdout


def test_names_cost_no_simulator_and_are_the_suites() -> None:
    program = """
import sys
import saccade.envs
saccade.envs.register()
saccade.envs.register()
import gymnasium
from saccade.envs.config import EnvConfig
EnvConfig("dmc/walker_walk", mode="video_hard")
EnvConfig("manipulation/reach", mode="test1")
heavy = {"torch", "mujoco", "dm_control", "av", "matplotlib", "OpenGL", "PIL"} & set(sys.modules)
assert not heavy, heavy
from dm_control import suite
for domain, task in suite.ALL_TASKS:
    print(f"dmc/{domain}_{task}")
"""
    done = run(program, MUJOCO_GL="off")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(DMC_TASKS)


def test_every_task_is_registered_with_gymnasium() -> None:
    register()
    known = {task for task in TASKS if task in gymnasium.registry}
    versions = set(TASKS) - known  # beside a task of the same name without a version Gymnasium takes none with one
    assert {gymnasium.spec(task).id for task in known} == known and len(known) > 100
    assert {re.sub(r"-v\d$", "", task) for task in versions} <= known and not versions & known
    assert versions == {task for task in TASKS if re.search(r"-v\d$", task)} and versions
    with pytest.raises(UserError, match="video_hard"):
        gymnasium.make("dmc/walker_walk", mode="video_hrad")


def test_gl_renderer_names_what_draws() -> None:
    assert opengl.gl_renderer().strip()
