"""An Atari screen as networks see it: two frames' maximum, in grey, 84 pixels square (Mnih et al., 2015).

To the bit what OpenCV's ``cvtColor(RGB2GRAY)`` and ``resize(INTER_AREA)`` make of it, without OpenCV.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

SCREEN = (210, 160)  # height and width of nearly every game's screen
SIDE = 84
GREY_WEIGHTS = np.array([9798, 19235, 3735], np.uint32)  # of red, green, blue; in all 2 ** GREY_BITS
GREY_BITS = 15


def in_grey(screens: Frames) -> Frames:
    """Luminance ``[..., height, width]`` of colours ``[..., height, width, 3]``, in whole numbers as OpenCV has it."""
    red, green, blue = (screens[..., colour].astype(np.uint32) for colour in range(3))
    red *= GREY_WEIGHTS[0]
    green *= GREY_WEIGHTS[1]
    blue *= GREY_WEIGHTS[2]
    red += green
    red += blue
    red += 1 << (GREY_BITS - 1)
    red >>= GREY_BITS
    return red.astype(np.uint8)


def shrunk(pictures: Frames, side: int = SIDE) -> Frames:
    """Pictures ``[..., height, width]`` of one channel, ``[..., side, side]``: each the mean of the area below.

    Sums are made in single precision, along rows and then along columns, and rounded half to even, as OpenCV does.
    """
    rows, columns = pictures.shape[-2:]
    wide = _sums(pictures.astype(np.float32), *_shares(columns, side))
    high = _sums(wide.swapaxes(-1, -2), *_shares(rows, side)).swapaxes(-1, -2)
    return np.rint(high, out=high).clip(0, 255).astype(np.uint8)


def _sums(lines: NDArray[np.float32], taken: NDArray[np.intp], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums ``[..., side]`` of lines ``[..., length]``; ``taken`` and ``weights`` are ``[taps, side]``."""
    total = lines[..., taken[0]] * weights[0]
    for places, weight in zip(taken[1:], weights[1:], strict=True):
        total += lines[..., places] * weight
    return total


@functools.cache
def _shares(length: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which pixels of a line lie below each of ``side`` pixels, and their shares of it, both ``[taps, side]``."""
    scale = length / side
    lists: list[list[tuple[int, float]]] = []
    for place in range(side):
        begin, end = place * scale, min((place + 1) * scale, length)
        first, last = int(np.ceil(begin)), int(np.floor(end))
        width = end - begin
        found = []
        if first - begin > 1e-3:
            found.append((first - 1, (first - begin) / width))
        found += [(pixel, 1.0 / width) for pixel in range(first, last)]
        if end - last > 1e-3:
            found.append((last, (end - last) / width))
        lists.append(found)
    taps = max(map(len, lists))
    taken = np.zeros((taps, side), np.intp)
    weights = np.zeros((taps, side), np.float32)
    for place, found in enumerate(lists):
        for tap, (pixel, weight) in enumerate(found):
            taken[tap, place], weights[tap, place] = pixel, weight
    return taken, weights
