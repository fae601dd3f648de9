"""Where the pixels that training draws from are kept: on the GPU where they fit, in host memory where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from saccade.data.memory import available_bytes

TRAINING_RESERVE = 8_000_000_000
"""Bytes of a GPU that are left to training. In float32 at the size of the papers the largest update, SMG's, keeps
1.4 GB for its gradients and works with about twice that, both when it warms up and in its graph. The context of CUDA,
workspaces of libraries, weights, Adam's moments and an evaluation at the same time take about 2 GB more."""

GIGABYTE, MEGABYTE = 1e9, 1e6
HOST = torch.device("cpu")


@final
@dataclass(frozen=True)
class Placement:
    """Where something is kept.

    device: where.
    pinned: whether batches of it go to a GPU, and so are best made in page-locked memory.
    sentence: for people, where it is and why.
    """

    device: torch.device
    pinned: bool
    sentence: str


def place(
    sizes: dict[str, int], device: torch.device, free: int | None, *, reserve: int = TRAINING_RESERVE
) -> dict[str, Placement]:
    """Where things of known sizes are kept, by name; those that come first have the first choice.

    Args:
        sizes: bytes of each. Put pictures before the replay: without them on the GPU an update is not one CUDA graph,
            while batches of the replay can be made in host memory before it.
        device: that trains.
        free: bytes that can be allocated there, or None where the machine does not tell; what is not known to fit is
            kept in host memory.
        reserve: bytes that must stay free beside them.
    """
    left = (free or 0) - reserve
    placed = {}
    for name, size in sizes.items():
        if device.type == "cpu":
            placed[name] = Placement(HOST, False, f"{name}: {_bytes(size)} in host memory, where training is")
        elif size <= left:
            placed[name] = Placement(device, False, f"{name}: {_bytes(size)} on {device} ({_free(free)})")
            left -= size
        else:
            why = f"{device} has {_free(free)}, and {_bytes(max(left, 0))} beside what training needs"
            placed[name] = Placement(HOST, True, f"{name}: {_bytes(size)} in host memory ({why})")
    return placed


def place_by_what_is_free(sizes: dict[str, int], device: torch.device) -> dict[str, Placement]:
    """The same for what the device has free now: to be asked before anything is put there."""
    return place(sizes, device, available_bytes(device))


def _bytes(size: int) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size >= 0.1 * GIGABYTE else f"{size / MEGABYTE:.0f} MB"


def _free(free: int | None) -> str:
    return "an unknown size free" if free is None else f"{_bytes(free)} free"
