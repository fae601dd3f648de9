"""The gradient of a score with respect to the pixels, which is also guided backpropagation on a guided view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from saccade.types import Score


def gradient(score: Score, obs: Tensor) -> Tensor:
    """Derivative of each sample's score with respect to its own pixels, signed, in the shape of ``obs``.

    On ``saccade.nets.guided.guided_view`` of a network this is guided backpropagation (Springenberg et al., 2015).
    Parameters get no gradient, nothing is left on the networks, and the call compiles. obs must be floating point.
    """
    if torch.compiler.is_compiling():  # where autograd.grad on an input does not trace
        with torch.no_grad():
            return torch.func.grad(lambda pixels: score(pixels).sum())(obs)
    with torch.enable_grad():  # the same numbers in two thirds of the time
        pixels = obs.detach().requires_grad_()
        return torch.autograd.grad(score(pixels).sum(), pixels)[0]
