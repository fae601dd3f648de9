"""Attention inside a network: maps by which its convolutions' output is multiplied, and which can be shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.convolutions import FilledConvolution
from saccade.nets.encoders import Convolutions, channels_last, in_floats
from saccade.nets.nature import convolution_of, map_sizes

SMALLEST_SQUARE = 1e-12
"""A smaller sum of squares is replaced by this, so that nothing is divided by zero: TensorFlow's ``l2_normalize``."""


class FreeLunchAttention(nn.Module):
    """One positive number for every position of some feature maps (Nikulin et al., 2019, section 3): FLS.

    Convolution, ReLU, convolution to one channel, SoftPlus; both keep the size. The numbers are not normalised, unless
    ``normalised`` divides them by their sum over all positions. Input ``[batch, channels, height, width]``, output
    ``[batch, 1, height, width]``.
    """

    def __init__(
        self, channels: int, hidden: int = 256, kernel: int = 3, base: float = math.e, normalised: bool = False
    ) -> None:
        """kernel: side of both convolutions in pixels, odd. base: SoftPlus is the logarithm to it of 1 + base^x."""
        super().__init__()
        self.hidden = FilledConvolution(channels, hidden, kernel, padding=kernel // 2)
        self.relu = nn.ReLU()
        self.out = FilledConvolution(hidden, 1, kernel, padding=kernel // 2)
        self.positive = nn.Softplus(beta=math.log(base))
        self.normalised = normalised

    def forward(self, maps: Tensor) -> Tensor:
        attention = self.positive(self.out(self.relu(self.hidden(maps))))
        return attention / sum_over_places(attention) if self.normalised else attention


class SoftmaxAttention(nn.Module):
    """Weights of the positions of feature maps: 1x1 convolutions, a softmax over positions, a sum over maps.

    One map after a tanh is DAQN's (Sorokin et al., 2015, as Nikulin et al. have it), two after an ELU are those of the
    region-sensitive network (Yang et al., 2018, as Nikulin et al. have it). Input ``[batch, channels, height, width]``,
    output ``[batch, 1, height, width]``, whose sum is ``count``.
    """

    def __init__(self, channels: int, hidden: int, activation: Callable[[], nn.Module], count: int = 1) -> None:
        """count: number of maps, each with a softmax of its own."""
        super().__init__()
        self.hidden = FilledConvolution(channels, hidden, 1)
        self.activation = activation()
        self.out = FilledConvolution(hidden, count, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.shares(maps).sum(1, keepdim=True)

    def shares(self, maps: Tensor) -> Tensor:
        """Return the maps before they are summed, ``[batch, count, height, width]``."""
        logits = self.out(self.activation(self.hidden(maps)))
        return logits.flatten(2).softmax(-1, dtype=digits_for_sums(logits)).unflatten(2, logits.shape[2:])


class UnitLength(nn.Module):
    """Divides the vector of all channels at every position by its length (TensorFlow's ``l2_normalize``)."""

    def forward(self, maps: Tensor) -> Tensor:
        squares = maps.square().sum(1, keepdim=True, dtype=digits_for_sums(maps))
        return maps * squares.clamp(min=SMALLEST_SQUARE).rsqrt()


def digits_for_sums(value: Tensor) -> torch.dtype:
    """Return the type in which numbers are summed: their own, but at least float32."""
    return torch.promote_types(value.dtype, torch.float32)


def sum_over_places(maps: Tensor) -> Tensor:
    """Sum over positions: ``[batch, channels, height, width]`` -> ``[batch, channels, 1, 1]``."""
    return maps.sum((2, 3), keepdim=True, dtype=digits_for_sums(maps))


class AttentiveConvolutions(Convolutions):
    """Blocks that begin with a convolution; the output of some is multiplied by an attention computed from it.

    Input ``[batch, channels, height, width]`` in 0..255, any dtype; output ``[batch, channels of the last block,
    height, width]``, or ``[batch, channels]`` if it is ``pooled``. Raises UserError if the blocks leave nothing
    of the picture.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Sequential],
        attentions: Mapping[int, nn.Module],
        picture_size: tuple[int, int],
        *,
        pooled: bool = False,
        margin: int = 0,
    ) -> None:
        """Make the blocks.

        Args:
            blocks: each a convolution and what follows it.
            attentions: by the number, from 0, of the block that each follows; ``[batch, c, h, w] -> [batch, 1, h, w]``.
            picture_size: height and width in pixels.
            pooled: whether the output is summed over all positions.
            margin: pixels of black that are put around the picture first.
        """
        super().__init__()
        assert all(0 <= place < len(blocks) for place in attentions), attentions
        self.blocks = nn.ModuleList(blocks)
        self.attentions = nn.ModuleDict({str(place): attentions[place] for place in sorted(attentions)})
        self.picture_size, self.pooled, self.margin = picture_size, pooled, margin
        self.map_sizes = map_sizes(blocks, (picture_size[0] + 2 * margin, picture_size[1] + 2 * margin))
        height, width = self.map_sizes[-1]
        self.out_features = convolution_of(blocks[-1]).out_channels * (1 if pooled else height * width)

    def forward(self, obs: Tensor) -> Tensor:
        return self.attend(obs)[0]

    def attend(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output, and every attention ``[batch, 1, h, w]`` in order, in the type it was computed in."""
        found: list[Tensor] = []

        def layers(maps: Tensor) -> Tensor:
            maps = F.pad(maps, (self.margin,) * 4) if self.margin else maps
            for place, block in enumerate(self.blocks):
                maps = block(maps)
                if str(place) in self.attentions:
                    found.append(self.attentions[str(place)](maps))
                    maps = maps * found[-1]
            return sum_over_places(maps).flatten(1) if self.pooled else maps

        return self.computed(layers, channels_last(in_floats(obs, self.compute_dtype))), found

    def together(self, found: Sequence[Tensor]) -> Tensor:
        """All attentions as one map of the first one's size: later ones spread over what they were computed from."""
        first, *later = map(int, self.attentions)
        total = found[0]
        for place, attention in zip(later, found[1:], strict=True):
            field = receptive_field(self.blocks[first + 1 : place + 1])
            total = total + spread(attention, field, self.map_sizes[first])
        return total

    def displayed(self, attention: Tensor) -> Tensor:
        """Return the result of ``together``, ``[batch, 1, h, w]``, on the picture: ``[batch, 1, height, width]``.

        A margin is ignored, as in the published display: the map is then too low and too far to the right by it.
        """
        first = int(next(iter(self.attentions)))
        return spread(attention, receptive_field(self.blocks[: first + 1]), self.picture_size)


class Field(NamedTuple):
    """The receptive field of one position, in pixels of an earlier layer."""

    side: int
    stride: int
    """How far apart the fields of neighbouring positions are."""
    before: int
    """How far beyond the edge the first field begins."""


def receptive_field(blocks: Iterable[nn.Module]) -> Field:
    """Return the receptive field of one position after these blocks."""
    side, apart, before = 1, 1, 0
    for layer in map(convolution_of, blocks):
        side += (layer.kernel_size[0] - 1) * apart
        before += int(layer.padding[0]) * apart
        apart *= layer.stride[0]
    return Field(side, apart, before)


def spread(attention: Tensor, field: Field, size: tuple[int, int]) -> Tensor:
    """Spread attention over the pixels that it was computed from: each number is added to its whole receptive field.

    The published display of FLS, before division by an episode's maximum: a transposed convolution with ones, clipped
    at 0. Pixels in the middle are seen by more positions: from an attention of ones it makes 1 in the corners and, for
    the Nature network, 25 in the middle.

    Args:
        attention: ``[batch, 1, h, w]``.
        field: the receptive field of its positions.
        size: height and width of what it was computed from; pixels that no position sees get 0.

    Returns:
        ``[batch, 1, height, width]``.
    """
    side, stride, before = field
    ones = torch.ones((1, 1, side, side), dtype=attention.dtype, device=attention.device)
    found = F.conv_transpose2d(attention, ones, stride=stride)
    below, beside = (whole + before - found.shape[axis] for whole, axis in zip(size, (2, 3), strict=True))
    return F.pad(found, (-before, beside, -before, below)).clamp(min=0)
