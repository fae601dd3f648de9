"""Turn a GPU failure in the middle of training into one sentence that says what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from saccade.agents.shortcuts import cause_of, is_out_of_memory
from saccade.runs.training import RunConfig
from saccade.types import UserError

GIGABYTE = 1e9


@contextmanager
def gpu_failures_explained(config: RunConfig, folder: Path) -> Iterator[None]:
    """Turn a GPU without memory left, and one that does not answer any more, into UserError."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise UserError(_out_of_memory(error, config)) from error
        if isinstance(error, torch.AcceleratorError):
            raise UserError(
                f"The GPU failed: {cause_of(error)}. Continue from the last checkpoint with `saccade train --resume "
                f"{folder}`, adding --graphs off or --compile off if it fails again."
            ) from error
        raise


def _out_of_memory(error: RuntimeError, config: RunConfig) -> str:
    training = config.training
    smaller = ["a smaller --batch-size", "--replay-capacity"]
    smaller += ["--preset small"] if training.graphs == "off" else ["--graphs off", "--preset small"]
    return (
        f"The memory of the GPU is full: {cause_of(error)}.{_in_use()} Less is needed with {', '.join(smaller)}, or "
        "--device cpu; or end other programs that use the GPU."
    )


def _in_use() -> str:
    """What uses the memory of the GPU, if there is one."""
    if not torch.cuda.is_initialized():
        return ""
    free, total = torch.cuda.mem_get_info()
    ours = torch.cuda.memory_reserved()
    others = max(total - free - ours, 0)
    return (
        f" Of {total / GIGABYTE:.1f} GB the training held {ours / GIGABYTE:.1f} ("
        f"{torch.cuda.memory_allocated() / GIGABYTE:.1f} in use), CUDA and other programs {others / GIGABYTE:.1f}."
    )
