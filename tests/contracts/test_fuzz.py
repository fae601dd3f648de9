"""Words that nobody foresaw on the command line, and files that were altered anywhere: an answer, or one sentence.

The same examples every time. ``SACCADE_FUZZ=10`` tries ten times as many.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_explanations import write_folder
from foreign_policies import CASES, trained
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from training_cases import ignore, never, noise_config, without_simulator

from saccade.cli import BAD_INPUT, evaluate_command, explaining, main
from saccade.cli.commands import COMMANDS
from saccade.data.banks.colors import load_colors
from saccade.data.banks.textures import read_texture
from saccade.data.checkpoints import newest_checkpoint
from saccade.data.pictures import UnusableError, read_picture
from saccade.envs.suites import SUITES
from saccade.policies.load import load_any
from saccade.train import session
from saccade.types import UserError
from saccade.viewer.recorded_maps import read_maps
from saccade.viewer.recordings import read_explanation

MORE = int(os.environ.get("SACCADE_FUZZ", "1"))
RARELY_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]


def examples(number: int) -> Callable[[Any], Any]:
    """So many examples, the same in every run."""
    return settings(
        max_examples=number * MORE,
        derandomize=True,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=RARELY_SLOW,
    )


FAILED_TO_SAY = -1


class Begun(Exception):
    """The command line was understood, and long work would begin here."""


def begins(*_: object, **__: object) -> Any:
    raise Begun


# --- the command line ---------------------------------------------------------------------------------

VALUES = (
    "", " ", "-", "--", "-1", "0", "1", "2", "0.5", "-0.0", "1e5", "1e400", "nan", "inf", "-inf", "0x10", "1_000",
    "٣", "99999999999999999999", "1,2", "1;2", "none", "None", "true", "on", "auto", "all", "train", "video_hard",
    "paper", "small", "sgqn", "ppo", "SAC", "dmc/walker_walk", "dmc/walker_walk@video_hard", "dmc/", "/",
    "minigrid/red_fetch_green", "minigrid/nothing", "manipulation/reach", "gradient", "rise", "logit", "logit:1",
    "value", "q:0", "rgb", "rgb,depth", "cpu", "cuda:7", "cuda", "meta", "zoo:", "zoo:none",
    "zoo:ppo-red-fetch-green", "zoo:../x", "run", "empty", "file.txt", "policy.zip", "cut.zip", "frames.npz",
    "frames.npz:obs", "weights.pt", "picture.png", "net.py:Net", "net.py:absent", "net.py:", "absent.py:Net",
    "absent", "absent/deeper", "..", ".", "~", "/dev/null", "/dev/zero", "pipe", "CartPole-v1", "module:Id",
    "a" * 300, "x/" * 200, "[red]", "[/]", "%s{}\\", "é", "\ud800", "a\nb", "\x1b[31m", "*", "=", "--=1",
)  # fmt: skip
OPTION = re.compile(r"--[a-z][a-z-]*")


def options_of(command: str) -> list[str]:
    """Every option that the command's help names, of any method and task."""
    told = io.StringIO()
    words = [command, *(["ppo", "minigrid/red_fetch_green"] if command == "train" else []), "--help"]
    with redirect_stdout(told):
        main(words)
        if command == "train":
            main(["train", "smg", "dmc/walker_walk", "--help"])
    return sorted(set(OPTION.findall(told.getvalue())) - {"--help"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with some of what the words name: a run, a zip, recorded frames, files that are none of these."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patches:
        without_simulator(patches)
        run = noise_config(steps=24, checkpoint_every=12, evaluation_modes=("train",), evaluation_episodes=1)
        assert session.start(run, folder / "run", {"saccade": "0"}, ignore, never) is not None
    trained(CASES["dqn"]).save(folder / "policy.zip")
    (folder / "cut.zip").write_bytes((folder / "policy.zip").read_bytes()[:1000])
    np.savez(folder / "frames.npz", obs=np.zeros((3, 3, 16, 16), np.uint8))
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pt")
    (folder / "net.py").write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    (folder / "file.txt").write_text("x")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "picture.png")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture
def nothing_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in (
        (session, "start"),
        (session, "resume"),
        (evaluate_command, "evaluate"),
        (explaining, "explain"),
        (explaining, "explain_recorded"),
    ):
        monkeypatch.setattr(owner, name, begins)
    monkeypatch.setattr("saccade.cli.doctor_command.examine", begins)
    monkeypatch.setattr("saccade.cli.demo_command.subprocess.Popen", begins)


def answer(words: list[str]) -> tuple[int | None, str]:
    """The exit code of a command, None where long work would have begun, and what it printed."""
    printed, errors = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(errors):
            code = main(words)
    except Begun:
        return None, ""
    except SystemExit as error:  # of the library that parses, which has said why
        said = errors.getvalue().strip()
        return (BAD_INPUT if error.code == BAD_INPUT and said else FAILED_TO_SAY), f"saccade: {said}"
    except Exception as error:
        raise AssertionError(f"saccade {words}") from error
    return code, errors.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", [*COMMANDS])
def test_any_words(command: str, place: Path, nothing_is_played: None) -> None:
    value = st.one_of(st.sampled_from(VALUES), st.text(max_size=8).filter(lambda text: "\0" not in text))
    given_option = st.tuples(st.sampled_from(options_of(command)), st.lists(value, max_size=2)).map(
        lambda x: [x[0], *x[1]]
    )
    positional = st.lists(value, max_size=2)
    if command == "train":
        tasks = [f"{suite}/{row.tasks[0].partition('/')[2]}" for suite, row in SUITES.items()]
        pairs = st.tuples(st.sampled_from(["sgqn", "ppo", "smg", "sac"]), st.sampled_from(tasks)).map(list)
        positional = st.one_of(positional, pairs, pairs)
    elif command in ("explain", "score", "evaluate"):
        positional = st.one_of(positional, st.sampled_from([["run"], ["policy.zip"], ["zoo:ppo-red-fetch-green"]]))

    @examples(60)
    @given(positional, st.lists(given_option, max_size=3))
    def check(first: list[str], others: list[list[str]]) -> None:
        assume("/dev/zero" not in first or command != "train")
        code, errors = answer([command, *first, *(word for option in others for word in option)])
        assert code in (None, 0, 1, 2), code
        said = [line for line in errors.splitlines() if not line.startswith("saccade: warning: ")]
        assert code in (None, 0) or any(line.startswith("saccade: ") for line in said), errors
        assert "Traceback" not in errors

    check()


@pytest.mark.filterwarnings("ignore")
def test_any_command(place: Path, nothing_is_played: None) -> None:
    @examples(100)
    @given(st.lists(st.one_of(st.sampled_from(VALUES), st.text(max_size=6)), max_size=3))
    def check(words: list[str]) -> None:
        assume(not words or words[0] not in COMMANDS)
        code, _ = answer(words)
        assert code in (0, 2)

    check()


# --- files, altered anywhere ---------------------------------------------------------------------------


def altered(content: bytes, draw: Any) -> bytes:
    """Cut, lengthened, or with some bytes or a stretch of it replaced."""
    kind = draw(st.sampled_from(["bytes", "cut", "longer", "stretch", "twice"]))
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    if kind == "cut":
        return content[:place]
    if kind == "longer":
        return content + draw(st.binary(max_size=64))
    if kind == "stretch":
        return content[:place] + draw(st.binary(max_size=32)) + content[place + draw(st.integers(0, 64)) :]
    if kind == "twice":
        return content[:place] + content
    harmed = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        harmed[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(harmed)


def picture(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "a.png"
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)
    return path, lambda: read_picture(path, ("PNG",))


def texture(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "t.jpg"
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)
    return path, lambda: read_texture(path)


def colours(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "color_hard.pt"
    torch.save(
        [{"skybox_rgb": [0.1, 0.2, 0.3], "grid_rgb1": [0.5] * 3, "grid_rgb2": [0.2] * 3, "self_rgb": [1.0] * 3}] * 3,
        path,
    )
    return path, lambda: load_colors(path)


def stored_zip(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "policy.zip"
    shutil.copy("policy.zip", path)
    return path, lambda: load_any(path, device="cpu")


def policy_weights(folder: Path) -> tuple[Path, Callable[[], Any]]:
    """The weights in a zip whose sums fit, so that its archive is no protection."""
    whole, path, made = Path("policy.zip").resolve(), folder / "policy.pth", folder / "made.zip"
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path.write_bytes(members["policy.pth"])

    def read() -> Any:
        with zipfile.ZipFile(made, "w") as archive:
            for name, content in (members | {"policy.pth": path.read_bytes()}).items():
                archive.writestr(name, content)
        return load_any(made, device="cpu")

    return path, read


def checkpoint(folder: Path) -> tuple[Path, Callable[[], Any]]:
    run = folder / "run"
    shutil.copytree("run", run)
    path = next(newest_checkpoint(run / "checkpoints")[0].folder.glob("*.safetensors"))
    return path, lambda: load_any(run, device="cpu")


def maps(folder: Path) -> tuple[Path, Callable[[], Any]]:
    made = write_folder(folder / "explained", modes=("train",), methods=("gradient",))
    return made / "maps" / "train.npz", lambda: read_maps(read_explanation(made), "train")


def explanation(folder: Path) -> tuple[Path, Callable[[], Any]]:
    made = write_folder(folder / "explained", modes=("train",), methods=("gradient",))
    return made / "explanation.json", lambda: read_explanation(made)


def recorded_frames(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "frames.npz"
    shutil.copy("frames.npz", path)
    policy = load_any("run", device="cpu")
    from saccade.explain.recorded import read_recorded

    return path, lambda: read_recorded(path, policy)


FILES = (
    picture, texture, colours, stored_zip, policy_weights, checkpoint, maps, explanation, recorded_frames,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.__name__)
def test_a_file_altered_anywhere(kind: Callable[[Path], Any], place: Path, tmp_path: Path) -> None:
    path, read = kind(tmp_path)
    whole = path.read_bytes()
    read()  # as it is, it can be read

    @examples(60)
    @given(st.data())
    def check(data: Any) -> None:
        path.write_bytes(altered(whole, data.draw))
        try:
            read()
        except (UserError, UnusableError) as error:
            sentence = str(error)
        else:
            return
        assert "\n" not in sentence and 0 < len(sentence) < 2000, sentence

    check()


def test_the_examples_are_the_same_each_time() -> None:
    drawn: list[list[bytes]] = [[]]

    @examples(20)
    @given(st.data())
    def check(data: Any) -> None:
        drawn[-1].append(altered(json.dumps([1, 2, 3]).encode(), data.draw))

    check()
    drawn.append([])
    check()
    assert drawn[0] == drawn[1] and len(set(drawn[0])) > 5
