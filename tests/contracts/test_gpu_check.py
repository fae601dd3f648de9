"""The check for a machine with a GPU: a dry run of every stage on this one, and what a run that is killed leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "benchmarks" / "gpu_check.sh"
SECONDS = 240  # that a dry run may take on a busy machine; alone it takes less than a minute


def dry_run(folder: Path, **settings: str) -> subprocess.Popen[str]:
    """The check with tiny numbers on a CPU, in a process group of its own."""
    environment = os.environ | {
        "DRY": "1",
        "PY": sys.executable,
        "OUT": str(folder / "out"),
        "WORK": str(folder / "work"),
        "OMP_NUM_THREADS": "1",
        "LIMIT": str(SECONDS),
        "RESERVE": "10",
        **settings,
    }
    (folder / "out").mkdir()
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            ["bash", str(CHECK)], env=environment, stdout=said, stderr=said, text=True, start_new_session=True
        )


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def archived(folder: Path, name: str) -> Any:
    with tarfile.open(folder / "out" / "logs.tgz") as archive:
        names = {member.name.removeprefix("./"): member for member in archive}
        content = archive.extractfile(names[name])
        assert content is not None
        return json.load(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages but the longest, which needs whole episodes."""
    folder = tmp_path_factory.mktemp("gpu_check")
    (folder / "other").symlink_to(ROOT / "src")
    stages = "install drawing tests speed operations updates train"
    process = dry_run(folder, STAGES=stages, OTHER=str(folder / "other"), METHODS="sac")
    try:
        assert process.wait(timeout=SECONDS) == 0
    finally:
        end(process)
    return folder


def test_every_stage_of_a_dry_run_comes_through(finished: Path) -> None:
    report = (finished / "out" / "report.txt").read_text()
    assert "FAILED" not in report and "Error" not in report, report
    assert re.search(r"^python 3\.\d+\.\d+ torch \d\.\d+", report, re.MULTILINE)
    assert re.search(r"^1 processes: 1 drew, 0 hung, 0 failed; \d+ agent steps/s", report, re.MULTILINE)
    assert re.search(r"^beside matrix products: 2 processes: 2 drew, 0 hung, 0 failed", report, re.MULTILINE)
    assert re.search(r"exit code 0: .*\d+ skipped", report)  # tests/gpu, where there is no GPU
    assert re.search(r"updates in float32\n.*torch", report)
    assert re.search(r"exit code 0 \(124.*\n?TRAINING: [\d.]+ updates/s = [\d.]+ ms a step", report)
    assert report.rstrip().endswith("done")


def test_both_versions_are_timed_with_what_they_are_made_of(finished: Path) -> None:
    report = (finished / "out" / "report.txt").read_text()
    for name, source in (("speed_sac", ROOT / "src"), ("speed_sac_other", finished / "other")):
        row = archived(finished, f"{name}.json")
        assert row["version"] == str(source) and row["method"] == "sac"
        shown = re.search(rf"{name}: sac, not compiled: ([\d.]+) ms an update", report)
        assert shown and float(shown[1]) == pytest.approx(row["milliseconds"], abs=1e-3) and row["milliseconds"] > 0
        kernels = {kernel["name"]: kernel for kernel in row["kernels"]}
        assert kernels["aten::mkldnn_convolution"]["calls"] > 0


def test_operations_are_timed(finished: Path) -> None:
    rows = archived(finished, "operations.json")["operations"]
    assert len(rows) > 60 and [row for row in rows if "error" in row] == []
    assert all(row["microseconds"] > 0 for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    assert (finished / "out" / "operations.txt").read_text().count("\n") == len(rows)


def test_the_training_run_leaves_its_rows(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "out" / "train_metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["updates"] > rows[0]["updates"] and "critic/bellman" in rows[0]
    assert archived(finished, "run/config.json")["method"] == "sgqn"
    assert len(list((finished / "out").iterdir())) <= 6


def test_what_was_found_survives_a_kill(tmp_path: Path) -> None:
    process = dry_run(tmp_path, STAGES="operations updates", KEPT_EVERY="1")
    report, deadline = tmp_path / "out" / "report.txt", time.monotonic() + SECONDS
    try:
        while not report.exists() or "updates in" not in report.read_text():
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "said").read_text()
            time.sleep(0.1)
    finally:
        end(process)
    assert "operations: exit code 0" in report.read_text() and "done" not in report.read_text()
    assert "smallest kernel" in (tmp_path / "out" / "operations.txt").read_text()
    assert archived(tmp_path, "operations.json")["operations"]


def test_a_budget_that_is_over_ends_the_run(tmp_path: Path) -> None:
    process = dry_run(tmp_path, LIMIT="1")
    try:
        assert process.wait(timeout=60) == 0
    finally:
        end(process)
    report = (tmp_path / "out" / "report.txt").read_text()
    assert "speed" not in report and report.rstrip().endswith("done")
