"""Guided views: the same parameters with another backward rule at every ReLU."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.convolutions import input_gradient
from saccade.nets.views.graph import Reach, rewired

Module = TypeVar("Module", bound=nn.Module)


GUIDED = "guided"
"""Key in the metadata of a ``GuidedReLU``'s node in a graph, which other thresholds lack."""


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
        return torch.ops.aten.threshold_backward(_positive(gradients[0]), output, 0)


class GuidedReLU(nn.ReLU):
    """``nn.ReLU`` with the backward rule of guided backpropagation (Springenberg et al., 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return _GuidedReLU.apply(input)
        # The same, and faster than a function of our own: a threshold at 0 is differentiated as ReLU is, and the hook
        # is on this value alone, and vanishes with its graph.
        output = F.threshold(input, 0.0, 0.0, self.inplace)
        if output.requires_grad:
            output.register_hook(_positive)
            node: Any = output.grad_fn
            node.metadata[GUIDED] = True
        return output


def _positive(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0)


def guided_view(module: Module) -> Module:
    """Return a module with the very same parameters in which every ``nn.ReLU`` is a ``GuidedReLU``.

    It uses no hooks, so there is nothing to remove, and it compiles. Later changes to the parameters show in the view.
    A ReLU that is called as a function cannot be seen and would keep its ordinary gradient; the networks here have
    none, and ``saccade.saliency.guided_backpropagation`` refuses others that do. Raises UserError if a module is
    already compiled or scripted.
    """
    reach = Reach(module)
    guided = {key: _guided(layer) for key, layer in reach.things.items() if _is_plain_relu(layer)}
    return rewired(reach, guided).get(id(module), module)


def recorded_pass(layers: nn.Sequential, value: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the output of alternating convolutions and ReLUs, and the input of each convolution."""
    entered: list[Tensor] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            entered.append(value)
        value = layer(value)
    return value, entered


def walk_back_guided(layers: nn.Sequential, entered: list[Tensor], gradient: Tensor) -> Tensor:
    """Run guided backpropagation (Springenberg et al., 2015) through a recorded pass, without repeating it.

    A ReLU passes positive gradients through positive units; a unit is positive if the input of the next convolution
    is. gradient: with respect to the output. Returns that with respect to ``entered[0]``, in the type of the pass. Not
    differentiable.
    """
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    gradient = gradient.to(entered[-1].dtype)  # the type of the pass; the first input may have been more precise
    for layer, value in zip(reversed(convolutions), reversed(entered), strict=True):
        gradient = input_gradient(layer, gradient, value)
        if value is not entered[0]:
            gradient = torch.ops.aten.threshold_backward(gradient.clamp_(min=0), value, 0)
    return gradient


def _is_plain_relu(layer: object) -> bool:
    return isinstance(layer, nn.ReLU) and type(layer).forward is nn.ReLU.forward


def _guided(relu: nn.Module) -> GuidedReLU:
    guided = GuidedReLU()
    vars(guided).update(vars(relu))  # keeps what its owner has set on it, such as hooks
    return guided
