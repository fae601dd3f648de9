"""What a critic's value depends on, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from saccade.nets.guided import guided_view
from saccade.pixels.masks import largest_per_frame
from saccade.saliency.gradient import gradient
from saccade.saliency.integrated_gradients import integrated_gradients

Attribution = Callable[[Tensor, Tensor], Tensor]


def attribution_of_q1(critic: nn.Module, method: str) -> Attribution:
    """``(obs, action) -> [batch, frames * 3, height, width]``: importance of every pixel for Q1, signed."""
    seen = guided_view(critic) if method == "guided_backpropagation" else critic
    find = integrated_gradients if method == "integrated_gradients" else gradient

    def attribute(obs: Tensor, action: Tensor) -> Tensor:
        return find(lambda pixels: seen(pixels, action)[0], obs)

    return attribute


def q_maps(critic: nn.Module) -> Mapping[str, Attribution]:
    """The map that every agent with a critic has: guided backpropagation of Q1, its largest value over the colours."""
    attribute = attribution_of_q1(critic, "guided_backpropagation")

    def q_attribution(obs: Tensor, action: Tensor) -> Tensor:
        return largest_per_frame(attribute(obs.float(), action))

    return {"q_attribution": q_attribution}
