"""Check whether PyTorch can use this machine's GPUs, and compile for them."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.data.nvidia import nvidia_device
from saccade.doctor.facts import GIGABYTE
from saccade.doctor.rows import Row

if TYPE_CHECKING:
    from saccade.runs.device import GPUFacts


def gpus() -> Iterator[Row]:
    """Yield rows about this machine's GPUs as PyTorch sees them; none if PyTorch cannot be imported."""
    try:
        import torch

        from saccade.runs.device import gpu_facts
    except (ImportError, OSError):
        return
    yield from gpu_rows(gpu_facts())
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        yield Row(f"GPU {index}", f"{properties.name}, {properties.total_memory / GIGABYTE:.0f} GB")


def gpu_rows(facts: GPUFacts) -> Iterator[Row]:
    """Yield rows about whether PyTorch can use the GPUs, and the driver; the GPUs themselves have their own rows."""
    if not facts.present:
        yield Row("GPU", "none")
        return
    newest = "" if facts.driver_cuda is None else f", runs CUDA up to {'.'.join(map(str, facts.driver_cuda))}"
    built = "without CUDA" if facts.torch_cuda is None else f"for CUDA {facts.torch_cuda}"
    driver = f"{facts.driver or 'of unknown version'}{newest}; PyTorch is built {built}"
    if facts.hidden and not facts.usable:
        yield Row("GPU", "hidden by CUDA_VISIBLE_DEVICES")
    elif facts.unusable is not None:
        yield Row("GPU", "an NVIDIA GPU that cannot be used", False, _capitalised(facts.unusable))
    yield Row("NVIDIA driver", driver)


def compiler(gpu: bool | None = None, headers: Path | None = None) -> Iterator[Row]:
    """Check for the C compiler and Python's headers, without which losses are not compiled.

    Args:
        gpu: whether there is an NVIDIA GPU, where runs compile by default; None to find out.
        headers: the folder that should hold ``Python.h``; by default this Python's.
    """
    gpu = nvidia_device() if gpu is None else gpu
    headers = Path(sysconfig.get_path("include")) if headers is None else headers
    program = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    what = "Without it losses are not compiled" + (", and runs are several times slower" if gpu else " (--compile on)")
    if program is not None:
        yield Row("C compiler", program)
    else:
        yield Row("C compiler", "none", not gpu, f"{what}. Install it: sudo apt-get install -y gcc")
    if (headers / "Python.h").is_file():
        yield Row("Python's headers", str(headers))
    else:
        yield Row(
            "Python's headers",
            f"no Python.h in {headers}",
            not gpu,
            f"{what}. Install them: sudo apt-get install -y python3-dev (or python{sys.version_info.major}."
            f"{sys.version_info.minor}-dev, for the Python in use here)",
        )


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
