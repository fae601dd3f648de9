"""Atari's pictures, against arithmetic by hand and naive sums in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saccade.envs.tasks.atari.colours import palette
from saccade.envs.tasks.atari.frames import (
    SIDE,
    WIDTH,
    Redrawing,
    blended,
    brightest_of_greys,
    grey_of_brightest,
    in_grey,
    shrunk,
)


def random_picture(height: int, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width), np.uint8)


def mean_below(picture: np.ndarray, side: int) -> np.ndarray:
    """The mean of the area below each pixel, pixel by pixel in double precision."""

    def shares(length: int) -> np.ndarray:
        found, scale = np.zeros((side, length)), length / side
        for place in range(side):
            begin, end = place * scale, (place + 1) * scale
            for pixel in range(math.floor(begin), min(math.ceil(end), length)):
                found[place, pixel] = (min(end, pixel + 1) - max(begin, pixel)) / scale
        return found

    return shares(picture.shape[0]) @ picture.astype(np.float64) @ shares(picture.shape[1]).T


def test_grey_by_hand() -> None:
    """(9798 * 200 + 19235 * 72 + 3735 * 72 + 16384) >> 15 = (1959600 + 1384920 + 268920 + 16384) >> 15 = 110."""
    colours = np.array([[[200, 72, 72], [0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert in_grey(colours).tolist() == [[110, 0, 255, 76]]


def test_the_mean_below_a_pixel_by_hand() -> None:
    """5 x 4 pixels to 2 x 2: each shows 2.5 lines of two columns.

    Above: lines 0 and 1 whole and half of line 2, (2 * (10 + 20) + 30) / 2.5 / 2 = 18 on the left, where line 2 has
    30 and 30; below: half of line 2, and lines 3 and 4.
    """
    picture = np.array([[10, 10, 0, 0], [20, 20, 0, 0], [30, 30, 0, 0], [40, 40, 0, 100], [50, 50, 0, 0]], np.uint8)
    assert shrunk(picture, 2).tolist() == [[18, 0], [42, 20]]


@pytest.mark.parametrize("height", [210, 214, 220, 230, 250])
@pytest.mark.parametrize("side", [SIDE, 36, 160])
def test_a_smaller_picture_is_the_mean_of_the_area_below(height: int, side: int) -> None:
    picture = random_picture(height)
    exact = mean_below(picture, side)
    found = shrunk(picture, side).astype(np.float64)
    assert np.abs(found - exact).max() <= 0.5 + 1e-4
    assert (found != np.rint(exact)).mean() < 1e-2  # halves that single precision rounds the other way
    assert (shrunk(np.full((height, WIDTH), 255, np.uint8), side) == 255).all()


def test_pictures_are_shrunk_one_by_one() -> None:
    pictures = np.stack([random_picture(210), random_picture(210)[::-1]])
    np.testing.assert_array_equal(shrunk(pictures), [shrunk(picture) for picture in pictures])


def test_two_frames_are_blended_by_colour_and_then_grey() -> None:
    """Red over green is yellow where colours are compared, and the brighter of both greys where greys are."""
    colours = np.zeros((256, 3), np.uint8)
    colours[2], colours[4] = (200, 0, 0), (0, 100, 0)
    screens = np.array([[[2, 2, 0]], [[4, 2, 4]]], np.uint8)
    yellow, red, green = in_grey(np.array([[200, 100, 0], [200, 0, 0], [0, 100, 0]], np.uint8)).tolist()
    assert blended(screens, grey_of_brightest(colours)).tolist() == [[yellow, red, green]]
    assert blended(screens, brightest_of_greys(colours)).tolist() == [[max(red, green), red, green]]


@pytest.mark.parametrize("pal", [False, True])
def test_a_screen_of_numbers_is_one_of_colours(pal: bool) -> None:
    """The table against the maximum of red, green and blue of whole screens."""
    screens = np.random.default_rng(0).integers(0, 256, (2, 210, WIDTH), np.uint8)
    colours = palette(pal)
    expected = in_grey(np.maximum(*colours[screens]))
    np.testing.assert_array_equal(blended(screens, grey_of_brightest(colours)), expected)
    of_greys = np.maximum(*in_grey(colours[screens]))
    np.testing.assert_array_equal(blended(screens, brightest_of_greys(colours)), of_greys)


def test_colours_of_the_console() -> None:
    """Black is 0, white of the brightest grey; an odd number is the grey of the number before."""
    for pal in (False, True):
        colours = palette(pal)
        assert colours.shape == (256, 3) and colours[0].tolist() == [0, 0, 0] and colours[14].tolist() == [236] * 3
        np.testing.assert_array_equal(colours[1::2], in_grey(colours[::2])[:, None].repeat(3, 1))
    assert palette(False)[0x42].tolist() == [0xA7, 0x1A, 0x1A]


@pytest.mark.parametrize("height", [210, 250])
@pytest.mark.parametrize("side", [SIDE, 40])
def test_drawing_anew_what_has_changed_is_drawing_all(height: int, side: int) -> None:
    """Over screens in which nothing, a pixel, some lines or all changes, and over other tables."""
    random = np.random.default_rng(height)
    tables = [grey_of_brightest(palette(pal)) for pal in (False, True)]
    redraw, screens, shown = Redrawing(height, side), np.zeros((2, height, WIDTH), np.uint8), set[bytes]()
    for step in range(60):
        lines = random.integers(height, size=(0, 1, 5, height)[step % 4])
        columns = random.integers(WIDTH) if step % 4 == 1 else slice(None)
        which = random.integers(2)
        screens[which, lines, columns] = random.integers(0, 256, screens[which, lines, columns].shape)
        table = tables[step // 7 % 2]
        found = redraw(screens, table)
        np.testing.assert_array_equal(found, shrunk(blended(screens, table), side))
        shown.add(found.tobytes())
    assert len(shown) > 40
