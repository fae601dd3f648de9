"""Find how much memory a device still has, so that a long run is refused at its start and not hours later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.types import UserError

LOOKED_AT = 2**24
"""Bytes of a tensor below which free memory is not checked: that takes longer than making it."""

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
    """Return the bytes that can still be allocated on ``device``; None if the machine does not report it.

    In a container, the smaller of the machine's and the container's: the limit of the latter is
    enforced by killing the process, after an allocation that seemed to succeed.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [size for size in (machine_bytes(), container_bytes(cgroups)) if size is not None]
    return min(known, default=None)


def machine_bytes(path: Path = Path("/proc/meminfo")) -> int | None:
    """Return the kernel's estimate of what programs can use without swapping."""
    if not path.is_file():
        return None
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    value = fields.get("MemAvailable", "").split()
    return int(value[0]) * 1024 if value else None


def container_bytes(cgroups: Path) -> int | None:
    """Return what the control group of this process (version 2 or 1) has left; None without a limit."""
    for limit_name, use_name, statistics_name, reclaimable_name in CGROUP_FILES:
        limit, use, statistics = (cgroups / name for name in (limit_name, use_name, statistics_name))
        if limit.is_file() and use.is_file() and statistics.is_file():
            if limit.read_text().strip() == "max":
                return None
            counts = dict(line.split() for line in statistics.read_text().splitlines())
            used = int(use.read_text()) - int(counts.get(reclaimable_name, 0))
            return max(int(limit.read_text()) - used, 0)
    return None


def refuse_beyond(needed: int, what: str, advice: str, device: torch.device) -> None:
    """Raise UserError if something needs more bytes than the device has free, before it is allocated."""
    free = available_bytes(device)
    if free is not None and needed > free:
        raise UserError(f"{what} needs {in_words(needed)} of memory, but {in_words(free)} are free: {advice}.")


@contextmanager
def allocations_bounded(what: str, advice: str = "nothing like it can be used here") -> Iterator[None]:
    """Raise UserError before a CPU tensor is made that does not fit together with those made in the block so far.

    The kernel promises memory that it does not have, and kills the process when it is used. So the sizes that networks
    ask for are summed as they ask.
    """
    free = available_bytes(torch.device("cpu"))
    if free is None:
        yield
        return
    with _Counted(free, what, advice):
        yield


@contextmanager
def each_allocation_bounded(what: str, advice: str = "nothing like it can be used here") -> Iterator[None]:
    """Raise UserError before a CPU tensor is made that does not fit into what is free at that moment.

    For foreign code, which may release what it makes.
    """
    with _Each(what, advice):
        yield


class _Counted(TorchDispatchMode):
    """Sums what is requested by size: weights before they are drawn."""

    def __init__(self, free: int, what: str, advice: str) -> None:
        super().__init__()
        self._free, self._left, self._what, self._advice = free, free, what, advice

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        self._left -= _asked_for(args, options)
        if self._left < 0:
            raise UserError(
                f"{self._what} needs {in_words(self._free - self._left)} of memory or more, for a tensor of "
                f"shape {list(args[0])} among others, but {in_words(self._free)} are free: {self._advice}."
            )
        return func(*args, **options)


class _Each(TorchDispatchMode):
    """Compares each request with what is free, separately."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__()
        self._what, self._advice = what, advice

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        asked = _asked_for(args, options)
        if asked > LOOKED_AT:
            what = f"{self._what}, for a tensor of shape {list(args[0])},"
            refuse_beyond(asked, what, self._advice, torch.device("cpu"))
        return func(*args, **options)


def _asked_for(args: tuple[Any, ...], options: Mapping[str, Any]) -> int:
    """Bytes that a call requests by a size; 0 if it does not, and on other devices."""
    device = options.get("device")
    if device is not None and torch.device(device).type != "cpu":
        return 0
    if not (args and isinstance(args[0], list | tuple) and all(isinstance(side, int) for side in args[0])):
        return 0
    dtype = options.get("dtype") or torch.get_default_dtype()
    return math.prod(args[0]) * (dtype.itemsize if isinstance(dtype, torch.dtype) else 1)


def in_words(size: int) -> str:
    """Format bytes as ``8.0 GB``, ``12 MB``."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
