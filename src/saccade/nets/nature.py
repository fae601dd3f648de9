"""Three convolutions with a ReLU after each: the Nature network's, smaller ones, and ones that keep every pixel."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from saccade.nets.convolutions import FilledConvolution, PixelConvolution
from saccade.nets.encoders import Convolutions, channels_last, in_floats
from saccade.types import UserError

Filters = tuple[int, int, int]
"""Channels of the three convolutions."""

Kernels = tuple[tuple[int, int, int], ...]
"""Side, stride and padding of each convolution, in pixels of its input."""

NATURE_KERNELS: Kernels = ((8, 4, 0), (4, 2, 0), (3, 1, 0))
SMALL_KERNELS: Kernels = ((3, 2, 1),) * 3
DENSE_KERNELS: Kernels = ((7, 1, 3), (5, 1, 2), (3, 1, 1))


class ThreeConvolutions(Convolutions):
    """Three blocks of a convolution and a ReLU.

    Input ``[batch, channels, height, width]`` in 0..255, any dtype; output ``[batch, filters[2], *map_size]``.
    """

    def __init__(self, blocks: list[nn.Sequential], picture_size: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*blocks)
        self.map_size = map_sizes(blocks, picture_size)[-1]
        self.out_features = convolution_of(blocks[-1]).out_channels * self.map_size[0] * self.map_size[1]

    def forward(self, obs: Tensor) -> Tensor:
        return self.computed(self.layers, channels_last(in_floats(obs, self.compute_dtype)))


def nature_convolutions(channels: int, picture_size: tuple[int, int], filters: Filters) -> ThreeConvolutions:
    """Make the convolutions of Mnih et al. (2015), without padding: 8x8 stride 4, 4x4 stride 2, 3x3; 84x84 becomes 7x7.

    Raises UserError for a picture of less than 36x36 pixels, of which they leave nothing.
    """
    return ThreeConvolutions(nature_blocks(channels, filters), picture_size)


def small_convolutions(channels: int, picture_size: tuple[int, int], filters: Filters) -> ThreeConvolutions:
    """Make three 3x3 convolutions with padding 1 that halve a picture of any size: 64x64 becomes 8x8. Ours."""
    return ThreeConvolutions(small_blocks(channels, filters), picture_size)


def nature_blocks(channels: int, filters: Filters) -> list[nn.Sequential]:
    """Make the Nature network's convolutions of pixels, each with its ReLU."""
    return _blocks(channels, filters, NATURE_KERNELS)


def small_blocks(channels: int, filters: Filters) -> list[nn.Sequential]:
    """Make the blocks of ``small_convolutions``."""
    return _blocks(channels, filters, SMALL_KERNELS)


def dense_blocks(channels: int, filters: Filters) -> list[nn.Sequential]:
    """Make convolutions of 7x7, 5x5 and 3x3 pixels that keep the picture's size (Nikulin et al., 2019, Dense FLS)."""
    return _blocks(channels, filters, DENSE_KERNELS)


def _blocks(channels: int, filters: Filters, kernels: Kernels) -> list[nn.Sequential]:
    kinds = (PixelConvolution, FilledConvolution, FilledConvolution)
    widths = itertools.pairwise((channels, *filters))
    return [
        nn.Sequential(kind(seen, given, side, stride=stride, padding=padding), nn.ReLU())
        for (seen, given), (side, stride, padding), kind in zip(widths, kernels, kinds, strict=True)
    ]


def map_sizes(blocks: Sequence[nn.Sequential], picture_size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return height and width of each block's output. Raises UserError if one leaves nothing of the picture."""
    sizes = []
    height, width = picture_size
    for block in blocks:
        layer = convolution_of(block)
        height, width = (
            (side + 2 * int(layer.padding[axis]) - layer.kernel_size[axis]) // layer.stride[axis] + 1
            for axis, side in enumerate((height, width))
        )
        if min(height, width) < 1:
            raise UserError(
                f"Three convolutions of this network leave nothing of a picture of {picture_size[1]}x{picture_size[0]} "
                "pixels: use larger pictures, or --network small."
            )
        sizes.append((height, width))
    return sizes


def convolution_of(block: nn.Module) -> nn.Conv2d:
    """Return the convolution that a block begins with."""
    assert isinstance(block, nn.Sequential)
    layer = block[0]
    assert isinstance(layer, nn.Conv2d)
    return layer
