"""Convolutions of pixels, and of few channels: what they see, and how a GPU's units for matrices get at them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WHITE = 255.0
CHANNELS_OF_UNITS = 8
"""Units for products of bfloat16 matrices work on channels in multiples of this; others take a slower way."""


def is_filled_up(maps: Tensor) -> bool:
    """Whether convolutions of these maps get channels of zeros: in bfloat16 on a GPU."""
    return maps.is_cuda and (maps.dtype == torch.bfloat16 or torch.is_autocast_enabled("cuda"))


def filled_up(maps: Tensor, dim: int = 1) -> Tensor:
    """Maps or kernels ``[.., .., height, width]`` with channels of zeros after theirs in dimension 0 or 1."""
    missing = -maps.shape[dim] % CHANNELS_OF_UNITS
    return F.pad(maps, (0, 0, 0, 0, *((0, missing) if dim == 1 else (0, 0, 0, missing)))) if missing else maps


class FilledConvolution(nn.Conv2d):
    """A convolution that fills up its channels, of what it sees and of what it gives, where that is faster.

    It computes the same: the channels of zeros are cut off again, and so are their gradients.
    """

    def kernels(self) -> Tensor:
        """What the input is convolved with."""
        return self.weight

    def forward(self, input: Tensor) -> Tensor:
        kernels = self.kernels()
        if not is_filled_up(input):
            return self._conv_forward(input, kernels, self.bias)
        bias = None if self.bias is None else F.pad(self.bias, (0, -self.out_channels % CHANNELS_OF_UNITS))
        output = self._conv_forward(filled_up(input), filled_up(filled_up(kernels), dim=0), bias)
        return output[:, : self.out_channels]


class PixelConvolution(FilledConvolution):
    """A convolution of pixels in 0..255, which it sees as 0..1: its kernels are divided instead of the many pixels.

    In bfloat16 the pixels are exact so.
    """

    def kernels(self) -> Tensor:
        return self.weight / WHITE


def input_gradient(layer: nn.Conv2d, gradient: Tensor, entered: Tensor) -> Tensor:
    """The gradient by what entered a convolution, from that by what it gave; in the latter's dtype. Not differentiable.

    entered: asked for its shape and its layout alone.
    """
    kernels = (layer.kernels() if isinstance(layer, FilledConvolution) else layer.weight).to(gradient.dtype)
    channels = entered.shape[1]
    entered = entered.to(gradient.dtype)
    if is_filled_up(gradient):
        kernels, entered = filled_up(kernels), filled_up(entered)
    found, _, _ = torch.ops.aten.convolution_backward(
        gradient, entered, kernels, None, layer.stride, layer.padding,
        layer.dilation, False, (0, 0), layer.groups, (True, False, False),
    )  # fmt: skip
    return found[:, :channels]
