"""The program `saccade`: what it prints and returns, above all for what people get wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from training_cases import newest

import saccade
from saccade.agents import METHODS
from saccade.cli import main
from saccade.cli.commands import COMMANDS
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.envs.workers.env_workers import WorkerError
from saccade.train import assembling
from saccade.train.logs import read_rows
from saccade.types import Continuous
from saccade.viewer.pictures import write_video

TASK = "dmc/cartpole_balance"  # 125 agent steps an episode
FLAGS = {
    "image-size": "16",
    "filters": "4",
    "conv-layers": "2",
    "projection": "8",
    "hidden": "16",
    "batch-size": "4",
    "steps": "20",
    "random-steps": "8",
    "image-count": "8",
    "render-quality": "fast",
    "workers": "0",
    "threads": "1",
    "device": "cpu",
    "evaluate-every": "0",
    "evaluation-modes": "train",
    "evaluation-episodes": "1",
}
SGQN_FLAGS = {**FLAGS, "decoder-filters": "4 4"}


def words_for(flags: dict[str, str]) -> list[str]:
    return [word for name, value in flags.items() for word in (f"--{name}", *value.split())]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Relative paths lie in an empty folder; threads are as before, whatever --threads said."""
    before = torch.get_num_threads()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "200")
    yield
    torch.set_num_threads(before)


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a mistake is answered with: one line, exit code 2, and not a file made or changed."""
    above = Path.cwd().parent
    before = snapshot(above)
    code = main(words)
    out, err = capsys.readouterr()
    assert code == 2
    assert err.startswith("saccade: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert "Traceback" not in out + err
    assert snapshot(above) == before
    return err.strip()


def train_words(method: str = "sac", task: str = TASK, **changes: str) -> list[str]:
    flags = SGQN_FLAGS if method == "sgqn" else FLAGS
    return [
        "train",
        method,
        task,
        *words_for(flags | {name.replace("_", "-"): value for name, value in changes.items()}),
    ]


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["trian"], "train"),
        (["train", "sqgn", TASK], "sgqn"),
        (["train", "SGQN", TASK], "sgqn"),
        (["TRAIN", "sac", TASK], "train"),
        (["train", "sac", "dmc/Walker_Walk"], "dmc/walker_walk"),
        (["train", "sac", f"{TASK}@VIDEO_HARD"], "video_hard"),
        (["train", "sac", "dmc/wolker_walk"], "dmc/walker_walk"),
        (["train", "sac", "cartpole_balance"], "dmc/cartpole_balance"),
        (["train", "sac", f"{TASK}@vidoe_hard"], "video_hard"),
        (["train", "sac", TASK, "--evaluation-modes", "train", "color_esy"], "color_easy"),
        (["train", "sac", TASK, "--preset", "smal"], "small"),
        (["list", "--preset", "sodda"], "soda"),
        (["list", "--preset", "sgqn", "--task", "dmc/fingr_spin"], "dmc/finger_spin"),
    ],
    ids=" ".join,
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refusal(capsys, *words)
    assert nearest in sentence and words[-1].partition("@")[2] in sentence


def test_a_name_like_no_other_is_answered_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert name in refusal(capsys, "xyzzy")
    for name in METHODS:
        assert name in refusal(capsys, "train", "xyzzy", TASK)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "sgqn", TASK, "--quantil", "0.9"],
        ["train", "--resume", "run", "--stpes", "4"],
        ["evaluate", "run", "--epsiodes", "3"],
        ["list", "--prest", "sac"],
    ],
    ids=" ".join,
)
def test_an_unknown_flag_is_answered_with_the_nearest_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refusal(capsys, *words)
    meant = {"--quantil": "--quantile", "--stpes": "--steps", "--epsiodes": "--episodes", "--prest": "--preset"}
    flag = next(word for word in words if word in meant)
    assert f"has no option {flag}: did you mean {meant[flag]}" in sentence
    assert list(Path.cwd().iterdir()) == []


NEEDED = {"train": ["sac", TASK], "export": ["run"], "bench": ["run", "sgqn-table-6"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_a_flag_like_no_other_and_a_word_too_many(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refusal(capsys, command, *NEEDED.get(command, []), "--xyzzy=3")
    assert f"`saccade {command}" in sentence and "has no option --xyzzy: `saccade" in sentence and "--help`" in sentence
    if command in ("train", "export", "bench", "list", "doctor"):  # the others take as many policies as one likes
        assert "has no use for 'xyzzy'" in refusal(capsys, command, *NEEDED.get(command, []), "xyzzy")
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_is_answered_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "`saccade bench show NAME`" in refusal(capsys, "bench", "run", "sgqn-table-6", "--dry-run")


# --- numbers, devices, folders ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("steps", "-5", "--steps -5 is too small: it must be at least 1."),
        ("seed", "-1", "--seed -1 is too small: it must be at least 0."),
        ("seed", "10000000", "--seed 10000000 is too large: it must be at most"),
        ("envs", "3", "--steps 20 is not a multiple of --envs 3"),
        ("envs", "0", "--envs 0 is too small"),
        ("workers", "-1", "--workers -1 is too small"),
        ("evaluation-episodes", "0", "--evaluation-episodes 0 is too small"),
        ("batch-size", "0", "--batch-size 0 is out of range: it must be from 1 to 2147483647."),
        ("critic-lr", "-1e-3", "--critic-lr -0.001 is out of range: it must be at least 0."),
        ("discount", "1.5", "--discount 1.5 is out of range: it must be from 0 to 1."),
        ("discount", "nan", "--discount nan is out of range"),
        ("quantile", "1.5", "--quantile 1.5 is out of range: it must be from 0 to 1."),
        ("quantile", "1", "--quantile 1.0 hides all or nothing"),
        ("image-size", "18", "sgqn decodes pictures, so --image-size must be a multiple of 4, and 18 is not: use 16"),
        ("image-size", "2000", "image_size is 2000, but must be a whole number from 1 to 1024"),
        ("action-space", "xyz", "--action-space is an option of manipulation, and"),
        ("reach_bonus", "x", "--reach-bonus is an option of manipulation, and"),
        ("image-size", "-4", "image_size is -4"),
        ("conv-layers", "9", "9 convolutions leave nothing of a 16-pixel image: use at most 4 layers"),
        ("frame-stack", "0", "frame_stack is 0"),
        ("action-repeat", "0", "action_repeat is 0"),
        ("replay-capacity", "90000000000", "lower --replay-capacity to"),
        ("device", "gpu", "--device gpu is not a device: use auto, cpu, cuda or cuda:0."),
        ("device", "cuda:99", "--device cuda:99 was asked for, but PyTorch sees"),
        ("images", "nowhere", "nowhere' does not exist"),
        ("data", "nowhere", "data folder 'nowhere' does not exist"),
    ],
    ids=lambda value: value.split(":")[0][:24],
)
def test_a_value_that_cannot_be_is_one_sentence_and_leaves_no_run(
    flag: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refusal(capsys, *train_words("sgqn", **{flag: value}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "PyTorch sees 0 GPUs. Use --device cpu." in refusal(capsys, *train_words(device="cuda"))


def test_a_run_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("kept")
    for out in ("file/run", "/dev/null/run"):
        assert f"{out} cannot be written" in refusal(capsys, *train_words(out=out))
    assert "file exists already" in refusal(capsys, *train_words(out="file"))


def test_a_command_without_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert "A method and a task are needed" in refusal(capsys, "train")
    assert "A method and a task are needed" in refusal(capsys, "train", "sac", "--steps", "4")
    assert "A run folder is needed" in refusal(capsys, "evaluate")
    assert "--episodes 0 is too small" in refusal(capsys, "evaluate", "run", "--episodes", "0")


# --- data and pictures ------------------------------------------------------------------------------


def show_warnings() -> Any:
    """Tests make warnings errors; people see them."""
    context = warnings.catch_warnings()
    context.__enter__()
    warnings.simplefilter("default")
    return context


def folder_of_images(*good: str, bad: tuple[str, ...] = ()) -> Path:
    folder = Path("images")
    folder.mkdir()
    for number, name in enumerate(good):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    for name in bad:
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return folder


def test_images_that_cannot_be_read_are_named_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_images("a.png", "b.png", "c.png", "d.png", bad=("broken.png",))
    context = show_warnings()
    try:
        code = main(train_words("sgqn", images=str(folder), out="run"))
    finally:
        context.__exit__(None, None, None)
    told = [line for line in capsys.readouterr().err.splitlines() if "broken.png" in line]
    assert code == 0 and len(told) == 1
    assert told[0].startswith(f"saccade: warning: 1 of 5 images in {folder.absolute()} cannot be used: broken.png (")
    assert told[0].endswith("they are skipped")


def test_fewer_images_than_a_batch_overlays(capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_images("a.png", "b.png", "c.png")
    sentence = refusal(capsys, *train_words("sgqn", images=str(folder), out="run"))
    assert "3 pictures are too few to overlay a batch of 4" in sentence and "--images" in sentence
    assert not Path("run").exists()


def test_images_none_of_which_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_images(bad=("broken.png", "worse.jpg"))
    sentence = refusal(capsys, *train_words("sgqn", images=str(folder)))
    assert "broken.png" in sentence and "worse.jpg" in sentence and "give a folder with images" in sentence
    assert "images/worse.jpg' is not a folder" in refusal(capsys, *train_words("sgqn", images="images/worse.jpg"))


def data_folder(*good: str, bad: tuple[str, ...] = ()) -> Path:
    clips = Path("data/video_hard")
    clips.mkdir(parents=True)
    for number, name in enumerate(good):
        frames = np.random.default_rng(number).integers(0, 256, (12, 32, 32, 3), np.uint8)
        write_video(clips / name, frames, 25.0)
    for name in bad:
        (clips / name).write_bytes(b"no video")
    return clips.parent


@pytest.mark.parametrize("workers", ["0", "1"])
def test_clips_that_cannot_be_read_are_named_and_skipped(workers: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = data_folder("mine.mp4", bad=("broken.mp4",))
    context = show_warnings()
    try:
        code = main(train_words(task=f"{TASK}@video_hard", data=str(folder), out="run", workers=workers))
    finally:
        context.__exit__(None, None, None)
    told = [line for line in capfd.readouterr().err.splitlines() if "broken.mp4" in line]
    assert code == 0 and told
    assert all(line.startswith("saccade: warning: video_hard: broken.mp4 skipped: it cannot be read") for line in told)
    row = read_rows(Path("run/evaluations.jsonl"))[-1]
    assert row["mode"] == "train" and row["gap"] == 0


def test_a_data_folder_with_nothing_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert "'empty' holds none of color_easy.pt" in refusal(capsys, *train_words(data="empty"))
    folder = data_folder(bad=("broken.mp4",))
    before = snapshot(Path.cwd())
    context = show_warnings()
    try:
        code = main(train_words(task=f"{TASK}@video_hard", data=str(folder)))
    finally:
        context.__exit__(None, None, None)
    warned, refused = capsys.readouterr().err.splitlines()
    assert code == 2 and "broken.mp4 skipped" in warned
    assert refused.startswith("saccade: none of the 1 clips in ") and snapshot(Path.cwd()) == before


# --- runs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    with warnings.catch_warnings():
        assert main([*train_words("sac", steps="24", checkpoint_every="12"), "--video", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(finished: Path) -> Path:
    """A copy of a finished run that the test may spoil, in the working folder."""
    shutil.copytree(finished, "run")
    return Path("run")


def test_what_is_no_run_is_not_continued_or_evaluated(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ruin").mkdir()
    for words in (["train", "--resume", "ruin"], ["evaluate", "ruin"], ["train", "--resume", "nowhere/run"]):
        sentence = refusal(capsys, *words)
        assert "is not a run folder: it has no config.json" in sentence
        assert ("Did you mean run?" in sentence) == (words[-1] == "ruin")
    (run / "config.json").write_text("{")
    assert "config.json is damaged" in refusal(capsys, "evaluate", "run")
    (run / "config.json").write_text('{"method": "dreamer"}')
    assert "The run's method 'dreamer' is not known here" in refusal(capsys, "train", "--resume", "run")


def test_a_run_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refusal(capsys, *train_words(out="run"))
    assert "run exists already" in sentence and "saccade train --resume run" in sentence


def test_a_damaged_checkpoint_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for weights in run.glob("checkpoints/step_*/networks.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1])
    for words in (["evaluate", "run"], ["train", "--resume", "run", "--steps", "40"]):
        sentence = refusal(capsys, *words)
        assert "networks.safetensors is damaged" in sentence and "No undamaged checkpoint is left" in sentence


def test_a_checkpoint_of_another_method_or_format_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads((run / "config.json").read_text())
    values["agent"]["architecture"]["filters"] = 5
    (run / "config.json").write_text(json.dumps(values))
    assert "belong to another method, size or version" in refusal(capsys, "evaluate", "run")
    del values["agent"]["discount"]
    (run / "config.json").write_text(json.dumps(values))
    assert "differ in discount" in refusal(capsys, "evaluate", "run")


def test_train_evaluate_and_train_further(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads((run / "result.json").read_text())["env_steps"] == 24
    assert {"config.json", "env.json", "metrics.jsonl", "tensorboard"} <= {path.name for path in run.iterdir()}
    assert json.loads((run / "env.json").read_text())["versions"]["torch"] == torch.__version__
    before = read_rows(run / "evaluations.jsonl")
    words = ["--modes", "train", "color_hard", "--episodes", "1", "--workers", "0", "--device", "cpu"]
    assert main(["evaluate", "run", *words, "--video"]) == 0
    out = capsys.readouterr().out
    rows = read_rows(run / "evaluations.jsonl")
    assert rows[: len(before)] == before and [row["mode"] for row in rows[len(before) :]] == ["train", "color_hard"]
    # The same episode as at the end of training: the same agent, in the same mode.
    assert rows[-2]["env_steps"] == 24 and rows[-2]["returns"] == before[-1]["returns"]
    words_of_lines = [line.split() for line in out.splitlines()]
    header = next(line for line in words_of_lines if line[:1] == ["method"])
    line = next(line for line in words_of_lines if line[:1] == ["sac"])
    plain, colored, gap = (f"{value:.0f}" for value in (*(row["return_mean"] for row in rows[-2:]), rows[-1]["gap"]))
    assert TASK in out and header == ["method", "step", "train", "color_hard", "gap"]
    assert line == ["sac", "24", plain, "±", "0", colored, "±", "0", gap]
    assert "fast rendering, 16 px, action repeat 8" in out and "color_hard: 100 " in out

    assert main(["train", "--resume", "run", "--steps", "36"]) == 0
    assert newest(run).name == "step_000000036"
    assert json.loads((run / "result.json").read_text())["updates"] == 36
    assert read_rows(run / "evaluations.jsonl")[: len(rows)] == rows
    assert "--steps 30 is less than the 36" in refusal(capsys, "train", "--resume", "run", "--steps", "30")


def test_videos_of_evaluations(finished: Path) -> None:
    import av

    path = finished / "videos" / "000000024_train.mp4"
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 125 and frames[0].shape == (256, 256, 3)  # of 16 x 16 pixels


def test_several_runs_are_told_apart_with_a_mean_over_seeds(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed, batch in (("second", 1, 4), ("third", 0, 5)):
        shutil.copytree(run, name)
        values = json.loads((Path(name) / "config.json").read_text())
        values["training"]["seed"], values["agent"]["batch_size"] = seed, batch
        (Path(name) / "config.json").write_text(json.dumps(values))
    words = ["--modes", "train", "--episodes", "1", "--workers", "0", "--device", "cpu"]
    assert main(["evaluate", "run", "second", "third", *words]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["run", "method", "seed", "differs", "step", "train", "gap"] in lines
    told = {line[0]: line[1:6] for line in lines if line[:1] in (["run"], ["second"], ["third"]) and "sac" in line}
    assert told["run"][:4] == ["sac", "0", "batch_size", "4"] and told["second"][:4] == ["sac", "1", "batch_size", "4"]
    assert told["third"][:4] == ["sac", "0", "batch_size", "5"]
    # Those of the same batch size alone.
    assert [line[:8] for line in lines if line[:1] == ["mean"] and "seeds" in line] == [
        ["mean", "of", "2", "seeds", "sac", "batch_size", "4", "24"]
    ]


def test_training_in_a_test_mode_is_said_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train_words("sac", f"{TASK}@color_hard", steps="8", random_steps="8", out="tested")) == 0
    assert "This run is trained in color_hard, a mode that is meant for tests" in capsys.readouterr().out
    assert main(train_words("sac", steps="8", random_steps="8", out="trained")) == 0
    assert "meant for tests" not in capsys.readouterr().out


def test_a_folder_without_a_name_is_named_after_the_run() -> None:
    assert main(train_words("sac", steps="8", random_steps="8", seed="7")) == 0
    assert [path.name for path in Path("runs/dmc-cartpole_balance/sac").iterdir()] == ["7"]


def test_a_nan_ends_with_code_1_and_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reward, expected in (
        (float("nan"), "Environment 0 gave the reward nan"),
        (1e30, "Update 0: phase critic, term bellman became inf."),
    ):
        monkeypatch.setattr(PixelEnv, "advance", lambda env, action, reward=reward: reward)
        assert main(train_words(out=f"run{reward}")) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"saccade: {expected}") and err.count("\n") == 1


def test_a_broken_environment_is_reported_with_its_own_trace_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*arguments: Any, **options: Any) -> None:
        raise WorkerError("environment worker 0 raised an exception:\n\nZeroDivisionError: the pole fell off\n")

    monkeypatch.setattr(assembling, "EnvWorkers", break_down)
    assert main(train_words(out="run")) == 1
    assert capsys.readouterr().err == (
        "saccade: environment worker 0 raised an exception:\n\nZeroDivisionError: the pole fell off\n\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_goes_on(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    """As a terminal sends Ctrl-C, or a batch system its notice: to every process, the environments' too."""
    words = train_words(steps="1000000", replay_capacity="1000", workers="1", log_every="1", out="run")
    process = subprocess.Popen(
        [sys.executable, "-m", "saccade.cli", *words],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(saccade.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not any("critic/bellman" in row for row in read_rows(Path("run/metrics.jsonl"))):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == ""
    assert "Saving and leaving" in out and "Continue with: saccade train --resume run" in out
    steps = json.loads((newest(Path("run")) / "counters.json").read_text())["env_steps"]
    assert steps >= 8
    assert main(["train", "--resume", "run", "--steps", str(steps + 4)]) == 0
    assert json.loads(Path("run/result.json").read_text())["env_steps"] == steps + 4


# --- what there is ----------------------------------------------------------------------------------


def test_list_names_every_method_task_and_mode(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in (*METHODS, "train", "color_easy", "video_hard", "dmc/walker_walk (4)", "humanoid_CMU: stand walk run"):
        assert name in out


@pytest.mark.parametrize("method", METHODS)
def test_list_shows_every_setting_of_a_method(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--preset", method]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line[:2] == "--"}
    if Continuous not in METHODS[method].actions:  # on a grid, whose pictures have 8 pixels a cell
        assert rows["--image-size"][0] == "64" and ("--quantile" in rows) == (method != "dqn")
        assert ("--update-every" in rows) == (METHODS[method].loop == "off_policy")
        return
    if METHODS[method].taught:  # who is told what to do has no reward to discount
        assert rows["--image-size"][:2] == ["84", "40"] and "--discount" not in rows
        assert "--distillation-weight" in rows and "--update-every" in rows
        return
    source = "DMControl-GB" if METHODS[method].loop == "off_policy" else "OpenAI's Baselines for Atari"
    assert rows["--image-size"] == ["84", "40", *source.split()] and rows["--discount"] == ["0.99", *source.split()]
    assert rows["--steps"][0] == "500000"
    assert rows["--action-repeat"][0] == ("2" if method in ("scpl", "sada") else "4")  # of walker_walk
    assert ("--quantile" in rows) == (METHODS[method].config.__class__.__name__ in ("SGQN", "SCPL"))


def test_list_shows_what_differs_between_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    for task, quantile in (("dmc/walker_walk", "0.95"), ("dmc/cartpole_swingup", "0.98")):
        main(["list", "--preset", "sgqn", "--task", task])
        assert f"--quantile {quantile}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]], ids=str)
def test_the_program_says_what_it_can_do(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"saccade {name}" in out and command.summary in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == saccade.__version__


def test_doctor_tells_what_the_machine_has(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])
    out = capsys.readouterr().out
    assert torch.__version__ in out and "renderer" in out.lower()
    assert code == (0 if "Nothing is wrong." in out else 1)
