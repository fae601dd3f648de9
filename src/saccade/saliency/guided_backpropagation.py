"""Guided backpropagation (Springenberg et al., 2015): the gradient of a guided view of the network."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from saccade.nets.views.guided import GUIDED, guided_view
from saccade.saliency.batches import Run
from saccade.saliency.gradient import by_samples, derivative
from saccade.types import Score, UserError

RELU6 = 6.0  # its upper bound
OPAQUE = ("CompiledFunctionBackward", "DifferentiableGraphBackward")  # torch.compile's and TorchScript's
OTHER_RECTIFIERS = {
    "LeakyReluBackward0": "LeakyReLU",
    "PreluKernelBackward0": "PReLU",
    "RreluWithNoiseBackward0": "RReLU",
    "EluBackward0": "ELU or SELU",
    "CeluBackward0": "CELU",
    "SiluBackward0": "SiLU",
    "GeluBackward0": "GELU",
    "MishBackward0": "Mish",
    "HardswishBackward0": "Hardswish",
}
"""Activations in ReLU's place that have no guided rule, by their node in a graph. Tanh and the like may stay."""


def guided_backpropagation(score: Score, obs: Tensor, *, max_batch: int = 256) -> Tensor:
    """Return the gradient where each ReLU passes back only positive values, and only where its own output is positive.

    Signed, in the shape of ``obs``. Known to change little when the network's weights are replaced by random ones
    (Adebayo et al., 2018).

    Raises:
        UserError: what ``gradient`` refuses; or the network is compiled or scripted, calls ReLU as a function, so that
            its backward rule cannot be replaced, or has other activations in its place, or no ReLU at all: the map
            would be the plain gradient.
    """
    return by_samples(guided_derivative, guided(score), obs, max_batch)


def guided(score: Score) -> Score:
    """Return the score of the guided view of its network."""
    return score.through(guided_view(score.network))


def refuse_unguided(value: Tensor) -> None:
    """Raise UserError if guided backpropagation would be something else under its name.

    In the graph of a guided view's score there must be a guided ReLU, and none that kept its ordinary backward rule,
    in whatever form: a function, a clamp at 0, a threshold, a maximum, or another activation in its place.
    """
    any_guided = False
    seen: set[Any] = set()
    waiting: list[Any] = [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = node.name()
        if name.endswith(OPAQUE):
            raise UserError(
                "A part of the network is compiled or scripted, and guided backpropagation cannot look inside: "
                "give the network as it was before, or use the plain gradient."
            )
        if name in OTHER_RECTIFIERS or (name == "HardtanhBackward0" and node._saved_min_val >= 0):
            activation = OTHER_RECTIFIERS.get(name, "ReLU6 or a Hardtanh from 0")
            raise UserError(
                f"The network calls {activation}, for which there is no guided rule: its part of the map would be the "
                "plain gradient under another name, so use gradient."
            )
        guided = node.metadata.get(GUIDED, False)
        if not guided and _is_relu(name, node):
            raise UserError(
                "The network calls ReLU as a function, or as a clamp at 0, which guided backpropagation cannot see: "
                "make it an nn.ReLU module, or use the plain gradient."
            )
        any_guided |= guided
        waiting += [following for following, _ in node.next_functions]
    if not any_guided and value.requires_grad:
        raise UserError(
            "The score runs through no nn.ReLU, so that guided backpropagation would be the plain gradient under "
            "another name: use gradient."
        )


def _is_relu(name: str, node: Any) -> bool:
    """Whether a node of a graph is max(x, 0), computed by any function."""
    if name == "ReluBackward0":
        return True
    if name == "ThresholdBackward0":
        return bool(node._saved_threshold == 0)
    if name in ("ClampBackward0", "ClampBackward1", "ClampMinBackward0"):  # between 0 and 6 it is ReLU6
        above = getattr(node, "_saved_max", None)
        return _is_number(node._saved_min, 0) and (above is None or _is_number(above, RELU6))
    if name in ("MaximumBackward0", "FmaxBackward0"):
        return _is_number(node._saved_self, 0) or _is_number(node._saved_other, 0)
    return False


def _is_number(value: Any, number: float) -> bool:
    if isinstance(value, Tensor):
        return bool((value == number).all())
    return value is not None and bool(value == number)


guided_derivative: Run = functools.partial(derivative, inspect=refuse_unguided)
