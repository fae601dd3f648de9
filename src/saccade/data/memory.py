"""How much memory a device still has, so that a long run is refused at its start and not hours in."""

from __future__ import annotations

from pathlib import Path

import torch

CGROUP_FILES = (  # limit, use, statistics, and the statistic that counts what the kernel would give back
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def available_bytes(device: torch.device, cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can still be allocated on ``device``; None where the machine does not tell.

    In a container the smaller of the machine's and the container's: the limit of the latter is
    enforced by killing the process, after an allocation that seemed to succeed.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [size for size in (machine_bytes(), container_bytes(cgroups)) if size is not None]
    return min(known, default=None)


def machine_bytes(path: Path = Path("/proc/meminfo")) -> int | None:
    """What the kernel estimates that programs can use without swapping."""
    if not path.is_file():
        return None
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    value = fields.get("MemAvailable", "").split()
    return int(value[0]) * 1024 if value else None


def container_bytes(cgroups: Path) -> int | None:
    """What the control group of this process (version 2 or 1) has left; None without a limit."""
    for limit_name, use_name, statistics_name, reclaimable_name in CGROUP_FILES:
        limit, use, statistics = (cgroups / name for name in (limit_name, use_name, statistics_name))
        if limit.is_file() and use.is_file() and statistics.is_file():
            if limit.read_text().strip() == "max":
                return None
            counts = dict(line.split() for line in statistics.read_text().splitlines())
            used = int(use.read_text()) - int(counts.get(reclaimable_name, 0))
            return max(int(limit.read_text()) - used, 0)
    return None
