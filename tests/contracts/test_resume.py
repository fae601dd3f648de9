"""A run that was stopped or killed goes on as if it never had been: the same bits in every tensor and row."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training_cases import (
    after_steps,
    assert_same,
    config,
    final_tensors,
    ignore,
    never,
    newest,
    resume,
    train,
)

from saccade.agents import METHODS
from saccade.policies.run import to_json
from saccade.train import session
from saccade.types import UserError

KILLED_RUN = """
import json, sys
from pathlib import Path
from saccade.policies.run import from_json
from saccade.train import session
config = from_json(json.loads(sys.argv[1]))
session.start(config, Path(sys.argv[2]), {}, lambda event, training: None, lambda: False)
"""


def rows(folder: Path) -> list[dict[str, float]]:
    parsed = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in parsed]


@pytest.mark.parametrize("method", METHODS)
def test_stopped_and_resumed_equals_never_stopped(method: str, tmp_path: Path) -> None:
    whole, parts, run = tmp_path / "whole", tmp_path / "parts", config(method)
    assert train(whole, run) is not None
    # In the first burst of updates, behind a finished episode, and at an odd step.
    watch, stop = after_steps(20, seen=[])
    assert session.start(run, parts, {}, watch, stop) is None
    for moment in (67, 131):
        watch, stop = after_steps(moment, seen=[])
        assert session.resume(parts, None, watch, stop, warn=lambda sentence: None) is None
    assert resume(parts) is not None
    assert_same(final_tensors(parts), final_tensors(whole))
    counters = [json.loads((newest(folder) / "counters.json").read_text()) for folder in (whole, parts)]
    assert counters[0] | {"seconds": 0} == counters[1] | {"seconds": 0}


def test_several_environments_resume_too_whatever_the_workers(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, config("sgqn", envs=2, workers=2))
    watch, stop = after_steps(90, seen=[])
    session.start(config("sgqn", envs=2, workers=0), parts, {}, watch, stop)
    resume(parts)
    assert_same(final_tensors(parts), final_tensors(whole))


def test_killed_at_any_moment_resumes_bit_identically(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", config("sgqn", checkpoint_every=8)
    train(whole, run)
    moments = random.Random(0)
    for attempt in range(3):
        killed = tmp_path / f"killed{attempt}"
        process = subprocess.Popen([sys.executable, "-c", KILLED_RUN, json.dumps(to_json(run)), str(killed)])
        deadline = time.monotonic() + 120
        while not list((killed / "checkpoints").glob("step_*")) and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before its first checkpoint"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not (killed / "result.json").exists():
            resume(killed)
        assert_same(final_tensors(killed), final_tensors(whole))
        assert rows(killed) == rows(whole)


def test_more_steps_continue_a_finished_run(tmp_path: Path) -> None:
    long, short = tmp_path / "long", tmp_path / "short"
    train(long, config("sac", steps=120, replay_capacity=80))
    train(short, config("sac", steps=80, replay_capacity=80))
    resume(short, steps=120)
    assert_same(final_tensors(short), final_tensors(long))
    assert json.loads((short / "result.json").read_text())["env_steps"] == 120
    assert json.loads((short / "config.json").read_text())["training"]["steps"] == 120


def test_a_run_without_a_checkpoint_starts_again(tmp_path: Path) -> None:
    run, folder = config("sac", steps=40), tmp_path / "run"
    (folder).mkdir()
    (folder / "config.json").write_text(json.dumps(to_json(run)))
    (folder / "metrics.jsonl").write_text('{"env_steps": 7, "episode/return": 1.0}\n')
    assert resume(folder) is not None
    assert all(row["env_steps"] != 7 for row in rows(folder))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(folder, config("sac", steps=80))
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "checkpoints").rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_any_damaged_file_is_named_and_the_previous_checkpoint_used(
    damage: str, finished: Path, tmp_path: Path
) -> None:
    import shutil

    last = newest(finished).name
    names = [
        path.relative_to(finished)
        for path in files_of(finished)
        if last in str(path) or path.name.endswith("080.safetensors")
    ]
    assert len(names) >= 8
    for number, name in enumerate(names):
        copy = tmp_path / str(number)
        shutil.copytree(finished, copy)
        victim = copy / name
        content = victim.read_bytes()
        if damage == "truncated":
            victim.write_bytes(content[: len(content) // 2])
        elif damage == "altered":
            middle = len(content) // 2
            victim.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        else:
            victim.unlink()
        warnings: list[str] = []
        if name.name == "manifest.json" and damage == "missing":
            continue  # then it is no checkpoint at all: the rename that publishes one comes after the manifest
        session.resume(copy, None, ignore, never, warnings.append)
        assert len(warnings) == 1 and victim.name in warnings[0], name
        assert_same(final_tensors(copy), final_tensors(finished))


def test_no_undamaged_checkpoint_is_an_error_that_names_the_files(finished: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    for weights in (tmp_path / "run" / "checkpoints").glob("step_*/networks.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"networks\.safetensors is damaged.*No undamaged checkpoint"):
        resume(tmp_path / "run")


def test_a_checkpoint_of_another_method_is_refused(finished: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps(to_json(config("sgqn", steps=80))))
    with pytest.raises(UserError, match="another method, size or version"):
        resume(tmp_path / "run")


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    """The limit of a file's size stands for the full disk: writing beyond it fails the same way."""
    folder = tmp_path / "run"
    script = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + KILLED_RUN.replace(
        "lambda event, training: None",
        "lambda event, training: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, -1)) "
        "if training.counters.env_steps >= 60 else None",
    )
    run = config("sac", steps=120)
    process = subprocess.run(
        [sys.executable, "-c", script, json.dumps(to_json(run)), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode != 0 and "could not be written" in process.stderr
    assert newest(folder).name == "step_000000040"
    assert not list((folder / "checkpoints").glob(".writing*"))
    assert load_file(newest(folder) / "networks.safetensors")
    whole = tmp_path / "whole"
    train(whole, run)
    resume(folder)
    assert_same(final_tensors(folder), final_tensors(whole))


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    folder, run = tmp_path / "run", config("sac", steps=40)
    refused: list[str] = []

    def watch(event: object, training: object) -> None:
        if not refused:
            with pytest.raises(UserError, match="another process"):
                resume(folder)
            refused.append("once")

    session.start(run, folder, {}, watch, never)
    assert refused


def test_an_existing_folder_is_never_overwritten(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    with pytest.raises(UserError, match="exists already"):
        train(finished, config("sac"))
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        train(tmp_path / "file" / "run", config("sac"))
    assert os.listdir(tmp_path) == ["file"]
