"""Collect the wheels that a GPU machine without a network lacks, in a folder that can be carried there.

    python scripts/offline_wheels.py [--out .whl] [--python 3.12] [NAME==VERSION ...]

The machine (Linux, x86-64) is expected to have PyTorch, NumPy and the other large packages; what is missing are the
simulator and what the command line is made of. dm_control carries 50 MB of models that the Control Suite never opens,
so its wheel is written anew without them. There: pip install --no-index --no-deps --target FOLDER .whl/*.whl
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Of what the project depends on: large packages that every image with PyTorch has, and PyAV, which only opens films.
EXPECTED_THERE = {"torch", "numpy", "safetensors", "rich", "tensorboard", "matplotlib"}
LEFT_OUT = {"av"}
SIMULATOR_NEEDS = ["dm-env", "dm-tree", "labmaze", "glfw", "lxml", "pyopengl", "absl-py", "pyparsing"]
COMMAND_LINE_NEEDS = ["farama-notifications", "cloudpickle", "docstring-parser", "typeguard", "shtab"]
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 26, 24, 17)] + ["manylinux2014_x86_64"]
UNUSED = tuple(f"dm_control/{name}/" for name in ("locomotion", "entities", "manipulation", "viewer"))
UNUSED += ("dm_control/suite/dog_assets/",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(".whl"))
    parser.add_argument("--python", default="3.12", help="of the machine with the GPU")
    parser.add_argument("further", nargs="*", metavar="NAME==VERSION")
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    for name in (*required(), *SIMULATOR_NEEDS, *COMMAND_LINE_NEEDS, *options.further):
        download(name, options.out, options.python)
    for wheel in options.out.glob("dm_control-*.whl"):
        leave_out(wheel, UNUSED)
    wheels = list(options.out.iterdir())
    megabytes = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    print(f"{len(wheels)} wheels, {megabytes:.1f} MB, in {options.out}")


def required() -> list[str]:
    """What the project's own file asks for, and is not expected on the machine."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    skipped = EXPECTED_THERE | LEFT_OUT
    return [
        requirement
        for requirement in (*project["dependencies"], *project["optional-dependencies"]["dmc"])
        if re.split(r"[^\w.-]", requirement)[0] not in skipped
    ]


def download(name: str, out: Path, python: str) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(out)]
    command += ["--implementation", "cp", "--python-version", python, *platforms, name]
    subprocess.run(command, check=True)


def leave_out(wheel: Path, folders: tuple[str, ...]) -> None:
    """Rewrite a wheel without some folders, in its list of files too, or pip would look for them."""
    slim = wheel.with_suffix(".slim")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(slim, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            if item.filename.startswith(folders):
                continue
            content = old.read(item)
            if item.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                content = "".join(line for line in lines if not line.startswith(folders)).encode()
            new.writestr(item, content)
    slim.replace(wheel)


if __name__ == "__main__":
    main()
