"""A small network that gives every frame of an observation a soft mask."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from saccade.nets.convolutions import FilledConvolution
from saccade.nets.encoders import COLOURS
from saccade.nets.initialization import orthogonal_and_delta
from saccade.nets.precision import MixedPrecision


class Masker(MixedPrecision):
    """A soft mask of each frame, from that frame alone and by the same weights (MaDi, Grooten et al., 2024).

    3x3 convolutions that keep the size, ReLUs between them, a sigmoid at the end. Input ``[batch, frames * 3, height,
    width]`` in 0..255, any dtype; output ``[batch, frames, height, width]`` in 0..1. Weights begin delta-orthogonal.
    """

    def __init__(self, filters: int, num_layers: int) -> None:
        super().__init__()
        widths = [COLOURS, *[filters] * (num_layers - 1), 1]
        layers: list[nn.Module] = []
        for seen, given in itertools.pairwise(widths):
            layers += [FilledConvolution(seen, given, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1], nn.Sigmoid())
        self.apply(orthogonal_and_delta)

    def forward(self, obs: Tensor) -> Tensor:
        batch, channels, height, width = obs.shape
        frames = obs.reshape(-1, COLOURS, height, width) / 255.0
        # The convolutions, which keep this layout, take a third less time in it.
        mask = self.computed(self.layers, frames.contiguous(memory_format=torch.channels_last))
        return mask.reshape(batch, channels // COLOURS, height, width)
