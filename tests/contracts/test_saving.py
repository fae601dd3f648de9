"""Checkpoints that are written while training goes on: of the moment they were taken, one at a time, or a sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_resume import ShortSegments
from training_cases import (
    assert_same,
    final_tensors,
    ignore,
    never,
    newest,
    noise_config,
    resume,
    rows,
    train,
    without_simulator,
)

from saccade.data.checkpoints import checkpoints, read_checkpoint, write_checkpoint
from saccade.runs.training import RunConfig
from saccade.train import assembling, session, state
from saccade.train.events import Event
from saccade.train.off_policy import OffPolicyTraining
from saccade.train.saving import BackgroundSaving
from saccade.types import UserError

TICKS = 4  # that training makes while a checkpoint is being written
FULL = "The checkpoint could not be written: free some space"


@pytest.fixture(autouse=True)
def _noise(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    without_simulator(monkeypatch)
    monkeypatch.setattr(assembling, "ReplayBuffer", ShortSegments)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoint")]


class SlowDisk:
    """Begins to write a checkpoint only once training has made some ticks, or has nothing more to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run: RunConfig) -> None:
        self.run, self.go_on, self.ticks_left = run, threading.Event(), 0
        self.waited: list[bool] = []
        monkeypatch.setattr(state, "write_checkpoint", self.write)

    def write(self, *arguments: Any, **options: Any) -> Path:
        self.waited.append(self.go_on.wait(30.0))
        self.go_on.clear()
        return write_checkpoint(*arguments, **options)

    def watch(self, event: Event, training: OffPolicyTraining) -> None:
        if event.kind == "checkpoint_due":
            self.ticks_left = TICKS
        elif event.kind == "tick" and self.ticks_left:
            self.ticks_left -= 1
            if not self.ticks_left:
                self.go_on.set()
        if training.counters.env_steps == self.run.training.steps:
            self.go_on.set()


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every checkpoint written before training goes on."""

    def begin(saving: BackgroundSaving, write: Callable[[], Path]) -> None:
        write()

    monkeypatch.setattr(BackgroundSaving, "begin", begin)


@pytest.mark.parametrize("options", [{}, {"envs": 2, "overlap": True}, {"evaluate_every": 16}])
def test_a_checkpoint_is_of_the_moment_at_which_it_was_taken(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training changes weights, moments, generators, environments and a replay that forgets while it is written."""
    modes = ("train",) if "evaluate_every" in options else ()
    evaluated = {"evaluation_modes": modes, "evaluation_episodes": 1}
    run = noise_config("sgqn", steps=64, replay_capacity=20, checkpoint_every=16, **evaluated, **options)
    with monkeypatch.context() as patches:
        at_once(patches)
        train(tmp_path / "at once", run)
    disk = SlowDisk(monkeypatch, run)
    session.start(run, tmp_path / "beside", {}, disk.watch, never)
    assert disk.waited == [True] * 4
    ours, theirs = (checkpoints(tmp_path / name / "checkpoints") for name in ("beside", "at once"))
    assert (
        [folder.name for folder in ours] == [folder.name for folder in theirs] == ["step_000000048", "step_000000064"]
    )
    for one, other in zip(ours, theirs, strict=True):
        files = sorted(path.name for path in one.glob("*.safetensors"))
        assert files == sorted(path.name for path in other.glob("*.safetensors")) and len(files) >= 5
        for name in files:
            assert_same(load_file(one / name), load_file(other / name))
        frames = zip(read_checkpoint(one).frames(), read_checkpoint(other).frames(), strict=True)
        assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in frames)
    assert rows(tmp_path / "beside") == rows(tmp_path / "at once")


def test_never_two_checkpoints_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = threading.Lock()
    written: list[int] = []

    def write(root: Path, env_steps: int, **options: Any) -> Path:
        assert writing.acquire(blocking=False)
        threading.Event().wait(0.05)  # longer than a step
        path = write_checkpoint(root, env_steps, **options)
        writing.release()
        written.append(env_steps)
        return path

    monkeypatch.setattr(state, "write_checkpoint", write)
    train(tmp_path / "run", noise_config(steps=12, checkpoint_every=1))
    assert written == list(range(1, 13))


@pytest.mark.parametrize("failing", [16, 48])
def test_a_checkpoint_that_could_not_be_written_ends_the_run(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = noise_config(steps=48, checkpoint_every=8), list[int]()
    train(tmp_path / "whole", run)
    failed = threading.Event()

    def write(root: Path, env_steps: int, **options: Any) -> Path:
        if env_steps == failing:
            failed.set()
            raise UserError(FULL)
        return write_checkpoint(root, env_steps, **options)

    def watch(event: Event, training: OffPolicyTraining) -> None:
        seen.append(training.counters.env_steps)
        if seen[-1] == failing + 1:
            assert failed.wait(30.0)

    folder = tmp_path / "run"
    with monkeypatch.context() as patches:
        patches.setattr(state, "write_checkpoint", write)
        with pytest.raises(UserError, match=FULL):
            session.start(run, folder, {}, watch, never)
    assert seen[-1] <= failing + 7  # before the next one was due
    assert newest(folder).name == f"step_{failing - 8:09d}" and not (folder / "result.json").exists()
    resume(folder)
    assert_same(final_tensors(folder), final_tensors(tmp_path / "whole"))
    assert rows(folder) == rows(tmp_path / "whole")


def test_what_is_being_written_when_a_run_is_ended_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = noise_config(steps=32, checkpoint_every=8)
    disk = SlowDisk(monkeypatch, run)

    def watch(event: Event, training: OffPolicyTraining) -> None:
        if training.counters.env_steps == 10:
            disk.go_on.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.start(run, tmp_path / "run", {}, watch, never)
    assert newest(tmp_path / "run").name == "step_000000008"


def test_a_run_that_is_left_waits_for_what_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = noise_config(steps=32, checkpoint_every=8)
    train(tmp_path / "whole", run)
    with monkeypatch.context() as patches:
        disk = SlowDisk(patches, run)

        def stop() -> bool:
            disk.go_on.set()
            return (tmp_path / "run" / "metrics.jsonl").exists()

        assert session.start(run, tmp_path / "run", {}, ignore, stop) is None
    resume(tmp_path / "run")
    assert_same(final_tensors(tmp_path / "run"), final_tensors(tmp_path / "whole"))


def test_of_two_failures_the_first_is_raised_and_the_other_told() -> None:
    def write() -> Path:
        raise UserError(FULL)

    def go_on() -> None:
        with BackgroundSaving() as saving:
            saving.begin(write)
            raise ZeroDivisionError

    with pytest.warns(UserWarning, match=FULL), pytest.raises(ZeroDivisionError):
        go_on()
