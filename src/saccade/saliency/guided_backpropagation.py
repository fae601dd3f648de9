"""Guided backpropagation (Springenberg et al., 2015), which is the gradient of a guided view of the network."""

from __future__ import annotations

import functools

from torch import Tensor

from saccade.nets.guided import guided_view
from saccade.saliency.batches import Run
from saccade.saliency.gradient import by_samples, derivative
from saccade.types import Score, UserError

FUNCTIONAL_RELU = {"ReluBackward0"}
OPAQUE = ("CompiledFunctionBackward", "DifferentiableGraphBackward")  # torch.compile's and TorchScript's


def guided_backpropagation(score: Score, obs: Tensor, *, max_batch: int = 256) -> Tensor:
    """The gradient, of which every ReLU passes back only what is positive, where its own output is; signed.

    In the shape of ``obs``. Without any ReLU this is the gradient. Known to change little when the network's weights
    are replaced by random ones (Adebayo et al., 2018).

    Raises:
        UserError: what ``gradient`` refuses; or the network is compiled or scripted, or calls ReLU as a function, so
            that its backward rule cannot be replaced.
    """
    return by_samples(guided_derivative, guided(score), obs, max_batch)


def guided(score: Score) -> Score:
    """The score of the guided view of its network."""
    return score.through(guided_view(score.network))


def refuse_other_relus(value: Tensor) -> None:
    """Raise UserError where the graph of a guided view's score still has an ordinary ReLU in it, or may have."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() in FUNCTIONAL_RELU:
            raise UserError(
                "The network calls ReLU as a function, which guided backpropagation cannot see: "
                "make it an nn.ReLU module, or use the plain gradient."
            )
        if node.name().endswith(OPAQUE):
            raise UserError(
                "A part of the network is compiled or scripted, and guided backpropagation cannot look inside: "
                "give the network as it was before, or use the plain gradient."
            )
        waiting += [following for following, _ in node.next_functions]


guided_derivative: Run = functools.partial(derivative, inspect=refuse_other_relus)
