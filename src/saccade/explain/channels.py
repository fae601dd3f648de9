"""What the channels of an observation are, worked out from an episode where it was not given."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import GREY, RGB, RGB_PART, Pixels


def shown_by(pixels: Pixels, seen: Sequence[np.ndarray]) -> Pixels:
    """Return the pixels with the kind of their channels as an episode shows it, or unchanged if the kind was given.

    A stack of frames moves up by one frame in every step. Depth, alpha or planes of objects beside the colours do not,
    and three grey frames do where three colours would not. Channels that are no stack and not three stay of unknown
    kind and are drawn one by one. An episode in which nothing moves shows nothing.

    Args:
        seen: the observations of an episode, step by step, as the policy was given them.
    """
    count = pixels.channels_first[0]
    if pixels.said or count == 1 or len(seen) < 2:
        return pixels
    frames = [channels_first(pixels, obs) for obs in seen]
    if all(np.array_equal(before, after) for before, after in pairwise(frames)):
        return pixels
    period = next((size for size in range(1, count) if count % size == 0 and _is_stack(frames, size)), count)
    if period == 1:
        return dataclasses.replace(pixels, colours=1, channels=(GREY,))
    if period == RGB:
        return dataclasses.replace(pixels, colours=RGB, channels=(RGB_PART,))
    return dataclasses.replace(pixels, colours=period, channels=tuple(f"channel {i + 1}" for i in range(period)))


def channels_first(pixels: Pixels, obs: np.ndarray) -> np.ndarray:
    """Return observations ``[..., *shape]`` as ``[..., channel, height, width]``."""
    before = obs.shape[: obs.ndim - len(pixels.shape)]
    if pixels.layout in ("channels_last", "stacked_channels_last"):
        obs = np.moveaxis(obs, -1, -3)
    return obs.reshape(*before, *pixels.channels_first)


def pictures_of(pixels: Pixels, obs: np.ndarray) -> np.ndarray:
    """Return observations ``[..., *shape]`` as pictures ``[..., channel, height, width]`` in 0..high, unnormalised."""
    first = channels_first(pixels, obs)
    if pixels.normalised is None:
        return first
    if first.dtype.kind != "f":
        return (first * (pixels.high / BYTE)).astype(np.float32)
    mean, std = (one[:, None, None] for one in pixels.normalised.per_channel(first.shape[-3]))
    return (first * std + mean).clip(0, pixels.high)


def as_observations(pixels: Pixels, pictures: np.ndarray) -> np.ndarray:
    """Return floats ``[..., channel, height, width]`` in 0..1 as the environment would give them, ``[..., *shape]``."""
    if np.dtype(pixels.dtype).kind != "f":
        given = np.rint(pictures * BYTE)
    elif pixels.normalised is None:
        given = pictures * pixels.high
    else:
        mean, std = (one[:, None, None] for one in pixels.normalised.per_channel(pictures.shape[-3]))
        given = (pictures * pixels.high - mean) / std
    given = given.astype(pixels.dtype)
    if pixels.layout in ("channels_last", "stacked_channels_last"):
        height, width = pixels.channels_first[1:]
        frames = pixels.shape[:-3]  # of a stack
        given = np.moveaxis(given.reshape(*given.shape[:-3], *frames, -1, height, width), -3, -1)
    return given.reshape(*pictures.shape[:-3], *pixels.shape)


def _is_stack(frames: Sequence[np.ndarray], size: int) -> bool:
    """Whether in every step all channels but the newest ``size`` equal all but the oldest ``size`` of the step before.

    They may be black where a stack restarts within an episode, as after a lost life on Atari, but not in every step.
    """
    moves = False
    for before, after in pairwise(frames):
        older = after[:-size]
        if np.array_equal(older, before[size:]):
            moves = moves or bool(older.any())
        elif older.any():
            return False
    return moves
