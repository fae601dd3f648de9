"""Attribution: which pixels an output of a network depends on, in a form that losses can use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.encoders import ConvolutionStack
from saccade.nets.views.guided import guided_view
from saccade.pixels.masks import largest_per_frame
from saccade.saliency.gradient import derivative
from saccade.saliency.integrated_gradients import integrated_derivative

Attribution = Callable[[Tensor, Tensor], Tensor]

Network = TypeVar("Network", bound=nn.Module)

Look = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

STEPS_IN_LOSS = 16
"""Steps of integrated gradients inside a loss: a third of those for explaining, since every update pays for them."""


def attribution_of_q1(critic: nn.Module, method: str) -> Attribution:
    """Return ``(obs, action) -> [batch, frames * 3, height, width]``: each pixel's signed importance for Q1.

    For use in losses: it compiles, and never waits for the device. Plain functions rather than a ``Score``, which
    PyTorch 2.11 cannot make while it compiles.
    """

    def q1(network: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        value: Tensor = network(obs, action)[0]
        return value

    return attribution_of(critic, q1, method)


def attribution_of(network: Network, output: Callable[[Network, Tensor, Tensor], Tensor], method: str) -> Attribution:
    """Return ``(obs, action) ->`` each pixel's signed importance for an output of a network, in the shape of ``obs``.

    output: ``(network, obs, action) -> [batch]``, which reaches weights through that argument alone.
    """
    seen = guided_view(network) if method == "guided_backpropagation" else network

    def attribute(obs: Tensor, action: Tensor) -> Tensor:
        def score(pixels: Tensor) -> Tensor:
            return output(seen, pixels, action)

        if method == "integrated_gradients":
            return integrated_derivative(score, obs, steps=STEPS_IN_LOSS)
        return derivative(score, obs)

    return attribute


def look_of_critic(critic: Any, method: str) -> Look:
    """Return ``(obs, action) -> (features, attribution)``: the convolutions' output and each pixel's importance for Q1.

    The features are differentiable, the attribution is not. Guided backpropagation through the benchmark's stack goes
    back through the pass that computes the features; everything else makes passes of its own.
    """
    stack, attribute = critic.convolutions, attribution_of_q1(critic, method)
    if method != "guided_backpropagation" or not isinstance(stack, ConvolutionStack):
        return lambda obs, action: (stack(obs), attribute(obs, action))
    heads = guided_view(critic)

    def look(obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        features, entered = stack.recorded(obs)
        gradient = derivative(lambda values: heads.value(values, action), features.detach())
        return features, uncropped(stack.guided_gradient(entered, gradient), obs)

    return look


def uncropped(cropped: Tensor, obs: Tensor) -> Tensor:
    """Return a map of an observation's middle in the observation's size, zero around it."""
    (height, width), size = obs.shape[-2:], cropped.shape[-1]
    top, left = (height - size) // 2, (width - size) // 2
    return (
        F.pad(cropped, (left, width - size - left, top, height - size - top)) if height + width > 2 * size else cropped
    )


def q_maps(critic: nn.Module) -> Mapping[str, Attribution]:
    """Return the map of every agent with a critic: guided backpropagation of Q1, its largest value over the colours."""
    return {"q_attribution": as_map(attribution_of_q1(critic, "guided_backpropagation"))}


def as_map(attribute: Attribution, colours: int = 3) -> Attribution:
    """Return an attribution of pixels in 0..255, of any type, as a map: its largest value over a frame's colours."""

    def found(obs: Tensor, action: Tensor) -> Tensor:
        return largest_per_frame(attribute(obs.float(), action), colours)

    return found
