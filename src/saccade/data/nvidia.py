"""Find what NVIDIA hardware and software a machine has, from its own files and programs, without PyTorch."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

ANSWER_SECONDS = 20.0


def has_device_file(devices: Path = Path("/dev")) -> bool:
    """Return whether there is a device file of an NVIDIA GPU; a container may have only number 3."""
    return any(devices.glob("nvidia[0-9]*"))


def nvidia_device(devices: Path = Path("/dev"), program: str = "nvidia-smi") -> bool:
    """Return whether there is an NVIDIA GPU: by its device file, or, if files have other names, by NVIDIA's program."""
    if has_device_file(devices):
        return True
    if shutil.which(program) is None:
        return False
    try:
        answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "GPU 0" in answer.stdout


def num_gpus(devices: Path = Path("/dev"), program: str = "nvidia-smi") -> int:
    """Return how many NVIDIA GPUs this process may use, according to NVIDIA's program and CUDA_VISIBLE_DEVICES."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([word for word in chosen.split(",") if word.strip() not in ("", "-1", "NoDevFiles")])
    if shutil.which(program) is None:
        return len(list(devices.glob("nvidia[0-9]*")))
    try:
        answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(re.findall(r"^GPU \d+", answer.stdout, re.MULTILINE)) if answer.returncode == 0 else 0


def driver_version(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Return the version of NVIDIA's driver, such as 580.95.05; None if the kernel has none."""
    try:
        found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", file.read_text())
    except OSError:
        return None
    return found.group() if found else None


def driver_cuda(library: str = "libcuda.so.1") -> tuple[int, int] | None:
    """Newest CUDA that the driver runs, such as (13, 0); None if its library is missing or does not answer."""
    version = ctypes.c_int(0)
    try:
        failed = ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed or not version.value else (version.value // 1000, version.value % 1000 // 10)
