"""Shifts: what may come between a camera and a policy, such as light, blur, noise or a video; one row each.

A row changes one picture of any environment. Its strength lies in 0..1: 0 leaves the picture alone, 1 is
strong, and a person still recognises what is shown. Random changes depend on the episode's seed and the step alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""``[height, width, colours]`` in 0..1; three colours are red, green and blue, and one is grey."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
RGB = 3
OF_EPISODE, OF_MOMENT = 1, 2  # prefixes of the seeds of two kinds of draws, which keep them apart


@final
@dataclass(frozen=True)
class Occasion:
    """When a picture was rendered, which is all that a row's random numbers depend on.

    Attributes:
        seed: of the episode.
        step: agent steps since it began.
        before: how many frames before the newest one of that step, if a step shows several.
        place: of the row among those of its mode.
        replaced: bool ``[height, width]``, the pixels that a video may replace; None if unknown.
        clips: those that a video may play, uint8 ``[frames, side, side, 3]`` each, ``side`` the picture's longer one.
    """

    seed: int
    step: int
    before: int = 0
    place: int = 0
    replaced: NDArray[np.bool_] | None = None
    clips: Sequence[NDArray[np.uint8]] = ()

    def of_episode(self) -> np.random.Generator:
        """Return a generator of the same random numbers throughout the episode."""
        return np.random.default_rng([OF_EPISODE, self.seed, self.place])

    def of_moment(self) -> np.random.Generator:
        """Return a generator of other random numbers in every frame."""
        return np.random.default_rng([OF_MOMENT, self.seed, self.place, self.step, self.before])


@final
@dataclass(frozen=True)
class Row:
    """One way in which pictures can change.

    Attributes:
        summary: what happens, and what it is at strength 1.
        change: ``(picture, strength, occasion) -> picture`` in 0..1; it writes to no array that it is given.
        draws: whether another seed gives another picture.
        needs_colours: whether it cannot change grey pictures.
        needs_background: whether it must be given the pixels that it replaces.
        least_side: pixels of the shorter side below which its effect is invisible.
    """

    summary: str
    change: Callable[[Picture, float, Occasion], Picture]
    draws: bool = False
    needs_colours: bool = False
    needs_background: bool = False
    least_side: int = 1


LARGEST_TURN = 2  # sixths of the colour circle
HAZE, DIMMED, FADED, LARGEST_EXPONENT = 0.6, 0.8, 0.85, 3.0
SHADED, SHADOW_EDGE = 0.75, 0.06  # darkest shadow; half its edge's width, as a fraction of a side
BLUR_SIDE = 0.04  # standard deviation of the strongest blur, as a share of the shorter side
BLUR_LEAST = 1.5  # pixels of the same: less is not seen
BLUR_REACH = 3.0  # standard deviations
NOISE_STD = 0.25
COVERED = 0.35  # of the picture, by the largest obstacle
GREYS = (0.25, 0.75)  # of the obstacle: visible on black and on white


def brighter(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Move every colour towards white, the dark ones most, as under a stray light."""
    return picture + HAZE * strength * (1 - picture)


def darker(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Dim every colour by the same factor."""
    return picture * (1 - DIMMED * strength)


def less_contrast(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Move every colour towards the picture's mean brightness."""
    mean = picture.mean(dtype=np.float64)
    return (picture + FADED * strength * (mean - picture)).astype(np.float32)


def gamma(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Darken middle brightnesses; black and white stay."""
    return picture ** (1 + (LARGEST_EXPONENT - 1) * strength)


def hue(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Rotate colours around the colour circle, by a third of it at strength 1; saturation and value (HSV) stay.

    Beyond 150 degrees some colours come closer again: a stronger shift would then change less.
    """
    red, green, blue = np.moveaxis(picture, -1, 0)
    value = picture.max(-1)
    spread = value - picture.min(-1)
    divisor = np.where(spread > 0, spread, 1)
    sixths = np.where(
        value == red,
        (green - blue) / divisor % 6,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    turned = sixths + LARGEST_TURN * strength
    places = (np.array([5, 3, 1], np.float32) + turned[..., None]) % 6
    return value[..., None] - spread[..., None] * np.minimum(places, 4 - places).clip(0, 1)


def shadow(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Dim about half of the picture, on one side of a line that is drawn for each episode."""
    random = occasion.of_episode()
    angle, offset = random.uniform(0, 2 * np.pi), random.uniform(-0.15, 0.15)
    height, width = picture.shape[:2]
    down, across = np.mgrid[:height, :width]
    side = (across / max(width - 1, 1) - 0.5) * np.cos(angle) + (down / max(height - 1, 1) - 0.5) * np.sin(angle)
    depth = ((side - offset) / (2 * SHADOW_EDGE) + 0.5).clip(0, 1)
    return picture * (1 - SHADED * strength * depth[..., None]).astype(np.float32)


def blur(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Apply a Gaussian blur; beyond its edges the picture is extended by its border."""
    std = max(BLUR_SIDE * min(picture.shape[:2]), BLUR_LEAST) * strength
    reach = int(np.ceil(BLUR_REACH * std))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / std) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        length = picture.shape[axis]
        around = np.pad(picture, [(reach, reach) if axis == one else (0, 0) for one in range(3)], mode="edge")
        blurred = np.zeros_like(picture)
        for place, weight in enumerate(weights):
            blurred += weight * around[(slice(None),) * axis + (slice(place, place + length),)]
        picture = blurred
    return picture


def noise(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Add Gaussian noise, independent in every frame and in each colour of each pixel."""
    drawn = occasion.of_moment().standard_normal(picture.shape, np.float32)
    return picture + NOISE_STD * strength * drawn


def occlusion(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Put a grey obstacle, of the picture's own proportions, at a place that is drawn for each episode."""
    random = occasion.of_episode()
    largest = np.sqrt(COVERED)
    places = random.uniform(largest / 2, 1 - largest / 2, 2)
    covered = picture.copy()
    spans = []
    for side, place in zip(picture.shape[:2], places, strict=True):
        half = largest * np.sqrt(strength) / 2
        first, last = int(np.floor(side * (place - half))), int(np.ceil(side * (place + half)))
        spans.append(slice(max(first, 0), min(last, side)))
    covered[spans[0], spans[1]] = np.float32(random.uniform(*GREYS))
    return covered


def video(picture: Picture, strength: float, occasion: Occasion) -> Picture:
    """Show a clip, drawn for each episode, in the replaced pixels, one frame per step; they shine through below 1."""
    assert occasion.replaced is not None and occasion.clips
    clip = occasion.clips[int(occasion.of_episode().integers(len(occasion.clips)))]
    shown = np.asarray(clip[occasion.step % len(clip)], np.float32) / 255
    height, width = picture.shape[:2]
    top, left = (shown.shape[0] - height) // 2, (shown.shape[1] - width) // 2
    shown = shown[top : top + height, left : left + width]
    if picture.shape[-1] != RGB:
        shown = (shown @ LUMINANCE)[..., None]
    return np.where(occasion.replaced[..., None], picture + strength * (shown - picture), picture)


SHIFTS: Mapping[str, Row] = MappingProxyType(
    {
        "brightness": Row("a stray light: at 1 every colour is 60 % nearer to white", brighter),
        "darkness": Row("less light: at 1 a fifth of it is left", darker),
        "contrast": Row("less contrast: at 1 15 % of it is left", less_contrast),
        "gamma": Row("another camera curve: at 1 brightnesses are raised to their third power", gamma),
        "hue": Row("other colours: at 1 a third of the colour circle away, red as green", hue, needs_colours=True),
        "shadow": Row(
            "a shadow on one side of a line, for the whole episode: at 1 a quarter of the light is left in it",
            shadow,
            draws=True,
            least_side=4,
        ),
        "blur": Row("out of focus: at 1 with a standard deviation of 4 % of the shorter side", blur, least_side=8),
        "noise": Row("noise of the sensor, new in every frame: at 1 a quarter of the range", noise, draws=True),
        "occlusion": Row(
            "a grey obstacle in the way, for the whole episode: at 1 over 35 % of the picture",
            occlusion,
            draws=True,
            least_side=8,
        ),
        "video": Row(
            "a moving clip in place of a colour, or of what is not the task: at 1 nothing shines through",
            video,
            draws=True,
            needs_background=True,
        ),
    }
)
"""Every way in which pictures may change, by the name that comes before its strength."""


def plays_clips(parts: Sequence[tuple[str, float]]) -> bool:
    """Return whether one of them must be given clips and what to replace."""
    return any(name in SHIFTS and SHIFTS[name].needs_background for name, _ in parts)


def changed(picture: Picture, parts: Sequence[tuple[str, float]], occasion: Occasion) -> Picture:
    """Picture after several rows, one after the other; those of strength 0 leave it unchanged, bit for bit."""
    for place, (name, strength) in enumerate(parts):
        if strength > 0:
            here = Occasion(occasion.seed, occasion.step, occasion.before, place, occasion.replaced, occasion.clips)
            picture = SHIFTS[name].change(picture, strength, here).clip(0, 1).astype(np.float32, copy=False)
    return picture


def changed_bytes(
    pixels: NDArray[np.uint8], parts: Sequence[tuple[str, float]], occasion: Occasion
) -> NDArray[np.uint8]:
    """Apply them to a picture in bytes."""
    shares = changed(pixels.astype(np.float32) / np.float32(255), parts, occasion)
    return np.rint(shares * 255).astype(np.uint8)
