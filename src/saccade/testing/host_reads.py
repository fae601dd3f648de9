"""Detect operations that wait for the device, which losses must never do."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class HostReads(TorchDispatchMode):
    """Collects operations that would make a GPU wait: reading a number, or a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        boolean_index = "index.Tensor" in name and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if "_local_scalar_dense" in name or "nonzero" in name or boolean_index:
            self.found.append(name)
        return function(*args, **(kwargs or {}))
