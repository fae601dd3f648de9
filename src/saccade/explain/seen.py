"""Convert recorded frames to what a policy would have seen: layout, size, stack and range; and say what was done."""

from __future__ import annotations

import numpy as np

from saccade.explain.channels import as_observations, channels_first
from saccade.policies.normalisation import BYTE, UNIT
from saccade.policies.pixels import GREY, RGB, RGB_PART, Pixels
from saccade.types import UserError

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601), as in Gymnasium and OpenCV."""


def seen_as(recorded: np.ndarray, pixels: Pixels, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return observations ``[moments, *shape]`` and, in words, what was done to make them.

    Args:
        recorded: observations as the policy takes them, one or a batch, with channels first or last; or frames
            ``[moments, height, width]`` of any size, which may have 1 or 3 channels, first or last.

    Raises:
        UserError: the policy could not take them.
    """
    if recorded.dtype.kind not in "uifb" or 0 in recorded.shape:
        raise UserError(f"{source} holds {recorded.dtype} of shape {recorded.shape}, which are no pictures.")
    own = _own_layout(recorded, pixels)
    if own is not None and (_fits(own, pixels) or own.dtype.kind == np.dtype(pixels.dtype).kind == "f"):
        return own.astype(pixels.dtype, copy=False), ()
    notes: list[str] = []
    if own is not None:
        shares = _shares(channels_first(pixels, own), source)
        notes.append(f"brightnesses in {recorded.dtype} were read as {pixels.dtype}")
        return as_observations(pixels, shares), tuple(notes)
    frames = _coloured(_shares(_frames(recorded, pixels, source), source), pixels, source, notes)
    frames = _sized(frames, pixels, notes)
    if pixels.frames > 1:
        first = np.repeat(frames[:1], pixels.frames - 1, axis=0)
        ahead = np.concatenate([first, frames])
        frames = np.concatenate([ahead[i : i + len(frames)] for i in range(pixels.frames)], axis=1)
        notes.append(f"each observation is a stack of {pixels.frames} recorded frames; the first is repeated before it")
    return as_observations(pixels, frames), tuple(notes)


def _fits(obs: np.ndarray, pixels: Pixels) -> bool:
    return str(obs.dtype) == pixels.dtype


def _own_layout(recorded: np.ndarray, pixels: Pixels) -> np.ndarray | None:
    """Observations of the policy's own shape, with their channels in its order; None if they are frames."""
    first, last = pixels.channels_first, (*pixels.channels_first[1:], pixels.channels_first[0])
    batch = recorded if recorded.ndim > len(pixels.shape) else recorded[None]
    if batch.shape[1:] == pixels.shape:
        return batch
    if pixels.layout == "channels_last" and batch.shape[1:] == first:
        return np.moveaxis(batch, 1, -1)
    if pixels.layout == "channels_first" and batch.shape[1:] == last:
        return np.moveaxis(batch, -1, 1)
    return None


def _frames(recorded: np.ndarray, pixels: Pixels, source: str) -> np.ndarray:
    """Frames ``[moments, colours, height, width]``."""
    if recorded.ndim == 2:
        recorded = recorded[None]
    if recorded.ndim == 3 and recorded.shape[-1] in (1, RGB) and recorded.shape[0] not in (1, RGB):
        recorded = recorded[None]  # one frame with its channels last
    if recorded.ndim == 3:
        return recorded[:, None]
    if recorded.ndim == 4 and recorded.shape[-1] in (1, RGB):
        return np.moveaxis(recorded, -1, 1)
    if recorded.ndim == 4 and recorded.shape[1] in (1, RGB):
        return recorded
    raise UserError(
        f"{source} holds an array of shape {recorded.shape}, but the policy sees {pixels.description()}: "
        f"give observations of shape {pixels.shape}, or frames with 1 or 3 channels."
    )


def _shares(frames: np.ndarray, source: str) -> np.ndarray:
    """Brightness in 0..1: bytes lie in 0..255, and so do floats if one of them is above 1."""
    if frames.dtype.kind == "b":
        return frames.astype(np.float32)
    brightest = BYTE if frames.dtype.kind in "ui" or float(frames.max()) > UNIT else UNIT
    if not (float(frames.min()) >= 0 and float(frames.max()) <= brightest):  # NaN too
        raise UserError(
            f"{source} holds values in {float(frames.min()):g}..{float(frames.max()):g}: give pixels in 0..255 or in "
            "0..1, or the observations as the policy is given them."
        )
    return frames.astype(np.float32) / brightest


def _coloured(frames: np.ndarray, pixels: Pixels, source: str, notes: list[str]) -> np.ndarray:
    if pixels.parts not in ((RGB_PART,), (GREY,)):
        raise UserError(
            f"{source} holds frames, but the policy sees {pixels.description()}: give whole observations of "
            f"{pixels.shape}."
        )
    if frames.shape[1] == pixels.colours:
        return frames
    if pixels.colours == 1:
        notes.append("coloured frames were made grey")
        return np.tensordot(LUMINANCE, frames, axes=(0, 1))[:, None]
    notes.append("grey frames were given three equal colours")
    return frames.repeat(RGB, axis=1)


def _sized(frames: np.ndarray, pixels: Pixels, notes: list[str]) -> np.ndarray:
    """Resize to the policy's size by area averaging, as Gymnasium's wrappers do."""
    height, width = pixels.channels_first[1:]
    if frames.shape[2:] == (height, width):
        return frames
    from PIL import Image

    notes.append(f"frames of {frames.shape[3]}x{frames.shape[2]} pixels were resized to {width}x{height}")
    resized = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BOX))
        for channel in frames.reshape(-1, *frames.shape[2:])
    ]
    return np.stack(resized).reshape(*frames.shape[:2], height, width)
