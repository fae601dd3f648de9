"""What the scripts promise beside the tests that they run: reasons in words, no download, wheels that install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import torch
from outside import loaded

ROOT = Path(__file__).parents[2]


def other_torch(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SACCADE_"))}
    environment |= {"PY": sys.executable, "PIP_CONFIG_FILE": os.devnull, "SACCADE_OTHER_VENV": str(folder / "venv")}
    command = ["bash", str(ROOT / "scripts" / "test_other_torch.sh"), "--collect-only"]
    return subprocess.run(command, env=environment | settings, capture_output=True, text=True, check=False, timeout=120)


def test_without_wheels_the_other_torch_is_left_out_with_the_reason(tmp_path: Path) -> None:
    ended = other_torch(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "left out: pip finds no other PyTorch on this machine" in ended.stdout


def test_an_interpreter_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    missing = other_torch(tmp_path, SACCADE_OTHER_PYTHON=str(tmp_path / "python"))
    assert missing.returncode == 2 and "cannot import torch" in missing.stderr
    same = other_torch(tmp_path, SACCADE_OTHER_PYTHON=sys.executable)
    assert same.returncode == 2 and f"has PyTorch {torch.__version__} too" in same.stderr


def test_a_wheel_without_some_folders_still_lists_what_it_holds(tmp_path: Path) -> None:
    wheel = tmp_path / "dm_control-1.0-py3-none-any.whl"
    names = ["dm_control/suite/walker.py", "dm_control/viewer/app.py", "dm_control-1.0.dist-info/RECORD"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names[:2]:
            archive.writestr(name, name)
        archive.writestr(names[2], "".join(f"{name},,\n" for name in names))
    module = loaded("scripts/offline_wheels.py")
    module.leave_out(wheel, module.UNUSED)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist() == [names[0], names[2]]
        assert archive.read(names[2]).decode() == f"{names[0]},,\n{names[2]},,\n"
    assert list(tmp_path.iterdir()) == [wheel]


def test_a_machine_without_a_network_is_brought_all_that_the_project_needs() -> None:
    module = loaded("scripts/offline_wheels.py")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {*project["dependencies"], *project["optional-dependencies"]["dmc"]}
    brought = set(module.required())
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in needed - brought}
    assert brought <= needed and names == module.EXPECTED_THERE | module.LEFT_OUT
    assert any(requirement.startswith("msgspec") for requirement in brought)
