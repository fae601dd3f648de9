"""Guided views: the same parameters with another backward rule at every ReLU."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class _GuidedReLU(torch.autograd.Function):
    """ReLU forward; backward passes only positive gradients through positive units."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor) -> Tensor:
        return value.clamp(min=0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        (output,) = ctx.saved_tensors
        return gradients[0].clamp(min=0) * (output > 0)


class GuidedReLU(nn.Module):
    """``nn.ReLU`` with the backward rule of guided backpropagation (Springenberg et al., 2015)."""

    def forward(self, value: Tensor) -> Tensor:
        return _GuidedReLU.apply(value)


def guided_view(module: Module) -> Module:
    """A module with the very same parameters in which every ``nn.ReLU`` is a ``GuidedReLU``.

    No hooks: nothing to remove, and it compiles. Later changes to the parameters show in the view. A ReLU that is
    called as a function cannot be seen and would keep its ordinary gradient; the networks here have none.
    """
    if isinstance(module, nn.ReLU):
        return GuidedReLU()  # type: ignore[return-value]
    view = copy.copy(module)
    view._modules = {name: guided_view(child) if child is not None else None for name, child in module._modules.items()}
    return view
