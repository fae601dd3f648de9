"""Decoders: from a vector back to the size of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.convolutions import CHANNELS_OF_UNITS, filled_up, is_filled_up
from saccade.nets.precision import MixedPrecision
from saccade.types import UserError

BASE_CHANNELS = 32
"""Channels of the first, smallest map of a decoder in the published code."""
SIDE_STEP = 4
"""The side of a decoded picture must be a multiple of this: a decoder doubles its resolution twice."""


def nearest_side(size: int) -> int:
    """Return the side nearest to ``size`` that can be decoded."""
    return max(round(size / SIDE_STEP), 1) * SIDE_STEP


class DoublingConvolution(nn.Conv2d):
    """A nearest doubling of height and width followed by a 3x3 convolution with padding 1, as one operation.

    Input ``[batch, in_channels, height, width]``, output ``[batch, out_channels, 2 height, 2 width]``. After the
    doubling, neighbouring pixels repeat, so that four different 2x2 kernels on the small map give the same numbers with
    4/9 of the multiplications: a transposed convolution with stride 2, whose 4x4 kernel is the 3x3 one spread over the
    two copies of every pixel. Parameters are those of the 3x3 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        # Row i of a 3-pixel kernel, seen from the small map: kernel position k of the transposed convolution
        # collects the rows that meet the same small pixel.
        spread = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel = torch.einsum("ka,oiab,lb->iokl", self.spread, self.weight, self.spread)
        if not is_filled_up(input):
            return F.conv_transpose2d(input, kernel, self.bias, stride=2, padding=1)
        assert self.bias is not None
        bias = F.pad(self.bias, (0, -self.out_channels % CHANNELS_OF_UNITS))
        output = F.conv_transpose2d(input, filled_up(kernel), bias, stride=2, padding=1)
        return output[:, : self.out_channels]


class ChannelsLast(nn.Module):
    """Returns the map ``[batch, channels, height, width]`` with a pixel's channels adjacent in memory.

    The layers after it keep that layout, in which convolutions and doublings run faster.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return maps.contiguous(memory_format=torch.channels_last)


class ImageDecoder(MixedPrecision):
    """Linear to a map of a quarter of the size, then three 3x3 convolutions with two nearest doublings between.

    The shape of SGQN's mask predictor (Bertoin et al., 2022) as coded: 32 -> 128 -> 64 -> ``out_channels``.
    Input ``[batch, in_features]``, output logits ``[batch, out_channels, image_size, image_size]``.
    ``image_size`` must be a multiple of 4, else UserError.
    """

    def __init__(self, in_features: int, image_size: int, out_channels: int, filters: tuple[int, int]) -> None:
        super().__init__()
        if image_size % SIDE_STEP:
            raise UserError(
                f"An image of {image_size} pixels cannot be decoded: use a multiple of {SIDE_STEP}, such as "
                f"{nearest_side(image_size)}."
            )
        side = image_size // SIDE_STEP
        self.layers = nn.Sequential(
            nn.Linear(in_features, BASE_CHANNELS * side * side),
            nn.Sequential(nn.Unflatten(1, (BASE_CHANNELS, side, side)), ChannelsLast()),
            nn.ReLU(inplace=True),
            nn.Conv2d(BASE_CHANNELS, filters[0], 3, padding=1),
            nn.ReLU(inplace=True),
            DoublingConvolution(filters[0], filters[1]),
            nn.ReLU(inplace=True),
            DoublingConvolution(filters[1], out_channels),
        )

    def forward(self, embedding: Tensor) -> Tensor:
        return self.computed(self.layers, embedding)


class FrameDecoder(nn.Module):
    """One picture per stacked frame, from one embedding of all: an embedding per frame, then one ``ImageDecoder``.

    The shape of SMG's branches (Zhang et al., 2024) as coded: linear, split into frames, ReLU. Input
    ``[batch, in_features]``, output logits ``[batch, frames, out_channels, image_size, image_size]``. ``image_size``
    must be a multiple of 4, else UserError.
    """

    def __init__(
        self, in_features: int, frames: int, image_size: int, out_channels: int, filters: tuple[int, int]
    ) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Linear(in_features, frames * in_features), nn.Unflatten(1, (frames, in_features)), nn.ReLU()
        )
        self.decoder = ImageDecoder(in_features, image_size, out_channels, filters)

    def forward(self, embedding: Tensor) -> Tensor:
        frames = self.head(embedding)
        return self.decoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
