"""What each shift does to a picture small enough to be computed by hand, or again by somebody else's arithmetic."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from saccade.envs.shifts import BLUR_SIDE, COVERED, SHIFTS, Occasion, changed, changed_bytes

NOW = Occasion(seed=3, step=4)


def one(*colour: float) -> np.ndarray:
    return np.array([[colour]], np.float32)


@pytest.mark.parametrize(
    ("name", "strength", "before", "after"),
    [
        ("brightness", 0.5, (0.0, 0.5, 1.0), (0.3, 0.65, 1.0)),  # 0.3 of what is missing to white
        ("darkness", 0.5, (0.0, 0.5, 1.0), (0.0, 0.3, 0.6)),  # times 1 - 0.4
        ("contrast", 1.0, (0.0, 0.5, 1.0), (0.425, 0.5, 0.575)),  # 15 % of the distance to the mean, 0.5
        ("gamma", 0.5, (0.0, 0.5, 1.0), (0.0, 0.25, 1.0)),  # squared
        ("hue", 1.0, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),  # a third of the circle
        ("hue", 0.5, (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
        ("hue", 1.0, (0.4, 0.4, 0.4), (0.4, 0.4, 0.4)),
    ],
)
def test_colours_by_hand(name: str, strength: float, before: tuple[float, ...], after: tuple[float, ...]) -> None:
    found = changed(one(*before), [(name, strength)], NOW)
    np.testing.assert_allclose(found[0, 0], after, atol=1e-6)
    assert found.dtype == np.float32


def test_hue_is_that_of_the_standard_library() -> None:
    picture = np.random.default_rng(0).random((6, 7, 3), np.float32)
    for strength in (0.1, 0.5, 0.9, 1.0):
        found = changed(picture, [("hue", strength)], NOW)
        for place in np.ndindex(6, 7):
            hue, saturation, value = colorsys.rgb_to_hsv(*map(float, picture[place]))
            expected = colorsys.hsv_to_rgb((hue + strength / 3) % 1, saturation, value)
            np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_blur_is_the_sum_over_all_neighbours() -> None:
    """Every pixel of the output as a double sum, with the edge repeated."""
    picture = np.random.default_rng(1).random((40, 60, 1), np.float32)
    std = BLUR_SIDE * 40 * 0.8
    reach = int(np.ceil(3 * std))
    found = changed(picture, [("blur", 0.8)], NOW)
    around = range(-reach, reach + 1)
    total = sum(np.exp(-(i * i + j * j) / (2 * std * std)) for i in around for j in around)
    for y, x in ((0, 0), (20, 16), (39, 59), (5, 30)):
        value = sum(
            np.exp(-(i * i + j * j) / (2 * std * std))
            * float(picture[min(max(y + i, 0), 39), min(max(x + j, 0), 59), 0])
            for i in around
            for j in around
        )
        assert found[y, x, 0] == pytest.approx(value / total, abs=1e-5)


def test_noise_has_a_quarter_of_the_range() -> None:
    grey = np.full((200, 200, 3), 0.5, np.float32)
    drawn = SHIFTS["noise"].change(grey, 0.4, NOW) - grey
    assert drawn.std() == pytest.approx(0.1, rel=0.01) and abs(drawn.mean()) < 0.001
    np.testing.assert_allclose(SHIFTS["noise"].change(grey, 0.8, NOW) - grey, 2 * drawn, atol=1e-6)


def test_what_is_in_the_way_covers_its_share_in_one_grey() -> None:
    picture = np.random.default_rng(2).random((100, 80, 3), np.float32)
    for seed in range(20):
        found = changed(picture, [("occlusion", 1.0)], Occasion(seed, 0))
        hidden = (found != picture).any(-1)
        assert hidden.mean() == pytest.approx(COVERED, abs=0.03)
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        block = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (block == block[0, 0, 0]).all() and 0.25 <= block[0, 0, 0] <= 0.75


def test_a_shadow_keeps_one_side_and_takes_three_quarters_of_the_other() -> None:
    white = np.ones((60, 60, 3), np.float32)
    for seed in range(20):
        found = changed(white, [("shadow", 1.0)], Occasion(seed, 0))
        assert found.max() == 1 and found.min() == pytest.approx(0.25, abs=1e-6)
        assert 0.2 < (found < 1).mean() < 0.85
        np.testing.assert_array_equal(found, changed(white, [("shadow", 1.0)], Occasion(seed, 9)))


def test_a_video_fills_what_it_may_and_goes_on_with_the_steps() -> None:
    clip = np.stack([np.full((4, 4, 3), 51 * frame, np.uint8) for frame in range(3)])
    replaced = np.array([[True, False], [False, False], [False, True], [True, True]])
    picture = np.full((4, 2, 3), 1.0, np.float32)

    def at(step: int, strength: float, colours: int = 3) -> np.ndarray:
        moment = Occasion(0, step, replaced=replaced, clips=(clip,))
        return changed(picture[..., :colours], [("video", strength)], moment)

    np.testing.assert_allclose(at(2, 1.0)[replaced], 0.4, atol=1e-6)
    np.testing.assert_allclose(at(2, 0.5)[replaced], 0.7, atol=1e-6)
    np.testing.assert_allclose(at(5, 1.0, colours=1)[replaced], 0.4, atol=1e-6)  # 5 is 2 in a clip of three
    np.testing.assert_array_equal(at(2, 1.0)[~replaced], 1.0)


def test_several_shifts_are_applied_in_their_order() -> None:
    found = changed(one(0.5, 0.5, 0.5), [("darkness", 0.5), ("brightness", 0.5)], NOW)
    assert found[0, 0, 0] == pytest.approx(0.3 + 0.3 * 0.7)
    found = changed(one(0.5, 0.5, 0.5), [("brightness", 0.5), ("darkness", 0.5)], NOW)
    assert found[0, 0, 0] == pytest.approx(0.65 * 0.6)


def test_bytes_are_rounded_and_not_cut_off() -> None:
    pixels = np.array([[[100, 0, 255]]], np.uint8)
    # 100 + 0.3 * 155 = 146.5, 0.3 * 255 = 76.5: to the even one, as floats of 32 bits have them.
    found = changed_bytes(pixels, [("brightness", 0.5)], NOW)[0, 0].astype(int)
    assert abs(found - np.array([146.5, 76.5, 255])).max() <= 0.5
