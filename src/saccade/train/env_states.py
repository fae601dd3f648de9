"""Convert states of environments for a checkpoint: arrays become tensors, the rest JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def split_states(states: list[dict[str, Any]]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Split environment states into tensors for safetensors and the rest for JSON."""
    arrays: dict[str, Tensor] = {}
    scalars: list[dict[str, Any]] = []
    for index, state in enumerate(states):
        plain: dict[str, Any] = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                arrays[f"{index}/{name}"] = torch.from_numpy(value.copy(order="C"))
            else:
                plain[name] = value
        scalars.append(plain)
    return arrays, scalars


def join_states(arrays: Mapping[str, Tensor], scalars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join what ``split_states`` split."""
    states: list[dict[str, Any]] = [dict(plain) for plain in scalars]
    for key, value in arrays.items():
        index, _, name = key.partition("/")
        states[int(index)][name] = value.numpy()
    return states
