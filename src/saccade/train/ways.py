"""How a run does its work on this machine: what it says about that, and where that is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saccade.agents import cuda_graphs
from saccade.agents.recorded_updates import NEEDS_A_GPU
from saccade.data.documents import BadDocument, read_document, typed
from saccade.data.placement import Placement
from saccade.runs.config import ENVIRONMENT
from saccade.runs.torch_setup import compute_dtype, is_compiled, multiplies_tf32
from saccade.runs.training import Training
from saccade.train.logs import write_aside
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.train.loop import Loop

PATHS = "paths"
RECORDED = "CUDA graph for each kind"  # part of a path if updates are recorded, and only then


def paths_of(loop: Loop) -> list[str]:
    """Return how a run currently does its work, for messages."""
    return [_arithmetic(loop), *loop.ways()]


def why_without_graphs(training: Training, device: torch.device, pictures: Placement | None) -> str | None:
    """Return why updates are not recorded as CUDA graphs with these options; None if they can be.

    pictures: where those for overlays are stored, for a method that has some.
    """
    if training.graphs == "off":
        return "--graphs off"
    if not cuda_graphs.can_record(device):
        return NEEDS_A_GPU
    if pictures is not None and pictures.pinned:
        return "the pictures are in host memory"
    return None


def refuse_without_graphs(training: Training, why: str) -> None:
    """Raise UserError if CUDA graphs were asked for."""
    if training.graphs == "on":
        raise UserError(
            f"--graphs on was asked for, but updates cannot be recorded here, because {why}: leave it at auto, which "
            "records them wherever that is possible."
        )


def had_graphs(folder: Path) -> bool:
    """Return whether a run recorded its updates when it last stored how it works."""
    try:
        paths = typed(facts_of(folder).get(PATHS, []), list[str])
    except BadDocument:
        return False
    return any(RECORDED in path for path in paths)


def write_facts(folder: Path, facts: dict[str, Any], loop: Loop) -> None:
    """Write ``env.json`` of a run that begins."""
    write_aside(folder / ENVIRONMENT, json.dumps({**facts, PATHS: paths_of(loop)}, indent=1))


def write_paths(folder: Path, loop: Loop) -> None:
    """Update ``env.json`` with how the run works now, since one way has failed."""
    write_facts(folder, facts_of(folder), loop)


def facts_of(folder: Path) -> dict[str, Any]:
    """Return the contents of ``env.json``; empty if it was lost."""
    try:
        return read_document(folder / ENVIRONMENT, dict[str, Any])
    except (OSError, UserError):
        return {}


def _arithmetic(loop: Loop) -> str:
    """What computes, and at what precision, for messages."""
    config, device, failure = loop.config, loop.device, loop.shortcuts.compilation.failure
    dtype, threads = compute_dtype(config.precision, device), torch.get_num_threads()
    name = f"{device}, {threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else str(device)
    losses = "compiled" if is_compiled(config, device) and failure is None else "not compiled"
    because = f": compiling them failed ({failure})" if failure is not None else ""
    matrices = ", matrices in tf32" if multiplies_tf32(config, device) else ""
    return f"{name}: convolutions in {str(dtype).removeprefix('torch.')}{matrices}, losses {losses}{because}"
