"""Detect ReLUs called as functions: a guided view cannot see them, and would keep their gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

RELUS = {F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}


class _Watch(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.within = 0  # modules whose forward is running
        self.outside = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in RELUS and not self.within:
            self.outside += 1
        return function(*args, **(kwargs or {}))


@contextmanager
def relu_calls(networks: nn.Module) -> Iterator[list[int]]:
    """Yield a list that afterwards holds how often a ReLU other than the networks' own ``nn.ReLU`` was called."""
    watch, count = _Watch(), [0]

    def enter(module: nn.Module, arguments: Any) -> None:
        watch.within += 1

    def leave(module: nn.Module, arguments: Any, result: Any) -> None:
        watch.within -= 1

    relus = [module for module in networks.modules() if isinstance(module, nn.ReLU)]
    hooks = [hook for relu in relus for hook in _hooks(relu, enter, leave)]
    try:
        with watch:
            yield count
    finally:
        for hook in hooks:
            hook.remove()
        count[0] = watch.outside


def _hooks(relu: nn.ReLU, enter: Any, leave: Any) -> tuple[Any, Any]:
    return relu.register_forward_pre_hook(enter), relu.register_forward_hook(leave, always_call=True)
