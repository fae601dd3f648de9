"""From pixels to a vector: the convolution stack that actor and critic share, and each one's projection."""

from __future__ import annotations

from torch import Tensor, nn

from saccade.pixels.augmentations import center_crop
from saccade.types import UserError


class Convolutions(nn.Module):
    """What may stand before a projection: ``[batch, channels, height, width]`` in 0..255 -> features of any shape.

    Abstract. ``out_features``: numbers per sample that come out.
    """

    out_features: int


class ConvolutionStack(Convolutions):
    """3x3 convolutions without padding, stride 2 in the first and 1 in the others (DMControl-GB's shared CNN).

    Input ``[batch, in_channels, height, width]`` in 0..255, any dtype, at least ``image_size`` pixels wide:
    a larger one is cropped in the middle. Output ``[batch, filters, side, side]``; no ReLU follows the last one.
    Raises UserError when the image is too small for the number of layers.
    """

    def __init__(self, in_channels: int, image_size: int, filters: int, num_layers: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.side = (image_size - 3) // 2 + 1 - 2 * (num_layers - 1)
        if self.side < 1:
            raise UserError(
                f"{num_layers} convolutions leave nothing of a {image_size}-pixel image: "
                f"use at most {((image_size - 3) // 2) // 2 + 1} layers, or a larger image."
            )
        self.out_features = filters * self.side**2
        layers: list[nn.Module] = [nn.Conv2d(in_channels, filters, 3, stride=2)]
        for _ in range(num_layers - 1):
            layers += [nn.ReLU(), nn.Conv2d(filters, filters, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(center_crop(obs, self.image_size) / 255.0)


class Projection(nn.Module):
    """Flatten, linear, layer normalisation, tanh: ``[batch, channels, side, side]`` -> ``[batch, out_features]``."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, out_features), nn.LayerNorm(out_features), nn.Tanh()
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
