"""Attention inside a network: maps that its convolutions' output is multiplied by, and that can be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.convolutions import FilledConvolution
from saccade.nets.encoders import Convolutions, channels_last, in_floats
from saccade.nets.nature import convolution_of, map_sizes


class FreeLunchAttention(nn.Module):
    """One positive number for every place of some maps (Nikulin et al., 2019, section 3): FLS.

    Convolution, ReLU, convolution to one channel, SoftPlus; both keep the size. The numbers are not normalised.
    Input ``[batch, channels, height, width]``, output ``[batch, 1, height, width]``.
    """

    def __init__(self, channels: int, hidden: int = 256, kernel: int = 3) -> None:
        """kernel: side of both convolutions in pixels, odd."""
        super().__init__()
        self.hidden = FilledConvolution(channels, hidden, kernel, padding=kernel // 2)
        self.relu = nn.ReLU()
        self.out = FilledConvolution(hidden, 1, kernel, padding=kernel // 2)
        self.positive = nn.Softplus()

    def forward(self, maps: Tensor) -> Tensor:
        return self.positive(self.out(self.relu(self.hidden(maps))))


class AttentiveConvolutions(Convolutions):
    """Blocks of a convolution and a ReLU; what some of them give is multiplied by the attention computed from it.

    Input ``[batch, channels, height, width]`` in 0..255, any dtype; output ``[batch, channels of the last block,
    height, width]``. Raises UserError where the blocks leave nothing of the picture.
    """

    def __init__(
        self, blocks: Sequence[nn.Sequential], attentions: Mapping[int, nn.Module], picture_size: tuple[int, int]
    ) -> None:
        """attentions: by the block, counted from 0, that each follows; ``[batch, c, h, w] -> [batch, 1, h, w]``."""
        super().__init__()
        assert all(0 <= place < len(blocks) for place in attentions), attentions
        self.blocks = nn.ModuleList(blocks)
        self.attentions = nn.ModuleDict({str(place): attentions[place] for place in sorted(attentions)})
        self.map_sizes = map_sizes(blocks, picture_size)
        height, width = self.map_sizes[-1]
        self.out_features = convolution_of(blocks[-1]).out_channels * height * width

    def forward(self, obs: Tensor) -> Tensor:
        return self.attend(obs)[0]

    def attend(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and every attention ``[batch, 1, h, w]`` from the first on, in what convolutions compute in."""
        found: list[Tensor] = []

        def layers(maps: Tensor) -> Tensor:
            for place, block in enumerate(self.blocks):
                maps = block(maps)
                if str(place) in self.attentions:
                    found.append(self.attentions[str(place)](maps))
                    maps = maps * found[-1]
            return maps

        return self.computed(layers, channels_last(in_floats(obs))), found


def receptive_field(blocks: Sequence[nn.Sequential]) -> tuple[int, int]:
    """Side in pixels of what one place after these blocks sees, and how far apart its neighbours' are."""
    side, apart = 1, 1
    for layer in map(convolution_of, blocks):
        side += (layer.kernel_size[0] - 1) * apart
        apart *= layer.stride[0]
    return side, apart


def spread(attention: Tensor, field: tuple[int, int]) -> Tensor:
    """Attention on the pixels that it was computed from: each place's number, added up over its receptive field.

    The published display of FLS, before it is divided by an episode's maximum: a transposed convolution with ones, cut
    off at 0. Pixels in the middle are seen by more places: of an attention of ones it makes 1 in the corners and, of
    the Nature network's, 25 in the middle.

    Args:
        attention: ``[batch, 1, h, w]``.
        field: side and stride, as ``receptive_field`` gives them.

    Returns:
        ``[batch, 1, height, width]``, where ``height`` is ``side + (h - 1) * stride``.
    """
    side, stride = field
    ones = torch.ones((1, 1, side, side), dtype=attention.dtype, device=attention.device)
    return F.conv_transpose2d(attention, ones, stride=stride).clamp(min=0)
