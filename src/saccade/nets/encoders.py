"""Encoders, from pixels to a vector: the convolutions that actor and critic share, and each one's projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saccade.nets.convolutions import PixelConvolution
from saccade.nets.precision import MixedPrecision
from saccade.nets.views.guided import recorded_pass, walk_back_guided
from saccade.pixels.augmentations import center_crop
from saccade.types import UserError

COLOURS = 3


class Convolutions(MixedPrecision):
    """Convolutions in front of a projection: ``[batch, channels, height, width]`` in 0..255 -> features of any shape.

    Abstract. ``out_features``: numbers per sample in the output.
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
        self.side = side_of_features(image_size, num_layers)
        self.out_features = filters * self.side**2
        self.layers = nn.Sequential(
            PixelConvolution(in_channels, filters, 3, stride=2), *further_convolutions(num_layers - 1, filters)
        )

    def forward(self, obs: Tensor) -> Tensor:
        return self.computed(self.layers, self._pixels(obs))

    def recorded(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features, and the input of each convolution, which ``guided_gradient`` needs."""
        entered: list[Tensor] = []

        def layers(value: Tensor) -> Tensor:
            output, record = recorded_pass(self.layers, value)
            entered.extend(record)
            return output

        return self.computed(layers, self._pixels(obs)), entered

    @torch.no_grad()
    def guided_gradient(self, entered: list[Tensor], gradient: Tensor) -> Tensor:
        """Guided backpropagation from the features to the pixels of a recorded pass, without repeating it.

        gradient: of some value by the features, in their shape. Returns ``[batch, in_channels, image_size,
        image_size]``: for the middle of an observation that is larger; in the type of the pass.
        """
        return walk_back_guided(self.layers, entered, gradient)

    def _pixels(self, obs: Tensor) -> Tensor:
        return channels_last(in_floats(center_crop(obs, self.image_size)))


class RectifiedStack(Convolutions):
    """``ConvolutionStack`` with a ReLU after its last convolution too (the encoder of DrQ-v2, Yarats et al., 2021)."""

    def __init__(self, in_channels: int, image_size: int, filters: int, num_layers: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.out_features = filters * side_of_features(image_size, num_layers) ** 2
        first = PixelConvolution(in_channels, filters, 3, stride=2)
        self.layers = nn.Sequential(first, *further_convolutions(num_layers - 1, filters), nn.ReLU(inplace=True))

    def forward(self, obs: Tensor) -> Tensor:
        return self.computed(self.layers, channels_last(in_floats(center_crop(obs, self.image_size))))


class FrameStemStack(Convolutions):
    """``ConvolutionStack`` whose first convolutions see one frame at a time (SimGRL's feature-level frame stack).

    The stem, of ``stem_layers`` of the ``num_layers`` convolutions with ``stem_filters`` channels each, has the same
    weights for every frame. The other convolutions see its output for all frames, oldest first.

    Input and output as ``ConvolutionStack``'s. Raises UserError when the image is too small for the number of layers,
    when no layer is left after the stem, and for frames that do not have three colours.
    """

    def __init__(
        self, in_channels: int, image_size: int, filters: int, num_layers: int, stem_filters: int, stem_layers: int
    ) -> None:
        super().__init__()
        if in_channels % COLOURS:
            raise UserError(
                f"Observations of {in_channels} channels cannot be seen frame by frame: "
                "a stem needs frames of three colours, so a multiple of 3 channels."
            )
        if stem_layers >= num_layers:
            raise UserError(
                f"A stem of {stem_layers} convolutions leaves none of {num_layers} that sees all frames: "
                f"use --stem-layers {max(num_layers - 1, 1)} or fewer, or more --conv-layers."
            )
        self.image_size = image_size
        self.side = side_of_features(image_size, num_layers)
        self.out_features = filters * self.side**2
        self.stem = nn.Sequential(
            PixelConvolution(COLOURS, stem_filters, 3, stride=2),
            *further_convolutions(stem_layers - 1, stem_filters),
            nn.ReLU(inplace=True),
        )
        frames = in_channels // COLOURS
        self.layers = nn.Sequential(
            nn.Conv2d(frames * stem_filters, filters, 3), *further_convolutions(num_layers - stem_layers - 1, filters)
        )

    def forward(self, obs: Tensor) -> Tensor:
        frames = in_floats(center_crop(obs, self.image_size)).unflatten(1, (-1, COLOURS))
        return self.computed(self._layers_of_all, frames)

    def _layers_of_all(self, frames: Tensor) -> Tensor:
        seen = self.stem(channels_last(frames.flatten(0, 1))).unflatten(0, frames.shape[:2])
        return self.layers(channels_last(seen.flatten(1, 2)))


def in_floats(obs: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert pixels to floating point, still 0..255, which is exact even in bfloat16."""
    return obs if obs.is_floating_point() else obs.to(dtype)


def channels_last(maps: Tensor) -> Tensor:
    """Return the same maps with a pixel's channels adjacent in memory: convolutions are faster so, and keep it."""
    return maps.contiguous(memory_format=torch.channels_last)


def further_convolutions(count: int, filters: int) -> list[nn.Module]:
    """Return convolutions of stride 1 that keep the number of channels, each after a ReLU."""
    return [layer for _ in range(count) for layer in (nn.ReLU(inplace=True), nn.Conv2d(filters, filters, 3))]


def side_of_features(image_size: int, num_layers: int) -> int:
    """Return the side, in pixels, of a stack's output. Raises UserError if nothing is left."""
    side = (image_size - 3) // 2 + 1 - 2 * (num_layers - 1)
    if side < 1:
        raise UserError(
            f"{num_layers} convolutions leave nothing of a {image_size}-pixel image: "
            f"use at most {((image_size - 3) // 2) // 2 + 1} layers, or a larger image."
        )
    return side


class Projection(nn.Module):
    """Flatten, linear, layer normalisation, tanh: ``[batch, channels, side, side]`` -> ``[batch, out_features]``."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, out_features), nn.LayerNorm(out_features), nn.Tanh()
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
