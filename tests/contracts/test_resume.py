"""A run that was stopped or killed goes on as if it never had been: the same bits in every tensor and row."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from training_cases import (
    EPISODE_STEPS,
    KILLED_RUN,
    after_steps,
    assert_same,
    config,
    counters,
    fail,
    final_tensors,
    ignore,
    never,
    newest,
    resume,
    rows,
    train,
    train_in_parts,
    train_killed,
)

from saccade.agents import METHODS
from saccade.cli import train_command
from saccade.data import checkpoints
from saccade.data.checkpoints import Segment, newest_checkpoint, write_checkpoint
from saccade.data.replay import ReplayBuffer
from saccade.data.rollout import Rollout
from saccade.runs.config import read_config, to_json
from saccade.train import assembling, session
from saccade.types import UserError

THOROUGH = ("sgqn", "soda")
"""Between them every kind of phase, parameter and random number there is."""
FULL_DISK = """
import resource, signal, time
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill(event, training):
    if training.counters.env_steps >= 20:
        while not (Path(sys.argv[2]) / "checkpoints" / "step_000000016").exists():
            time.sleep(0.01)  # written beside the training
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, -1))
"""


class ShortSegments(ReplayBuffer):
    """A replay whose files are complete after 8 frames."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, segment_frames=8)


@pytest.mark.parametrize(
    ("method", "precision"), [*((method, "float32") for method in THOROUGH), ("sgqn", "bfloat16"), ("sac", "auto")]
)
def test_stopped_and_resumed_equals_never_stopped(
    method: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembling, "ReplayBuffer", ShortSegments)
    # A replay that forgets.
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run = config(method, replay_capacity=20, precision=precision)
    train(whole, run)
    # Before and twice in the first burst of updates, behind a finished episode, and in another.
    train_in_parts(parts, run, [8, 8, 8, EPISODE_STEPS + 2, 2 * EPISODE_STEPS - 9])
    assert_same(final_tensors(parts), final_tensors(whole))
    assert counters(parts) == counters(whole)
    assert episodes(parts) == episodes(whole)
    assert read_config(parts).training.precision in ("float32", "bfloat16")  # what ``auto`` was, wherever it goes on


def episodes(folder: Path) -> list[dict[str, float]]:
    """Rows of episodes, other than those of losses, do not depend on when a run was stopped."""
    return [row for row in rows(folder) if "episode/return" in row]


@pytest.mark.parametrize(
    "method", [method for method, row in METHODS.items() if method not in THOROUGH and not row.taught]
)
def test_every_method_resumes(method: str, tmp_path: Path) -> None:
    run = config(method, steps=16)
    train(tmp_path / "whole", run)
    train_in_parts(tmp_path / "parts", run, [11])
    assert_same(final_tensors(tmp_path / "parts"), final_tensors(tmp_path / "whole"))
    assert counters(tmp_path / "parts") == counters(tmp_path / "whole")


@pytest.mark.parametrize("method", ["sg_dqn", "sg_ppo"])
def test_the_simulators_own_masks_are_found_again(method: str, tmp_path: Path) -> None:
    """Of several environments, in the middle of a step that has begun and of a rollout."""
    run = config(method, steps=40, envs=2, update_every=2) if method == "sg_dqn" else config(method, steps=40, envs=2)
    guidance = dataclasses.replace(run.agent.guidance, mask="oracle")
    run = dataclasses.replace(run, agent=dataclasses.replace(run.agent, guidance=guidance))
    train(tmp_path / "whole", run)
    train_in_parts(tmp_path / "parts", run, [6, 14, 26])
    assert_same(final_tensors(tmp_path / "parts"), final_tensors(tmp_path / "whole"))
    assert counters(tmp_path / "parts") == counters(tmp_path / "whole")
    expected = 20 if method == "sg_dqn" else 2 * 4 * 2
    assert counters(tmp_path / "parts")["updates"] == expected


@pytest.mark.parametrize(
    ("mask", "masks_every"), [("attribution", "epoch"), ("random", "rollout"), ("random", "epoch"), ("oracle", "epoch")]
)
def test_a_rollout_that_was_not_learned_from_is_marked_as_it_would_have_been(
    mask: str, masks_every: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the last step of a rollout of several environments, with its updates to come, and in the next one."""
    run, marked = config("sg_ppo", steps=40, envs=2), []
    guidance = dataclasses.replace(run.agent.guidance, mask=mask)
    run = dataclasses.replace(run, agent=dataclasses.replace(run.agent, guidance=guidance, masks_every=masks_every))
    mark = Rollout.marked
    monkeypatch.setattr(Rollout, "marked", lambda *args: (marked.append(1), mark(*args)))
    train(tmp_path / "whole", run)
    assert len(marked) == 2 * (run.agent.ppo.epochs if masks_every == "epoch" else 1)
    train_in_parts(tmp_path / "parts", run, [16, 20])
    assert_same(final_tensors(tmp_path / "parts"), final_tensors(tmp_path / "whole"))
    assert counters(tmp_path / "parts") == counters(tmp_path / "whole")


@pytest.mark.parametrize("task", ["atari/Breakout", "minigrid/Playground"])
@pytest.mark.parametrize("method", ["sg_dqn", "sg_ppo"])
def test_an_oracle_without_a_truth_is_refused_before_anything_is_written(
    method: str, task: str, tmp_path: Path
) -> None:
    run, _ = train_command.parse([method, task, "--mask", "oracle", "--preset", "small"])
    with pytest.raises(UserError, match=f"{task} cannot say which pixels matter"):
        train(tmp_path / "refused", run)
    assert not (tmp_path / "refused").exists()


def test_several_environments_resume_too_whatever_the_workers(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, config("sgqn", steps=54, envs=2, workers=2))
    # As both episodes end.
    train_in_parts(parts, config("sgqn", steps=54, envs=2, workers=0), [2 * EPISODE_STEPS])
    assert_same(final_tensors(parts), final_tensors(whole))
    assert episodes(parts) == episodes(whole) and len(episodes(parts)) == 2


def test_killed_at_any_moment_resumes_bit_identically(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", config("sgqn", checkpoint_every=2)
    train(whole, run)
    moments = random.Random(0)
    for attempt in range(2):
        killed = tmp_path / f"killed{attempt}"
        train_killed(killed, run, moments.uniform(0, 0.5))
        assert_same(final_tensors(killed), final_tensors(whole))
        assert rows(killed) == rows(whole)


class Killed(BaseException):
    """Ends a function where a killed process would have ended."""


FILE_OPERATIONS = [(os, "fsync"), (os, "rename"), (os, "replace"), (os, "open"), (shutil, "rmtree")]
FILE_OPERATIONS += [(Path, "mkdir"), (Path, "write_text"), (Path, "unlink")]


def killed_before(operation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first ``operation`` calls that touch the disk pass, and end at the next."""
    passed = iter(range(operation))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(passed, None) is None:
                raise Killed
            return function(*arguments, **options)

        return call

    for owner, name in FILE_OPERATIONS:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


def small_checkpoint(root: Path, env_steps: int, value: float) -> None:
    """With a replay of two segments, the first of which the next checkpoint shares."""
    frames = torch.arange(4, dtype=torch.uint8)
    known = "frames-0" in checkpoints.written_segments(root)
    write_checkpoint(
        root,
        env_steps,
        tensors={"networks": {"weight": torch.full((3,), value)}},
        documents={"counters": {"env_steps": env_steps}},
        segments=[Segment("frames-0", 0, None if known else frames, True), Segment("frames-4", 4, frames, False)],
    )


def value_of_newest(root: Path) -> float:
    """What the newest checkpoint holds, which must be whole."""
    found, problems = newest_checkpoint(root)
    assert problems == {}
    assert [len(frames) for _, frames in found.frames()] == [4, 4]
    first, second, third = found.tensors("networks")["weight"].tolist()
    assert first == second == third
    return first


@pytest.mark.parametrize("env_steps", [20, 10], ids=["a new step", "the same step again"])
def test_killed_between_any_two_file_operations_a_checkpoint_stays_readable(env_steps: int, tmp_path: Path) -> None:
    outcomes = []
    for operation in range(100):
        root = tmp_path / str(operation)
        small_checkpoint(root, 10, value=1.0)
        with pytest.MonkeyPatch.context() as patches:
            killed_before(operation, patches)
            try:
                small_checkpoint(root, env_steps, value=2.0)
            except Killed:
                killed = True
            else:
                killed = False
        if not killed:
            break
        outcomes.append(value_of_newest(root))
        small_checkpoint(root, 30, value=3.0)  # what the killed one left behind is in nobody's way
        assert value_of_newest(root) == 3.0
        assert not list(root.rglob(".writing*"))
    assert value_of_newest(root) == 2.0
    assert set(outcomes) == {1.0, 2.0} and outcomes == sorted(outcomes)


def test_more_steps_continue_a_finished_run(tmp_path: Path) -> None:
    long, short = tmp_path / "long", tmp_path / "short"
    train(long, config("sac", replay_capacity=32))
    train(short, config("sac", steps=32, replay_capacity=32))
    resume(short, steps=48)
    assert_same(final_tensors(short), final_tensors(long))
    assert json.loads((short / "result.json").read_text())["env_steps"] == 48
    assert json.loads((short / "config.json").read_text())["training"]["steps"] == 48
    with pytest.raises(UserError, match="--steps 40 is less than the 48"):
        resume(short, steps=40)


@pytest.mark.parametrize("left_over", [(), ("checkpoints/.writing-step_000000016", "checkpoints/replay")])
def test_a_run_without_a_checkpoint_starts_again(left_over: tuple[str, ...], tmp_path: Path) -> None:
    run, folder = config("sac", steps=16), tmp_path / "run"
    folder.mkdir()
    for name in left_over:
        (folder / name).mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(to_json(run)))
    (folder / "metrics.jsonl").write_text('{"env_steps": 7, "episode/return": 1.0}\n')
    assert resume(folder) is not None
    assert all(row["env_steps"] != 7 for row in rows(folder))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(folder, config("sac", steps=32))
    return folder


def damage_file(victim: Path, damage: str) -> None:
    content = victim.read_bytes()
    if damage == "truncated":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "altered":
        middle = len(content) // 2
        victim.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        victim.unlink()


@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_any_damaged_file_is_named_and_the_previous_checkpoint_used(
    damage: str, finished: Path, tmp_path: Path
) -> None:
    last = newest(finished)
    files = [path for path in last.parent.rglob("*") if path.is_file() and last.name.removeprefix("step_") in str(path)]
    assert len(files) == 10  # 5 of tensors, 3 documents, the manifest, and the replay's last segment
    for path in files:
        if path.name == "manifest.json" and damage == "missing":
            continue  # then it is no checkpoint at all: the rename that publishes one comes after the manifest
        content = path.read_bytes()
        damage_file(path, damage)
        found, problems = newest_checkpoint(last.parent)
        path.write_bytes(content)
        assert found.env_steps == 16
        assert list(problems) == [last] and path.name in problems[last]
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    damage_file(newest(copy) / "optimizers.safetensors", damage)
    warnings: list[str] = []
    session.resume(copy, None, ignore, never, warnings.append)
    assert len(warnings) == 1 and "optimizers.safetensors" in warnings[0] and "from step 16" in warnings[0]
    assert_same(final_tensors(copy), final_tensors(finished))


def test_no_undamaged_checkpoint_is_an_error_that_names_the_files(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    for weights in (tmp_path / "run" / "checkpoints").glob("step_*/networks.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"networks\.safetensors is damaged.*No undamaged checkpoint"):
        resume(tmp_path / "run")


def test_a_checkpoint_of_another_method_is_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps(to_json(config("sgqn", steps=32))))
    with pytest.raises(UserError, match="another method, size or version"):
        resume(tmp_path / "run")


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    """The limit of a file's size stands for the full disk: writing beyond it fails the same way."""
    folder = tmp_path / "run"
    script = FULL_DISK + KILLED_RUN.replace("lambda event, training: None", "fill")
    run = config("sac")
    process = subprocess.run(
        [sys.executable, "-c", script, json.dumps(to_json(run)), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode != 0 and "could not be written" in process.stderr
    assert newest(folder).name == "step_000000016"
    assert not list((folder / "checkpoints").glob(".writing*"))
    assert load_file(newest(folder) / "networks.safetensors")
    whole = tmp_path / "whole"
    train(whole, run)
    resume(folder)
    assert_same(final_tensors(folder), final_tensors(whole))


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    folder, run = tmp_path / "run", config("sac", steps=16)
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


def test_a_run_goes_on_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures are found from wherever it is resumed, and where they were moved, once that is said."""
    (tmp_path / "here" / "pictures").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    for number in range(8):
        Image.new("RGB", (20, 20), (number, 10, 10)).save(tmp_path / "here" / "pictures" / f"{number}.png")
    monkeypatch.chdir(tmp_path / "here")
    watch, stop = after_steps(11, seen=[])
    assert session.start(config("svea", steps=16, images="pictures"), Path("run"), {}, watch, stop) is None
    assert read_config(Path("run")).training.images == str(tmp_path / "here" / "pictures")
    monkeypatch.chdir(tmp_path / "there")
    run = tmp_path / "here" / "run"
    shutil.copytree(run, tmp_path / "moved")
    assert resume(run) is not None
    os.rename(tmp_path / "here" / "pictures", tmp_path / "there" / "moved")
    with pytest.raises(UserError, match="say where it is now with --images"):
        resume(tmp_path / "moved")
    assert session.resume(tmp_path / "moved", None, ignore, never, fail, ways={"images": "moved"}) is not None
    assert read_config(tmp_path / "moved").training.images == str(tmp_path / "there" / "moved")
    assert_same(final_tensors(tmp_path / "moved"), final_tensors(run))


def test_a_run_whose_data_is_gone_says_so(tmp_path: Path) -> None:
    run = config("sac", steps=16)
    (tmp_path / "run").mkdir()
    gone = dataclasses.replace(run, env=run.env.changed(data=str(tmp_path / "gone")))
    (tmp_path / "run" / "config.json").write_text(json.dumps(to_json(gone)))
    with pytest.raises(UserError, match=r"gone, with which the run began, .* with --data"):
        resume(tmp_path / "run")
