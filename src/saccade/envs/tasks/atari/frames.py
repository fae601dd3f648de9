"""An Atari screen as networks see it: the maximum of two frames, in grey, 84 pixels square (Mnih et al., 2015).

Equal to the bit to OpenCV's ``cvtColor(RGB2GRAY)`` and ``resize(INTER_AREA)``, without OpenCV. A screen holds
numbers of colours, one byte per pixel; so what two screens look like together is read from a table.
"""

from __future__ import annotations

import functools
from typing import final

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

WIDTH = 160  # pixels of every game's screen
SIDE = 84
NUM_COLOURS = 256  # numbers that a pixel may have
GREY_WEIGHTS = np.array([9798, 19235, 3735], np.uint32)  # of red, green, blue; their sum is 2 ** GREY_BITS
GREY_BITS = 15


def in_grey(screens: Frames) -> Frames:
    """Luminance ``[..., height, width]`` of colours ``[..., height, width, 3]``, in OpenCV's integer arithmetic."""
    red, green, blue = (screens[..., colour].astype(np.uint32) for colour in range(3))
    red *= GREY_WEIGHTS[0]
    green *= GREY_WEIGHTS[1]
    blue *= GREY_WEIGHTS[2]
    red += green
    red += blue
    red += 1 << (GREY_BITS - 1)
    red >>= GREY_BITS
    return red.astype(np.uint8)


def grey_of_brightest(palette: Frames) -> Frames:
    """Return the table ``[256 * 256]`` of two pixels' numbers: the grey of the maximum of their red, green and blue.

    palette: colours of the numbers, ``[256, 3]``.
    """
    return in_grey(np.maximum(palette[:, None], palette[None])).ravel()


def brightest_of_greys(palette: Frames) -> Frames:
    """Return the table ``[256 * 256]`` of two pixels' numbers: the maximum of their greys, as in ``AtariVectorEnv``."""
    grey = in_grey(palette)
    return np.maximum(grey[:, None], grey[None]).ravel()


def blended(screens: Frames, table: Frames) -> Frames:
    """Grey ``[height, width]`` that a table gives for two screens ``[2, height, width]`` of colour numbers."""
    pairs = screens[0].astype(np.uint16)
    pairs *= NUM_COLOURS
    pairs += screens[1]
    return table.take(pairs)


def shrunk(pictures: Frames, side: int = SIDE) -> Frames:
    """Shrink pictures ``[..., height, width]`` of one channel to ``[..., side, side]``, by averaging areas.

    Sums are in single precision, along rows and then along columns, and rounded half to even, as in OpenCV.
    Pictures are transposed for it, so that whole lines are gathered.
    """
    rows, columns = pictures.shape[-2:]
    lines = np.ascontiguousarray(pictures.swapaxes(-1, -2), np.float32)
    lines = np.ascontiguousarray(_sums(lines, *_shares(columns, side)).swapaxes(-1, -2))
    lines = _sums(lines, *_shares(rows, side))
    return np.rint(lines, out=lines).astype(np.uint8)


def _sums(lines: NDArray[np.float32], taken: NDArray[np.intp], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums ``[..., side, width]`` of lines ``[..., length, width]``; ``taken``: ``[taps, side]``."""
    total = lines.take(taken[0], -2)
    total *= weights[0]
    for places, weight in zip(taken[1:], weights[1:], strict=True):
        line = lines.take(places, -2)
        line *= weight
        total += line
    return total


@final
class Redrawing:
    """Computes ``shrunk(blended(screens, table), side)`` of successive screens, which differ in a few lines.

    Only those are computed again, with the same bits.

    Args:
        height: lines of a screen.
        side: pixels of a picture's side.
    """

    def __init__(self, height: int, side: int) -> None:
        self._of_width, self._of_height = _shares(WIDTH, side), _shares(height, side)
        self._screens = np.zeros((2, height, WIDTH), np.uint8)
        self._table = np.zeros(0, np.uint8)
        self._lines = np.zeros((height, side), np.float32)  # of the screen's height and the picture's width
        self._picture = np.zeros((side, side), np.uint8)

    def __call__(self, screens: Frames, table: Frames) -> Frames:
        """The picture, uint8 ``[side, side]``, which the next call overwrites.

        screens: ``[2, height, width]``, contiguous. table: not written to afterwards.
        """
        if table is self._table:
            either = screens.view(np.uint64) != self._screens.view(np.uint64)
            changed = (either[0] | either[1]).any(-1)
        else:
            changed = np.ones(len(self._lines), np.bool_)
        rows = np.flatnonzero(changed)
        if len(rows):
            new = screens.take(rows, 1)
            self._screens[:, rows], self._table = new, table
            lines = np.ascontiguousarray(blended(new, table).T, np.float32)
            self._lines[rows] = _sums(lines, *self._of_width).T
            taken, weights = self._of_height
            places = np.flatnonzero(changed[taken].any(0))
            found = _sums(self._lines, taken[:, places], weights[:, places])
            self._picture[places] = np.rint(found, out=found)
        return self._picture


@functools.cache
def _shares(length: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which pixels of a line lie below each of ``side`` pixels, ``[taps, side]``, and their weights."""
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
    weights = np.zeros((taps, side, 1), np.float32)
    for place, found in enumerate(lists):
        for tap, (pixel, weight) in enumerate(found):
            taken[tap, place], weights[tap, place] = pixel, weight
    return taken, weights
