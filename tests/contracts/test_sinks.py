"""Numbers go to a tracker that a person asks for as they go to the run's files; stand-ins are the packages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from training_cases import after_steps, fail, ignore, never, noise_config

from saccade.cli import main
from saccade.train import session
from saccade.train.logs import read_rows
from saccade.train.sinks import TRACKERS, numbers_of

STEPS = 24
EVALUATED: dict[str, Any] = {"evaluation_modes": ("train",), "evaluation_episodes": 1}


class StandIn(ModuleType):
    """A tracker's package that remembers what it is told, as both packages can be called."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.axes: list[Any] = []
        self.finished = 0
        self.broken = False

    def init(self, **options: Any) -> Any:
        if self.broken:
            raise ConnectionError("no way to the server.\ndetails")
        self.begun.append(options)
        return SimpleNamespace(log=self.log, finish=self.finish, define_metric=lambda *a, **k: self.axes.append((a, k)))

    def log(self, row: dict[str, Any], step: int | None = None) -> None:
        if self.broken:
            raise RuntimeError("the disk is full")
        self.rows.append(row if step is None else {"env_steps": step, **row})

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture(params=TRACKERS)
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn(request.param)
    monkeypatch.setitem(sys.modules, request.param, module)
    return module


def expected(folder: Path) -> list[dict[str, Any]]:
    """What the files say, as rows of numbers."""
    rows = [{"env_steps": row["env_steps"], **numbers_of(row)} for row in read_rows(folder / "metrics.jsonl")]
    for row in read_rows(folder / "evaluations.jsonl"):
        rows.append({"env_steps": row["env_steps"], f"evaluation/{row['mode']}": row["return_mean"]})
    return sorted(rows, key=repr)


def test_a_tracker_gets_what_the_files_get_and_knows_a_resumed_run(tmp_path: Path, tracker: StandIn) -> None:
    name: Any = tracker.__name__
    folder, run = tmp_path / "run", noise_config(steps=STEPS, **EVALUATED)
    watch, stop = after_steps(STEPS // 2, seen=[])
    assert session.start(run, folder, {}, watch, stop, tracker=name) is None
    assert tracker.finished == 1
    assert session.resume(folder, None, ignore, never, fail, tracker=name) is not None
    assert tracker.finished == 2
    assert sorted(tracker.rows, key=repr) == expected(folder)
    assert any("evaluation/train" in row for row in tracker.rows)
    first, second = tracker.begun
    assert first == second  # one run, wherever it goes on
    assert first["project"] == "saccade"
    assert first["resume"] == "allow"
    assert first["config"]["method"] == run.method
    if name == "wandb":
        assert tracker.axes[0] == (("*",), {"step_metric": "env_steps"})


def test_two_runs_are_two(tmp_path: Path, tracker: StandIn) -> None:
    name: Any = tracker.__name__
    for number in range(2):
        session.start(noise_config(steps=STEPS), tmp_path / str(number), {}, ignore, never, tracker=name)
    told = [{key: value for key, value in begun.items() if key in ("id", "name")} for begun in tracker.begun]
    assert told[0] != told[1]


def test_what_a_tracker_fails_at_ends_no_run(tmp_path: Path, tracker: StandIn) -> None:
    name: Any = tracker.__name__

    def watch(event: Any, training: Any) -> None:
        tracker.broken = bool(tracker.begun)

    with pytest.warns(UserWarning, match=rf"{name} failed \(the disk is full\) and gets no more numbers"):
        result = session.start(noise_config(steps=STEPS), tmp_path / "run", {}, watch, never, tracker=name)
    assert result is not None
    assert read_rows(tmp_path / "run" / "metrics.jsonl")


def test_one_that_cannot_begin_is_a_sentence(tmp_path: Path, tracker: StandIn) -> None:
    tracker.broken = True
    name: Any = tracker.__name__
    with pytest.raises(session.UserError, match=rf"--log {name} cannot begin \(no way to the server\)"):
        session.start(noise_config(steps=STEPS), tmp_path / "run", {}, ignore, never, tracker=name)
    tracker.broken = False
    assert session.resume(tmp_path / "run", None, ignore, never, fail, tracker=name) is not None


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_a_sentence_before_anything_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    words = ["train", "sac", "dmc/cartpole_balance", "--preset", "small", "--log", name, "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert f"pip install {name}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_no_tracker_is_imported_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, None)  # importing it would fail
    assert session.start(noise_config(steps=STEPS), tmp_path / "run", {}, ignore, never) is not None
    assert not (tmp_path / "run" / "tracker.json").exists()
