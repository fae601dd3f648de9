"""What a result may depend on besides its configuration, as recorded in a run's env.json."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from saccade.envs.workers.env_workers import available_cores

RECORDED_PACKAGES = ("torch", "numpy", "gymnasium", "dm-control", "mujoco", "av", "safetensors")

GIT_TIMEOUT_SECONDS = 10.0
GIGABYTE = 1e9


def environment_facts() -> dict[str, Any]:
    """Return what a result may depend on besides its configuration: versions, hardware, the code's git commit.

    JSON-able. A package that is not installed is null, and so is git outside a checkout.
    """
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {"saccade": own_version()} | {name: installed_version(name) for name in RECORDED_PACKAGES},
        "hardware": {
            "processor": processor_name(),
            "cores": available_cores(),
            "memory_gigabytes": round(memory_gigabytes(), 1),
            "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
            "cuda": torch.version.cuda,
        },
        "mujoco_gl": os.environ.get("MUJOCO_GL"),
        "git": git_facts(Path(__file__).parents[1]),
    }


def git_facts(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the checkout that ``folder``'s code belongs to, and whether the code has changed since.

    None without git, outside a checkout, and if the folder only happens to lie inside another
    project's checkout (as a virtual environment does).
    """
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    commit = _git(folder, "rev-parse", "HEAD") if tracked is not None else None
    if commit is None:
        return None
    return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--", "."))}


def own_version() -> str:
    """Return the version of this package, installed or not."""
    import saccade

    return saccade.__version__


def installed_version(package: str) -> str | None:
    """Return the installed version of a distribution such as ``dm-control``; None if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def memory_gigabytes() -> float:
    """Return the machine's main memory in gigabytes (1e9 bytes)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE


def processor_name() -> str:
    """Return the processor's own name; the kind of machine if it has none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
