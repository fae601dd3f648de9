"""What a policy's observations look like, derived from the observation space and never guessed silently."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from saccade.policies.normalisation import BYTE, UNIT, Normalisation
from saccade.types import UserError

RGB = 3
RGB_PART, GREY = "rgb", "grey"
PART = re.compile(r"[a-z][a-z0-9_]*")
LARGEST_CHANNELS = 64  # with more than this, they are rows of a picture

Layout = Literal["channels_first", "channels_last", "one_channel", "stacked_channels_first", "stacked_channels_last"]
STACKED = ("stacked_channels_first", "stacked_channels_last")


PICTURES_NEEDED = (
    "[channel, height, width], [height, width, channel] or [height, width] is needed, or a stack of such frames; "
    "gymnasium.wrappers.AddRenderObservation makes pictures of an environment that gives numbers."
)

ROUNDING = 1e-5
"""How far, as a fraction of the brightest value, resizing and dividing in float32 may leave the range."""
ROUNDING_NORMALISED = 1e-3
"""The same where mean and standard deviation were given with few digits."""


@final
@dataclass(frozen=True)
class Pixels:
    """Layout and range of a policy's observations.

    Attributes:
        shape: of one observation, as the environment gives it.
        dtype: its type there, such as ``uint8``.
        high: the brightest value, 255 or 1; the darkest is 0.
        layout: where the channels are; ``one_channel`` is ``[height, width]``, and the stacked ones are frames
            ``[frame, channel, height, width]`` or ``[frame, height, width, channel]``, as Gymnasium stacks them.
        colours: channels per frame; the channels are frames of this many, oldest first.
        channels: what the channels of a frame are, in order: ``rgb`` is three of them; ``grey``, ``depth``, ``alpha``
            and any other word is one. Empty if it was not given: then 3 are taken for colours, and 1 for grey.
        normalised: what the network's input is normalised with. The environment's observations are then normalised
            already if they are floats, and pictures in 0..255 if they are bytes; ``high`` applies to the pictures.
    """

    shape: tuple[int, ...]
    dtype: str
    high: float
    layout: Layout
    colours: int
    channels: tuple[str, ...] = ()
    normalised: Normalisation | None = None

    @property
    def said(self) -> bool:
        """Whether the kind of the channels was given, and is not only assumed."""
        return bool(self.channels)

    @property
    def parts(self) -> tuple[str, ...]:
        """``channels``, or what they are assumed to be."""
        return self.channels or ((RGB_PART,) if self.colours == RGB else (GREY,))

    def with_channels(self, text: str) -> Pixels:
        """Return the same pixels with the channels of a frame named, such as ``rgb,depth``.

        Raises:
            UserError: these are no words, one comes twice, or the channels do not form such frames.
        """
        parts = tuple(part.strip() for part in text.split(","))
        if not all(PART.fullmatch(part) for part in parts) or len(set(parts)) != len(parts):
            raise UserError(
                f"--channels {text!r} is no list of what the channels of one frame are: give words, each once, such as "
                "rgb,depth (rgb is three channels, any other word one); frames of a stack repeat by themselves."
            )
        width, count = sum(map(part_width, parts)), self.channels_first[0]
        if count % width:
            raise UserError(
                f"--channels {text} names {width} channels for each frame, but the observation has {count}, which do "
                "not form such frames: name all channels of one frame (rgb is three, any other word one)."
            )
        return dataclasses.replace(self, colours=width, channels=parts)

    @property
    def channels_first(self) -> tuple[int, int, int]:
        """The shape ``(channel, height, width)`` that networks and maps use."""
        if self.layout == "one_channel":
            return (1, self.shape[0], self.shape[1])
        if self.layout == "channels_last":
            return (self.shape[2], self.shape[0], self.shape[1])
        if self.layout == "stacked_channels_first":
            return (self.shape[0] * self.shape[1], self.shape[2], self.shape[3])
        if self.layout == "stacked_channels_last":
            return (self.shape[0] * self.shape[3], self.shape[1], self.shape[2])
        return (self.shape[0], self.shape[1], self.shape[2])

    @property
    def frames(self) -> int:
        """The number of frames in a stacked observation."""
        return self.channels_first[0] // self.colours

    def tensor(self, obs: np.ndarray, device: torch.device) -> Tensor:
        """Return observations ``[*shape]`` or ``[batch, *shape]`` as float ``[batch, channel, height, width]``.

        The range stays the same. The result is a copy: later writes to ``obs`` do not change it.

        Raises:
            UserError: another shape or dtype, or values outside the range.
        """
        obs = np.asarray(obs)
        fits = obs.ndim - len(self.shape) in (0, 1) and obs.shape[-len(self.shape) :] == self.shape
        both_floats = obs.dtype.kind == np.dtype(self.dtype).kind == "f"
        if not fits or obs.size == 0 or not (str(obs.dtype) == self.dtype or both_floats):
            raise UserError(
                f"The policy was given observations of shape {obs.shape} and type {obs.dtype}; "
                f"it takes {self.dtype} of shape {self.shape} or a batch of them."
            )
        batch = torch.from_numpy(np.array(obs, order="C")).to(device).reshape(-1, *self.shape).float()
        if self.layout in ("channels_last", "stacked_channels_last"):
            batch = batch.movedim(-1, -3).contiguous()
        batch = batch.reshape(-1, *self.channels_first)
        if self.normalised is not None:
            if both_floats:
                mean, std = self._normal(batch)
                batch = batch * std + mean
            else:
                batch = batch * (self.high / BYTE)
        darkest, brightest = (float(value) for value in batch.aminmax())
        slack = (ROUNDING if self.normalised is None else ROUNDING_NORMALISED) * self.high if both_floats else 0.0
        if not (darkest >= -slack and brightest <= self.high + slack):  # NaN too
            undone = "" if self.normalised is None else f", once it is no longer {self.normalised.description()}"
            raise UserError(
                f"The policy was given an observation with values in {darkest:g}..{brightest:g}{undone}; it takes "
                f"0..{self.high:g}."
            )
        return batch.clamp(0, self.high) if darkest < 0 or brightest > self.high else batch

    def as_given(self, obs: Tensor) -> Tensor:
        """Return ``[batch, channel, height, width]`` as the network takes it: ``[batch, *shape]``, normalised."""
        if self.normalised is not None:
            mean, std = self._normal(obs)
            obs = (obs - mean) / std
        if self.layout == "one_channel":
            return obs[:, 0]
        if self.layout in STACKED:
            obs = obs.unflatten(1, (self.shape[0], -1))
        return obs.movedim(-3, -1) if self.layout in ("channels_last", "stacked_channels_last") else obs

    def _normal(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the channels, each ``[channel, 1, 1]``."""
        assert self.normalised is not None
        mean, std = (torch.as_tensor(one, device=obs.device) for one in self.normalised.per_channel(obs.shape[1]))
        return mean[:, None, None], std[:, None, None]

    def description(self) -> str:
        """Describe the observations in words, so that a person can see what was understood."""
        _, height, width = self.channels_first
        known: dict[tuple[str, ...], str] = {(RGB_PART,): "RGB ", (GREY,): "grey "}
        of = "" if self.parts in known else f" ({', '.join(self.parts)})"
        frames = f"{self.frames} {known.get(self.parts, '')}frame{'s' if self.frames > 1 else ''}{of}"
        normalised = "" if self.normalised is None else f", {self.normalised.description()}"
        return f"{frames} of {width}x{height} pixels, 0..{self.high:g}{normalised}, {self.layout.replace('_', ' ')}"


def pixels_of(
    shape: tuple[int, ...],
    dtype: str,
    low: Any,
    high: Any,
    *,
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
) -> Pixels:
    """Return what a Box observation space says about pictures; ``low`` and ``high`` are numbers or arrays.

    Args:
        layout: which one is meant, where a space could mean two things.
        colours: channels per frame; by default 3 if the channels are a multiple of 3, else 1.
        normalised: what the network's input is normalised with; the space may then have any range.

    Raises:
        UserError: the space is not one of pictures in 0..255 or 0..1, or could mean two things.
    """
    if len(shape) not in (2, 3, 4):
        raise UserError(f"Observations of shape {tuple(shape)} are not pictures. {PICTURES_NEEDED}")
    darkest, brightest = float(np.min(low)), float(np.max(high))
    if normalised is not None:
        brightest = normalised.high
    elif darkest != 0.0 or brightest not in (BYTE, UNIT):
        raise UserError(
            f"Observations in {darkest:g}..{brightest:g} are not pictures that can be explained: pixels must lie in "
            "0..255 or in 0..1, as the observation space declares them, or their --mean and --std must be given."
        )
    found = layout or _layout(tuple(shape))
    if len(shape) == 4 and found in ("channels_first", "channels_last"):
        found = "stacked_channels_first" if found == "channels_first" else "stacked_channels_last"
    if (found == "one_channel") != (len(shape) == 2) or (found in STACKED) != (len(shape) == 4):
        raise UserError(f"Observations of shape {tuple(shape)} cannot be {found.replace('_', ' ')}.")
    pixels = Pixels(tuple(int(side) for side in shape), str(np.dtype(dtype)), brightest, found, 1)
    channels = pixels.channels_first[0]
    if found in STACKED and colours is None:
        return _stacked(pixels, normalised)
    said = {None: (), 1: (GREY,), RGB: (RGB_PART,)}.get(colours, ())
    per_frame = colours or (RGB if channels % RGB == 0 else 1)
    if per_frame not in (1, RGB) or channels % per_frame:
        raise UserError(
            f"{channels} channels do not form frames of {per_frame} colours: --colours must be 1 or 3 and fit; name "
            "other channels with --channels, such as rgb,depth."
        )
    if normalised is not None:
        normalised.per_channel(channels)
    return Pixels(pixels.shape, pixels.dtype, brightest, found, per_frame, said, normalised)


def _stacked(pixels: Pixels, normalised: Normalisation | None) -> Pixels:
    """The same pixels, with the number of frames taken from the shape."""
    colours = pixels.channels_first[0] // pixels.shape[0]
    parts = {1: (GREY,), RGB: (RGB_PART,)}.get(colours, tuple(f"channel {i + 1}" for i in range(colours)))
    if normalised is not None:
        normalised.per_channel(pixels.channels_first[0])
    return dataclasses.replace(pixels, colours=colours, channels=parts, normalised=normalised)


def part_width(part: str) -> int:
    """Return how many channels a part of a frame has."""
    return RGB if part == RGB_PART else 1


def _layout(shape: tuple[int, ...]) -> Layout:
    if len(shape) == 2:
        return "one_channel"
    if len(shape) == 4:
        one = _layout(shape[1:])  # of a frame
        return "stacked_channels_first" if one == "channels_first" else "stacked_channels_last"
    if len(shape) != 3:
        raise UserError(f"Observations of shape {shape} are not pictures. {PICTURES_NEEDED}")
    first, last = (shape[0] < min(shape[1:]), shape[2] < min(shape[:2]))
    if first == last or min(shape) > LARGEST_CHANNELS:
        raise UserError(
            f"Observations of shape {shape} may have their channels first or last: say which with "
            "--layout channels_first or --layout channels_last."
        )
    return "channels_first" if first else "channels_last"
