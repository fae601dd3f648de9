"""What is wrong with a machine is found and said; what a result depends on is recorded."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import saccade
from saccade import machine
from saccade.cli import doctor_command
from saccade.machine import examination, speed
from saccade.machine.facts import git_facts
from saccade.types import UserError
from saccade.viewer.pictures import write_video


def answer(**fields: str) -> str:
    return f"print('''{json.dumps(fields)}''')"


def test_this_machine_can_draw_and_every_row_is_filled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SACCADE_DATA", raising=False)
    report = machine.examine()
    rows = {row.what: row for row in report.rows}
    assert {"python", "saccade", "torch", "simulator", "renderer", "processor", "disk", "cache"} <= set(rows)
    assert all(row.value for row in report.rows)
    assert all(row.advice for row in report.problems)
    assert rows["renderer"].ok, rows["renderer"]
    assert rows["saccade"].value == saccade.__version__
    assert "generated" in rows["benchmark data"].value


@pytest.mark.parametrize(
    ("question", "what_is_said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGABRT)", "ended by SIGABRT"),
        ("import time; time.sleep(60)", "no answer"),
        ("raise RuntimeError('driver too old')", "RuntimeError: driver too old"),
        ("import sys; sys.exit(3)", "no message"),
        (answer(backend="osmesa", problem="run apt-get"), "none that works"),
    ],
)
def test_a_renderer_that_crashes_hangs_or_fails_is_a_row(question: str, what_is_said: str):
    row = examination.renderer(question, timeout_seconds=2)
    assert not row.ok
    assert what_is_said in row.value
    assert "apt-get" in row.advice


def test_a_software_renderer_is_named_and_a_gpu_is_left_alone():
    software = examination.renderer(answer(backend="egl", renderer="llvmpipe (LLVM 15.0.6, 256 bits)"))
    assert software.ok
    assert "software" in software.value
    assert "--render-quality fast" in software.advice
    gpu = examination.renderer(answer(backend="egl", renderer="NVIDIA H200/PCIe/SSE2"))
    assert (gpu.ok, gpu.advice) == (True, "")


def test_a_torch_older_than_any_tested_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "__version__", "2.10.0+cpu")
    row = examination._torch()
    assert not row.ok
    assert "2.11" in row.advice
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    assert examination._torch().ok


def test_another_pair_of_simulator_versions_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    from saccade.envs import opengl

    def refuse() -> None:
        raise UserError("install the tested pair")

    monkeypatch.setattr(opengl, "check_versions", refuse)
    row = examination._simulator()
    assert (row.ok, row.advice) == (False, "install the tested pair")


def test_data_is_counted_and_what_is_missing_or_damaged_is_named(tmp_path: Path):
    clips = tmp_path / "video_easy"
    clip = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    for number in (0, 1, 4):
        write_video(clips / f"video{number}.mp4", clip, 25)
    rows = {row.what: row for row in examination._data(tmp_path)}
    assert rows["benchmark data"].value == str(tmp_path)
    assert (rows["video_easy"].ok, rows["video_easy"].value) == (True, "3 of 10 clips")
    assert "2-3, 5-9" in rows["video_easy"].advice
    assert "generated" in rows["video_hard"].value
    assert "generated" in rows["color_easy"].value

    (clips / "video2.mp4").write_bytes((clips / "video1.mp4").read_bytes()[:100])
    (tmp_path / "color_easy.pt").write_bytes(b"not a file of colours")
    rows = {row.what: row for row in examination._data(tmp_path)}
    assert not rows["video_easy"].ok
    assert "video2.mp4" in rows["video_easy"].advice
    assert not rows["color_easy"].ok
    assert "color_easy.pt" in rows["color_easy"].advice


def test_table_tops_are_named_and_one_that_cannot_be_read_is_a_problem(tmp_path: Path):
    textures = tmp_path / "textures"
    textures.mkdir()
    Image.new("RGB", (8, 8)).save(textures / "test2.png")
    row = {row.what: row for row in examination._data(tmp_path)}["textures"]
    assert (row.ok, row.value) == (True, "table tops of test2")
    (textures / "test4.jpg").write_bytes(b"no picture")
    row = {row.what: row for row in examination._data(tmp_path)}["textures"]
    assert not row.ok and "test4.jpg" in row.advice


def test_a_data_folder_that_does_not_exist_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path / "nowhere"))
    [row] = examination._data(None)
    assert not row.ok
    assert "nowhere" in row.advice


def test_a_cache_that_cannot_be_made_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "file" / "cache"))
    assert not examination._cache().ok
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "new" / "cache"))
    assert examination._cache().ok


def test_the_report_prints_problems_first_and_markup_as_text():
    rows = (
        machine.Row("fine", "yes"),
        machine.Row("slow", "[bold]value[/bold]", advice="could be faster"),
        machine.Row("broken", "no", ok=False, advice="install [it]"),
    )
    output = io.StringIO()
    report = machine.Report(rows)
    machine.print_report(report, Console(file=output, width=100))
    text = output.getvalue()
    assert report.problems == [rows[2]]
    assert "[bold]value[/bold]" in text
    assert text.index("install [it]") < text.index("could be faster")
    assert text.rstrip().endswith("Wrong: broken.")


def test_environment_facts_are_json_and_name_what_results_depend_on():
    facts = json.loads(json.dumps(machine.environment_facts()))
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["versions"]["mujoco"] == "3.8.1"
    assert facts["versions"]["saccade"] == saccade.__version__
    assert facts["hardware"]["cores"] >= 1
    assert facts["hardware"]["memory_gigabytes"] > 0


def test_without_git_there_are_no_git_facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_facts(Path(saccade.__file__).parent) is None


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_facts_are_those_of_the_checkout_that_holds_the_code(tmp_path: Path):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for folder in ("package", ".venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    assert git_facts(tmp_path / "package") is None  # no checkout
    git("init", "-q")
    git("add", "package")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_facts(tmp_path / "package") == {"commit": commit, "changed": False}
    (tmp_path / "package" / "new.py").write_text("")
    assert git_facts(tmp_path / "package") == {"commit": commit, "changed": True}
    assert git_facts(tmp_path / ".venv") is None  # inside the checkout, but not of it


def test_importing_the_package_loads_neither_torch_nor_a_simulator():
    code = "import sys, saccade; print([m for m in ('torch', 'mujoco', 'dm_control', 'av') if m in sys.modules])"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


def test_make_names_the_nearest_option():
    with pytest.raises(UserError, match="'image_sise'; did you mean image_size"):
        saccade.make("dmc/walker_walk", image_sise=100)


def test_speeds_are_measured_and_the_paths_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "num_cores", lambda: 1)
    effort = speed.Effort(seconds=0.05, matrix_side=64, copied_bytes=100_000)
    report = speed.measure_speeds("small", task="dmc/cartpole_balance", effort=effort)
    assert all(row.per_second is not None and row.per_second > 0 for row in report.rows)
    output = io.StringIO()
    speed.print_speeds(report, Console(file=output, width=200))
    text = output.getvalue()
    for words in ("matrix products, float32", "memory copies", "sgqn updates, small", "replay batches", "1 process"):
        assert words in text
    for words in ("cpu", "not compiled", "MUJOCO_GL", "dmc/cartpole_balance", "threads", "at most"):
        assert words in text


def test_environments_that_cannot_be_stepped_are_said_and_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> float:
        raise UserError("there is no OpenGL")

    monkeypatch.setattr(speed, "_steps_per_second", fail)
    effort = speed.Effort(seconds=0.05, matrix_side=64, copied_bytes=100_000)
    report = speed.measure_speeds("small", method="sac", effort=effort)
    failed = [row for row in report.rows if row.per_second is None]
    assert failed and all("there is no OpenGL" in row.path for row in failed)
    output = io.StringIO()
    speed.print_speeds(report, Console(file=output, width=200))
    assert "not measured" in output.getvalue() and "saccade doctor" in report.summary


def test_ceilings_count_two_operations_a_multiplication_and_both_ways_of_a_copy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "_best_seconds", lambda work, device: 0.5)
    effort = speed.Effort(matrix_side=100, copied_bytes=10**6)
    found = speed.ceilings(torch.device("cpu"), effort)
    assert "float32" in found.matmul_gigaflops
    assert set(found.matmul_gigaflops.values()) == {2 * 100**3 / 0.5 / 1e9}
    assert found.copy_gigabytes == pytest.approx(2 * 10**6 / 0.5 / 1e9)


def test_doctor_bench_prints_one_table_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    report = speed.SpeedReport({"device": "cpu"}, (speed.Speed("sgqn updates", 12.0, "updates", "eager"),), "Slow.")
    asked: list[str] = []
    monkeypatch.setattr(speed, "measure_speeds", lambda size: asked.append(size) or report)
    assert doctor_command.run(["--bench", "--preset", "paper"]) == 0
    assert asked == ["paper"]
    assert "12.0 updates/s" in capsys.readouterr().out
