"""Set up PyTorch for a run: precision, compilation, threads."""

from __future__ import annotations

import os
import warnings

import torch

from saccade.data.folder import cache_dir
from saccade.nets.precision import multiplies_bfloat16
from saccade.runs.training import Training
from saccade.types import UserError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def is_compiled(training: Training, device: torch.device) -> bool:
    """Return whether a run's losses are compiled on a device."""
    return training.compile == "on" or (training.compile == "auto" and device.type == "cuda")


def prepare_torch(training: Training, device: torch.device) -> None:
    """Set up PyTorch in this process for a run with these options."""
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if is_compiled(training, device):  # compiled code is cached from run to run
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "inductor"))
    if device.type == "cuda":
        reduced = compute_dtype(training.precision, device) != torch.float32
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = reduced  # float32 is the mode for comparisons, in full precision
        torch.backends.cuda.matmul.allow_tf32 = multiplies_tf32(training, device)
        # Advice about heads in float32.
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")


def multiplies_tf32(training: Training, device: torch.device) -> bool:
    """Return whether matrices outside the convolutions are multiplied in TF32: on a GPU, by choice."""
    beside = compute_dtype(training.precision, device) == torch.bfloat16
    return device.type == "cuda" and (training.matmul == "tf32" or (training.matmul == "auto" and beside))


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that a precision means on a device."""
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    if precision not in PRECISIONS:
        raise UserError(f"There is no precision {precision!r}: use auto, {' or '.join(PRECISIONS)}.")
    return PRECISIONS[precision]
