"""From a vector back to the size of the image."""

from __future__ import annotations

from torch import Tensor, nn

from saccade.types import UserError

BASE_CHANNELS = 32
"""Channels of the first, smallest map of a decoder in the published code."""


class ImageDecoder(nn.Module):
    """Linear to a map of a quarter of the size, then three 3x3 convolutions with two nearest doublings between.

    The shape of SGQN's mask predictor (Bertoin et al., 2022) as coded: 32 -> 128 -> 64 -> ``out_channels``.
    Input ``[batch, in_features]``, output logits ``[batch, out_channels, image_size, image_size]``.
    ``image_size`` must be a multiple of 4, else UserError.
    """

    def __init__(self, in_features: int, image_size: int, out_channels: int, filters: tuple[int, int]) -> None:
        super().__init__()
        if image_size % 4:
            raise UserError(f"An image of {image_size} pixels cannot be decoded: use a multiple of 4, such as 84.")
        side = image_size // 4
        self.layers = nn.Sequential(
            nn.Linear(in_features, BASE_CHANNELS * side * side),
            nn.Unflatten(1, (BASE_CHANNELS, side, side)),
            nn.ReLU(),
            nn.Conv2d(BASE_CHANNELS, filters[0], 3, padding=1),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ReLU(),
            nn.Conv2d(filters[0], filters[1], 3, padding=1),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ReLU(),
            nn.Conv2d(filters[1], out_channels, 3, padding=1),
        )

    def forward(self, embedding: Tensor) -> Tensor:
        return self.layers(embedding)
