"""Strided views: the same network, whose gradient by pictures takes a CPU less time.

The library's gradient by what entered a convolution of 8x8 pixels with stride 4 takes a CPU ten times as long as the
convolution itself, where pictures have few channels. The same numbers are a convolution without a stride, whose
channels are patches of 4x4 pixels, and a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from saccade.nets.convolutions import FilledConvolution, PixelConvolution
from saccade.nets.views.graph import Reach, rewired
from saccade.types import UserError

Module = TypeVar("Module", bound=nn.Module)

WORDS = (torch.complex128, torch.float64)
"""What copies 16 and 8 bytes at a time."""
ORDINARY = (nn.Conv2d.forward, FilledConvolution.forward, PixelConvolution.forward)


def strided_view(network: Module) -> Module:
    """A view of a network that gives the gradient by its pictures quicker on a CPU, and none by its weights.

    What it computes is the same; the gradient differs by rounding, and cannot be differentiated again. A network that
    has no such convolutions, or is compiled or scripted, is given back.
    """
    try:
        reach = Reach(network)
    except UserError:  # whoever compiled it had reasons
        return network
    strided = [key for key, layer in reach.things.items() if isinstance(layer, nn.Conv2d) and _is_strided(layer)]
    built = rewired(reach, {}, strided) if strided else {}
    for key in strided:
        vars(built[key])["forward"] = _forward(built[key])
    return cast(Module, built.get(id(network), network))


def _is_strided(layer: nn.Conv2d) -> bool:
    """Whether its kernels are whole patches of its stride, and it is computed as such layers usually are."""
    side, kernel = layer.stride[0], layer.kernel_size[0]
    square = layer.stride == (side, side) and layer.kernel_size == (kernel, kernel)
    simple = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
    own = "forward" in vars(layer) or type(layer).forward not in ORDINARY
    return square and simple and side > 1 and kernel % side == 0 and not own


def _forward(layer: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    usual, side = layer.forward, layer.stride[0]

    def forward(input: Tensor) -> Tensor:
        if not input.requires_grad or input.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return usual(input)
        height, width = input.shape[-2:]
        known = input.ndim == 4 and input.is_floating_point() and height % side == 0 == width % side
        weight = layer.kernels() if isinstance(layer, FilledConvolution) else layer.weight
        if not known or weight.dtype != input.dtype:
            return usual(input)
        bias = None if layer.bias is None else layer.bias.detach()
        return cast(Tensor, _Strided.apply(input, weight.detach(), bias, side))

    return forward


class _Strided(torch.autograd.Function):
    """A convolution with a stride, and its gradient by what entered it."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, side: int) -> Tensor:
        ctx.weight, ctx.side = weight, side
        return F.conv2d(input, weight, bias, side)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return input_gradient_of_patches(gradient, ctx.weight, ctx.side), None, None, None


def input_gradient_of_patches(gradient: Tensor, weight: Tensor, side: int) -> Tensor:
    """The gradient by what entered a convolution of stride ``side``, from that by what it gave.

    Args:
        weight: ``[out, in, kernel, kernel]``, whose kernel is a multiple of the stride.

    Returns:
        ``[batch, in, height, width]``, the channels of a pixel side by side.
    """
    channels = weight.shape[1]
    patches = weight.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # [out, in, m, side, m, side]
    kernels = patches.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
    last = torch.channels_last
    found = F.conv_transpose2d(gradient.contiguous(memory_format=last), kernels.contiguous(memory_format=last))
    rows = found.permute(0, 2, 3, 1).contiguous().unflatten(3, (side, -1))  # [batch, y, x, side, a row of a patch]
    words = rows.view(_word(rows))
    moved = words.transpose(2, 3).contiguous().view(gradient.dtype)
    return moved.flatten(3, 4).unflatten(3, (-1, channels)).flatten(1, 2).permute(0, 3, 1, 2)


def _word(rows: Tensor) -> torch.dtype:
    """What the last dimension is copied as: fewer, wider words."""
    size = rows.shape[-1] * rows.element_size()
    return next((word for word in WORDS if size % word.itemsize == 0), rows.dtype)
