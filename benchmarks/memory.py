"""How much memory a process has needed at most, and numbers that processes of their own find out."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BYTES_PER_MEGABYTE = 1e6
KIBIBYTES = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss


def peak_resident_bytes() -> int:
    """Of this process. Linux's ``ru_maxrss`` would begin at the size of the process that started it."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTES


def answer_of(script: str, words: Sequence[str]) -> float:
    """The number that a script prints in a process of its own."""
    child = subprocess.run([sys.executable, script, *words], check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(child.stdout))
