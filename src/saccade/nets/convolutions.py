"""Convolutions of pixels, and of few channels, arranged so that a GPU's matrix units can compute them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WHITE = 255.0
WORD_BYTES = 8
CHANNELS_OF_UNITS = 8
"""Matrix units for bfloat16 work on channels in multiples of this; other numbers take a slower path."""


def is_filled_up(maps: Tensor) -> bool:
    """Return whether convolutions of these maps are padded with channels of zeros: in bfloat16 on a GPU."""
    return maps.is_cuda and (maps.dtype == torch.bfloat16 or torch.is_autocast_enabled("cuda"))


def filled_up(maps: Tensor, dim: int = 1) -> Tensor:
    """Append channels of zeros to maps or kernels ``[.., .., height, width]``, in dimension 0 or 1."""
    missing = -maps.shape[dim] % CHANNELS_OF_UNITS
    return F.pad(maps, (0, 0, 0, 0, *((0, missing) if dim == 1 else (0, 0, 0, missing)))) if missing else maps


class FilledConvolution(nn.Conv2d):
    """A convolution that pads its input and output channels with zeros if that is faster.

    It computes the same: the channels of zeros are cut off again, and so are their gradients.
    """

    def kernels(self) -> Tensor:
        """Return the kernels that the input is convolved with."""
        return self.weight

    def forward(self, input: Tensor) -> Tensor:
        kernels = self.kernels()
        if not is_filled_up(input):
            return self._conv_forward(input, kernels, self.bias)
        bias = None if self.bias is None else F.pad(self.bias, (0, -self.out_channels % CHANNELS_OF_UNITS))
        output = self._conv_forward(filled_up(input), filled_up(filled_up(kernels), dim=0), bias)
        return output[:, : self.out_channels]


class PixelConvolution(FilledConvolution):
    """A convolution of pixels in 0..255, taken as 0..1: its kernels are divided instead of the many pixels.

    So the pixels are exact in bfloat16. If its stride divides its kernel, it sees patches on a CPU: the pixels of one
    stride become channels, and matrix units get more than three of them at a time.
    """

    def kernels(self) -> Tensor:
        return self.weight / WHITE

    def forward(self, input: Tensor) -> Tensor:
        if not self._sees_patches(input):
            return super().forward(input)
        side = self.stride[0]
        kernels = self.kernels().unflatten(3, (-1, side)).unflatten(2, (-1, side))  # [out, in, m, side, m, side]
        kernels = kernels.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        return F.conv2d(patches(input, side), kernels, self.bias)

    def _sees_patches(self, input: Tensor) -> bool:
        side, kernel = self.stride[0], self.kernel_size[0]
        whole = kernel % side == 0 and input.shape[2] % side == 0 == input.shape[3] % side
        square = self.stride[1] == side > 1 and self.kernel_size[1] == kernel and self.padding == (0, 0)
        return whole and square and not input.is_cuda and input.dtype == torch.bfloat16


def patches(maps: Tensor, side: int) -> Tensor:
    """Turn maps ``[batch, channel, height, width]`` to ``[batch, side * side * channel, height / side, width / side]``.

    A patch's channels are its pixels row by row, with the channels of a pixel next to each other.
    """
    batch, channel, height, width = maps.shape
    rows = maps.permute(0, 2, 3, 1).contiguous().view(batch, height // side, side, width // side, side * channel)
    words = rows.shape[-1] * rows.element_size() // WORD_BYTES
    if not rows.requires_grad and words * WORD_BYTES == rows.shape[-1] * rows.element_size():
        moved = rows.view(torch.int64).permute(0, 1, 3, 2, 4).contiguous().view(rows.dtype)  # fewer, wider copies
    else:
        moved = rows.permute(0, 1, 3, 2, 4).contiguous()
    return moved.view(batch, height // side, width // side, side * side * channel).permute(0, 3, 1, 2)


def input_gradient(layer: nn.Conv2d, gradient: Tensor, entered: Tensor) -> Tensor:
    """Return the gradient by a convolution's input, from that by its output, in the latter's type. Not differentiable.

    entered: the input, used only for its shape and memory layout.
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
