"""The green key against the published rule, written out pixel by pixel."""

import colorsys
import itertools

import numpy as np

from saccade.envs.distractions.video import is_green


def is_green_by_definition(red: int, green: int, blue: int) -> bool:
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255.0, green / 255.0, blue / 255.0)
    return 100 <= hue * 360 <= 185 and 80 <= saturation * 255 <= 255 and 70 <= value * 255 <= 255


def assert_equal_to_definition(colors: np.ndarray) -> None:
    expected = [is_green_by_definition(*color) for color in colors.tolist()]
    differs = is_green(colors) != np.array(expected)
    assert not differs.any(), colors[differs][:5]


def colors_on_a_bound() -> np.ndarray:
    """All colours whose hue is exactly 100 or 185 degrees, or whose saturation is exactly 80."""
    found = []
    for largest in range(70, 256):
        for smallest in range(largest):
            spread = largest - smallest
            if spread % 3 == 0:  # green largest: hue = 60 (2 + (blue - red) / spread) = 100
                found.append((smallest + spread // 3, largest, smallest))
            if spread % 12 == 0:  # blue largest: hue = 60 (4 + (red - green) / spread) = 185
                found.append((smallest, smallest + 11 * spread // 12, largest))
            if 255 * spread == 80 * largest:
                found += [(smallest, largest, other) for other in range(smallest, largest + 1)]
                found += [(smallest, other, largest) for other in range(smallest, largest + 1)]
    return np.array(found, dtype=np.uint8)


def test_on_the_bounds_rounding_decides_as_in_the_published_rule() -> None:
    colors = colors_on_a_bound()
    assert_equal_to_definition(colors)
    assert 0 < is_green(colors).mean() < 1  # rounding does decide


def test_next_to_the_bounds() -> None:
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    beside = colors_on_a_bound()[::5, None].astype(int) + steps
    assert_equal_to_definition(beside.clip(0, 255).reshape(-1, 3).astype(np.uint8))


def test_greys_pure_colours_and_every_value() -> None:
    levels = np.arange(256)
    greys = np.stack([levels] * 3, axis=1)
    greens = np.stack([0 * levels, levels, 0 * levels], axis=1)
    corners = np.array(list(itertools.product((0, 255), repeat=3)))
    assert_equal_to_definition(np.concatenate([greys, greens, corners]).astype(np.uint8))


def test_random_pictures() -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (3, 84, 84, 3), dtype=np.uint8)
    greenish = random.normal((60, 180, 80), 60, (3, 84, 84, 3)).clip(0, 255).astype(np.uint8)
    for batch in (pictures, greenish):
        assert_equal_to_definition(batch.reshape(-1, 3))
        assert np.array_equal(is_green(batch)[1], is_green(batch[1]))  # any leading shape


def test_by_hand() -> None:
    colors = {
        (51, 204, 51): True,  # the paint: hue 120, saturation (204 - 51) / 204 * 255 = 191.25, value 204
        (51, 69, 51): False,  # value 69
        (160, 204, 160): False,  # saturation 55
        (204, 51, 51): False,  # hue 0
        (0, 100, 255): False,  # hue 216
    }
    assert is_green(np.array(list(colors), dtype=np.uint8)).tolist() == list(colors.values())
