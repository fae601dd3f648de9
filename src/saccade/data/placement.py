"""Decide where the pixels that training samples are stored: on the GPU if they fit, else in host memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from saccade.data.memory import available_bytes

TRAINING_RESERVE = 8_000_000_000
"""Bytes of a GPU that are left for training. In float32 at the papers' sizes the largest update, SMG's, keeps
1.4 GB for its gradients and works with about twice that, both when it warms up and in its graph. The context of CUDA,
workspaces of libraries, weights, Adam's moments and an evaluation at the same time take about 2 GB more."""

GIGABYTE, MEGABYTE = 1e9, 1e6
HOST = torch.device("cpu")


@final
@dataclass(frozen=True)
class Placement:
    """Where something is stored.

    device: where.
    pinned: whether batches of it go to a GPU, and so are best made in page-locked memory.
    sentence: where it is and why, for messages.
    """

    device: torch.device
    pinned: bool
    sentence: str


def place(
    sizes: dict[str, int], device: torch.device, free: int | None, *, reserve: int = TRAINING_RESERVE
) -> dict[str, Placement]:
    """Decide where things of known sizes are stored, by name; earlier ones have priority.

    Args:
        sizes: bytes of each. Put pictures before the replay buffer: without them on the GPU an update is not one CUDA
            graph, while batches from the replay buffer can be made in host memory before it.
        device: the one that trains.
        free: bytes that can be allocated there, or None if unknown; what is not known to fit is
            stored in host memory.
        reserve: bytes that must stay free besides them.
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
            why = f"{device} has {_free(free)}, and {_bytes(max(left, 0))} besides what training needs"
            placed[name] = Placement(HOST, True, f"{name}: {_bytes(size)} in host memory ({why})")
    return placed


def place_by_what_is_free(sizes: dict[str, int], device: torch.device) -> dict[str, Placement]:
    """Decide by what the device has free now: call it before anything is put there."""
    return place(sizes, device, available_bytes(device))


def _bytes(size: int) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size >= 0.1 * GIGABYTE else f"{size / MEGABYTE:.0f} MB"


def _free(free: int | None) -> str:
    return "an unknown size free" if free is None else f"{_bytes(free)} free"
