"""Generated pictures and scenes: natural statistics, smooth motion, the same for the same seed."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from saccade.data.banks.painted_shapes import Leaves, paint_leaves, palette, pink_field
from saccade.data.banks.procedural import (
    CONTRAST_RANGE,
    MEAN_RANGE,
    STILLS,
    _look,
    dead_leaves,
    moving_scene,
    pink_noise_image,
    still_image,
)

Still = Callable[[np.random.Generator, int], np.ndarray]
KINDS = [kind for kind, _ in STILLS]
SIDE = 96


def amplitude_slope(pictures: np.ndarray) -> float:
    """Slope of log amplitude over log frequency, averaged over directions and pictures ``[n, s, s]``."""
    side = pictures.shape[-1]
    window = np.hanning(side)[:, None] * np.hanning(side)  # so that opposite edges need not meet
    centered = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(centered * window)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    edges = np.geomspace(3 / side, 0.45, 9)
    rings = [(low <= frequency) & (frequency < high) for low, high in itertools.pairwise(edges)]
    amplitude = np.sqrt([power[ring].mean() for ring in rings])
    middle = [np.exp(np.log(frequency[ring]).mean()) for ring in rings]
    return float(np.polyfit(np.log(middle), np.log(amplitude), 1)[0])


def kurtosis(values: np.ndarray) -> float:
    centered = values - values.mean()
    return float((centered**4).mean() / (centered**2).mean() ** 2)


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_a_pink_field_has_its_slope_mean_and_deviation(slope: float) -> None:
    random = np.random.default_rng(0)
    fields = np.stack([pink_field(random, 128, slope) for _ in range(20)])
    assert fields.dtype == np.float32
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(fields.std(axis=(1, 2)), 1, atol=1e-4)
    assert amplitude_slope(fields) == pytest.approx(-slope, abs=0.1)


def test_pink_noise_pictures_fall_as_one_over_frequency() -> None:
    pictures = np.stack([pink_noise_image(np.random.default_rng(seed), 128) for seed in range(20)])
    assert amplitude_slope(pictures.mean(axis=-1)) == pytest.approx(-1.0, abs=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_have_a_natural_mean_contrast_and_slope(kind: Still) -> None:
    pictures = np.stack([kind(np.random.default_rng(seed), SIDE) for seed in range(24)])
    assert pictures.dtype == np.uint8 and pictures.shape == (24, SIDE, SIDE, 3)
    brightness = pictures.mean(axis=-1) / 255
    # Clipping at black and white moves them a little from what was aimed at.
    means, contrasts = brightness.mean(axis=(1, 2)), brightness.std(axis=(1, 2))
    assert MEAN_RANGE[0] - 0.03 < means.min() and means.max() < MEAN_RANGE[1] + 0.03
    assert CONTRAST_RANGE[0] - 0.03 < contrasts.min() and contrasts.max() < CONTRAST_RANGE[1] + 0.01
    assert -1.7 < amplitude_slope(brightness) < -0.8


def test_dead_leaves_have_edges_and_noise_has_none() -> None:
    # Differences between neighbours: nearly always small, rarely large in pictures of things (kurtosis far
    # above a Gaussian's 3), Gaussian in noise.
    def differences(kind: Still) -> np.ndarray:
        pictures = np.stack([kind(np.random.default_rng(seed), SIDE).mean(axis=-1) for seed in range(10)])
        return np.diff(pictures, axis=2) / pictures.std(axis=(1, 2), keepdims=True)

    assert kurtosis(differences(dead_leaves)) > 6
    assert kurtosis(differences(pink_noise_image)) < 4


def test_pictures_of_different_seeds_have_little_in_common() -> None:
    stills = np.stack([still_image(seed, 32) for seed in range(40)]).reshape(40, -1).astype(float)
    correlations = np.corrcoef(stills)[np.triu_indices(40, 1)]
    assert np.abs(correlations).mean() < 0.35
    assert correlations.max() < 0.95
    np.testing.assert_array_equal(still_image(7, 32), still_image(7, 32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [8, 33])
def test_any_size_can_be_drawn(kind: Still, size: int) -> None:
    picture = kind(np.random.default_rng(0), size)
    assert picture.shape == (size, size, 3) and picture.std() > 10


def test_leaves_are_painted_where_their_formula_says() -> None:
    # A square turned by 30 degrees around row 9.5, column 12: circumradius 6, so sides 6 / sqrt 2 away.
    # Beside it a lying ellipse with half axes 4 * 1.5 and 4 / 1.5, partly left of the picture.
    leaves = Leaves(
        center=np.array([[9.5, 12.0], [22.0, 2.0]]),
        radius=np.array([6.0, 4.0]),
        stretch=np.array([1.0, 1.5]),
        angle=np.array([np.pi / 6, 0.0]),
        corners=np.array([4, 0]),
        shading=np.array([[0.0, 0.0], [0.2, -0.1]]),
    )
    (top, left, square, light), (low, far, ellipse, shade) = leaves.drawn()
    np.testing.assert_array_equal(light, 1)
    for i in range(len(square)):
        for j in range(len(square)):
            down, across = top + i - 9.5, left + j - 12.0
            u = across * np.cos(np.pi / 6) + down * np.sin(np.pi / 6)
            v = down * np.cos(np.pi / 6) - across * np.sin(np.pi / 6)
            expected = np.clip((1 - max(abs(u), abs(v)) * np.sqrt(2) / 6) * 6 + 0.5, 0, 1)
            assert square[i, j] == pytest.approx(expected, abs=1e-4)
    for i in range(len(ellipse)):
        for j in range(len(ellipse)):
            u, v = (far + j - 2.0) / (4 * 1.5), (low + i - 22.0) / (4 / 1.5)
            assert ellipse[i, j] == pytest.approx(np.clip((1 - np.hypot(u, v)) * 4 + 0.5, 0, 1), abs=1e-4)
            assert shade[i, j] == pytest.approx(1 + 0.2 * u - 0.1 * v, abs=1e-4)


def test_a_fourth_channel_gathers_coverage_and_multiplies_the_colors() -> None:
    layer, backed = np.zeros((48, 48, 4), np.float32), np.full((48, 48, 3), 0.5, np.float32)
    colors = palette(np.random.default_rng(1))
    paint_leaves(np.random.default_rng(2), layer, colors, 30, (0.05, 0.3))
    paint_leaves(np.random.default_rng(2), backed, colors, 30, (0.05, 0.3))
    assert layer[..., 3].min() == 0 and layer[..., 3].max() == 1
    np.testing.assert_allclose(layer[..., :3] + 0.5 * (1 - layer[..., 3:]), backed, atol=1e-5)


def test_radii_follow_the_inverse_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of radii with density r^-3 between 1 and 4, the share above 2 is (1/4 - 1/16) / (1 - 1/16) = 0.2.
    drawn: list[np.ndarray] = []

    def record(self: Leaves) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        drawn.append(self.radius)
        return iter(())

    monkeypatch.setattr(Leaves, "drawn", record)
    canvas = np.zeros((100, 100, 3), np.float32)
    paint_leaves(np.random.default_rng(0), canvas, np.ones((1, 3)), 20_000, (0.01, 0.04))
    assert drawn[0].min() >= 1 and drawn[0].max() <= 4
    assert (drawn[0] > 2).mean() == pytest.approx(0.2, abs=0.02)


def test_a_palette_is_of_colors() -> None:
    colors = np.concatenate([palette(np.random.default_rng(seed)) for seed in range(200)])
    assert colors.min() >= 0 and colors.max() <= 1
    assert colors.max(axis=1).mean() == pytest.approx(0.5, abs=0.05)  # brightness is symmetric around one half


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_scenes_move_smoothly_and_repeat_without_a_cut(difficulty: Any) -> None:
    clip = moving_scene(3, 48, 120, difficulty)
    assert clip.shape == (120, 48, 48, 3) and clip.dtype == np.uint8
    frames = clip.astype(float)
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    half_a_clip_apart = np.abs(frames[:60] - frames[60:]).mean()
    assert steps.min() > 0.05  # never still
    assert steps.max() < 0.8 * half_a_clip_apart  # no cut
    assert np.abs(frames[-1] - frames[0]).mean() <= steps.max() * 1.5


def test_a_scene_is_decided_by_seed_and_difficulty() -> None:
    first = moving_scene(0, 24, 5, "easy")
    np.testing.assert_array_equal(first, moving_scene(0, 24, 5, "easy"))
    assert (first != moving_scene(1, 24, 5, "easy")).mean() > 0.5
    assert (first != moving_scene(0, 24, 5, "hard")).mean() > 0.5


def test_near_things_move_more_than_far_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[tuple[int, float]] = []

    def record(layer: np.ndarray, view: float, down: float, across: float, size: int) -> np.ndarray:
        places.append((layer.shape[-1], across))
        return _look(layer, view, down, across, size)

    monkeypatch.setattr("saccade.data.banks.procedural._look", record)
    moving_scene(0, 24, 40, "hard")
    channels, across = zip(*places, strict=True)
    assert channels[:3] == (3, 4, 4)
    far, near, nearest = (np.ptp(across[layer::3]) for layer in range(3))
    assert far < near < nearest <= 2


def test_the_camera_sees_the_bilinear_picture() -> None:
    random = np.random.default_rng(0)
    layer = random.uniform(0, 255, (20, 20, 3)).astype(np.float32)
    view, down, across, size = 7.3, 0.4, -0.7, 5
    seen = _look(layer, view, down, across, size)
    for i in range(size):
        for j in range(size):
            row = (19 - view) / 2 * (1 + down) + (i + 0.5) * view / size
            column = (19 - view) / 2 * (1 + across) + (j + 0.5) * view / size
            y, x = int(row), int(column)
            top = layer[y, x] * (x + 1 - column) + layer[y, x + 1] * (column - x)
            bottom = layer[y + 1, x] * (x + 1 - column) + layer[y + 1, x + 1] * (column - x)
            np.testing.assert_allclose(seen[i, j], top * (y + 1 - row) + bottom * (row - y), atol=1e-2)


@pytest.mark.parametrize(("down", "across"), [(-1, -1), (1, 1), (1, -1)])
def test_the_camera_stays_on_the_picture(down: float, across: float) -> None:
    layer = np.ones((20, 20, 3), np.float32)
    for view in (3.0, 10.5, 19.0):
        np.testing.assert_allclose(_look(layer, view, down, across, 6), 1)
