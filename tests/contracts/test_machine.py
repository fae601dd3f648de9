"""What is wrong with a machine is found and said; what a result depends on is recorded."""

import dataclasses
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import saccade
from saccade import doctor
from saccade.cli import doctor_command
from saccade.data import nvidia
from saccade.doctor import examination, speed
from saccade.doctor.facts import git_facts
from saccade.doctor.gpu import compiler, gpu_rows
from saccade.runs.device import GPUFacts, device_of, gpu_facts
from saccade.types import UserError
from saccade.viewer.pictures import write_video


def answer(**fields: str) -> str:
    return f"print('''{json.dumps(fields)}''')"


def test_this_machine_can_draw_and_every_row_is_filled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SACCADE_DATA", raising=False)
    report = doctor.examine()
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
        ("import time; time.sleep(60)", "did not answer"),
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


def gpu(**changes: Any) -> GPUFacts:
    """An NVIDIA GPU that works, but for what is changed."""
    works = GPUFacts(True, False, True, torch_cuda="13.0", driver="580.95.05", driver_cuda=(13, 0))
    return dataclasses.replace(works, **changes)


BROKEN = [
    (gpu(usable=False, torch_cuda=None), "was built without CUDA", "pip install --force-reinstall torch"),
    (
        gpu(usable=False, driver="535.183.01", driver_cuda=(12, 2)),
        "its driver 535.183.01 runs CUDA up to 12.2, but this PyTorch",
        "whl/cu126",
    ),
    (gpu(usable=False, driver_cuda=None), "libcuda.so.1", "--gpus all"),
    (gpu(usable=False, complaint="CUDA unknown error."), "which says: CUDA unknown error", "nvidia-smi"),
]


@pytest.mark.parametrize(("facts", "why", "way_out"), BROKEN, ids=["build", "driver", "library", "unknown"])
def test_a_gpu_that_cannot_be_used_is_no_silent_week_on_the_processor(facts: GPUFacts, why: str, way_out: str):
    with pytest.raises(UserError, match="give --device cpu") as refused:
        device_of("auto", training=True, facts=lambda: facts)
    assert why in str(refused.value) and way_out in str(refused.value) and "\n" not in str(refused.value)
    with pytest.warns(UserWarning, match="The processor is used") as warned:
        assert device_of("auto", facts=lambda: facts) == torch.device("cpu")
    assert why in str(warned[0].message)
    for name in ("cuda", "cuda:1"):
        with pytest.raises(UserError, match=f"--device {name} was asked for, but PyTorch sees 0 GPUs") as refused:
            device_of(name, facts=lambda: facts)
        assert why in str(refused.value)
    assert device_of("cpu", training=True, facts=lambda: facts) == torch.device("cpu")
    rows = {row.what: row for row in gpu_rows(facts)}
    assert not rows["GPU"].ok and way_out in rows["GPU"].advice and facts.driver in rows["NVIDIA driver"].value


def test_no_gpu_and_one_that_is_hidden_are_no_mistake(monkeypatch: pytest.MonkeyPatch):
    for facts in (gpu(usable=False, present=False), gpu(usable=False, hidden=True)):
        assert device_of("auto", training=True, facts=lambda facts=facts: facts) == torch.device("cpu")
        assert all(row.ok and not row.advice for row in gpu_rows(facts))
    for value, hidden in (("", True), ("-1", True), ("0", False), ("0,1", False)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert gpu_facts().hidden == hidden


def test_a_gpu_is_taken_and_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch):
    assert device_of("auto", training=True, facts=gpu) == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of("cuda:1", facts=gpu) == torch.device("cuda:1")
    with pytest.raises(
        UserError, match=r"cuda:7 was asked for, but PyTorch sees 2 GPUs. Use auto, or cuda:0 to cuda:1"
    ):
        device_of("cuda:7", facts=gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"sees 1 GPU. Use auto, or cuda:0\."):
        device_of("cuda:1", facts=gpu)
    assert {row.what: row for row in gpu_rows(gpu())}["NVIDIA driver"].ok


@pytest.mark.parametrize("name", ["cuda:-1", "cuda:x", "gpu", "", "mps"])
def test_what_is_no_device_is_one_sentence(name: str):
    with pytest.raises(UserError, match="use auto, cpu, cuda or cuda:0"):
        device_of(name, facts=gpu)


def test_nvidias_files_and_programs_are_read(tmp_path: Path):
    assert not nvidia.nvidia_device(tmp_path, "no-such-program")
    (tmp_path / "nvidia3").touch()  # as in a container that was given the fourth
    assert nvidia.nvidia_device(tmp_path, "no-such-program")
    program = tmp_path / "smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\n")
    program.chmod(0o755)
    assert nvidia.nvidia_device(tmp_path / "nothing", str(program))
    program.write_text("#!/bin/sh\nexit 9\n")
    assert not nvidia.nvidia_device(tmp_path / "nothing", str(program))
    version = tmp_path / "version"
    for line, found in (
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12", "535.183.01"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build", "580.95.05"),
        ("nothing of it", None),
    ):
        version.write_text(line)
        assert nvidia.driver_version(version) == found
    assert nvidia.driver_version(tmp_path / "none") is None and nvidia.driver_cuda("libno-such.so.1") is None


def test_a_compiler_and_headers_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for has_gpu in (True, False):
        rows = {row.what: row for row in compiler(has_gpu, tmp_path)}
        for what, package in (("C compiler", "gcc"), ("Python's headers", "python3-dev")):
            assert rows[what].ok == (not has_gpu) and f"sudo apt-get install -y {package}" in rows[what].advice
    (tmp_path / "gcc").touch(0o755)
    (tmp_path / "Python.h").touch()
    assert [(row.ok, row.advice) for row in compiler(True, tmp_path)] == [(True, "")] * 2


def test_doctor_does_without_the_video_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    write_video(tmp_path / "video_easy" / "video0.mp4", np.zeros((2, 16, 16, 3), dtype=np.uint8), 25)
    monkeypatch.setitem(sys.modules, "av", None)
    rows = {row.what: row for row in doctor.examine(tmp_path).rows}
    assert not rows["video"].ok and rows["video"].advice == "Install it: pip install av"
    assert rows["video_easy"].value == "1 of 10 clips"


def test_another_pair_of_simulator_versions_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    from saccade.envs.mujoco import opengl

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
        doctor.Row("fine", "yes"),
        doctor.Row("slow", "[bold]value[/bold]", advice="could be faster"),
        doctor.Row("broken", "no", ok=False, advice="install [it]"),
    )
    output = io.StringIO()
    report = doctor.Report(rows)
    doctor.print_report(report, Console(file=output, width=100))
    text = output.getvalue()
    assert report.problems == [rows[2]]
    assert "[bold]value[/bold]" in text
    assert text.index("install [it]") < text.index("could be faster")
    assert text.rstrip().endswith("Wrong: broken.")


def test_environment_facts_are_json_and_name_what_results_depend_on():
    facts = json.loads(json.dumps(doctor.environment_facts()))
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
    with pytest.raises(UserError, match="'image_sise' of dmc/walker_walk; did you mean image_size"):
        saccade.make("dmc/walker_walk", image_sise=100)


def test_speeds_are_measured_and_the_paths_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "available_cores", lambda: 1)
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
