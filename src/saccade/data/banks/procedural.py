"""Generated pictures and moving scenes with the statistics of natural ones.

They replace photographs and film if the user has none: shapes that occlude one another (dead leaves),
1/f noise, landscapes and rooms; and a camera that drifts and zooms over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from saccade.data.banks.painted_shapes import ELLIPSE, paint_leaves, palette, pink_field

GENERATOR_VERSION = 1  # raised whenever a seed's picture would change, so that cached ones are made again
STILL_STREAM, EASY_STREAM, HARD_STREAM = 1, 2, 3  # the same seed gives unrelated stills and scenes

# Mean brightness and contrast of a finished picture, as shares of the full range, like those of photographs.
MEAN_RANGE = (0.32, 0.55)
CONTRAST_RANGE = (0.14, 0.23)

LEAF_RADII = (0.025, 0.5)  # smallest and largest leaf, as shares of the picture's side
NUM_LEAVES = 320


def dead_leaves(random: np.random.Generator, size: int) -> np.ndarray:
    """Draw shapes of all sizes that occlude one another: uint8 ``[size, size, 3]``.

    With a density of radii of r^-3 the picture looks alike at every scale (Lee, Mumford and Huang, 2001).
    """
    colors = palette(random)
    canvas = (colors[0] * (1 + 0.2 * pink_field(random, size)[..., None])).astype(np.float32)
    paint_leaves(random, canvas, colors, NUM_LEAVES, LEAF_RADII)
    return _finish(random, canvas)


def pink_noise_image(random: np.random.Generator, size: int) -> np.ndarray:
    """Draw tinted noise whose amplitude falls as 1/frequency, like clouds and stone: uint8 ``[size, size, 3]``."""
    brightness = pink_field(random, size)[..., None]
    tints = np.stack([pink_field(random, size) for _ in range(2)], axis=-1)
    # Photographs vary most in brightness, less from blue to yellow, least from red to green
    # (Ruderman, Cronin and Chiao, 1998).
    axes = np.array([[0.12, 0.0, -0.16], [0.06, -0.06, 0.0]]) * random.uniform(0.3, 1.0, (2, 1))
    dark, bright = palette(random)[:2]
    return _finish(random, (dark + bright + brightness * (1 + bright - dark)) / 2 + tints @ axes)


def landscape(random: np.random.Generator, size: int) -> np.ndarray:
    """Draw sky and clouds above ridges, hazy in the distance, with plants and stones: uint8 ``[size, size, 3]``."""
    rows = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    colors = palette(random)
    horizon = random.uniform(0.25, 0.6)
    zenith, haze = np.array([0.25, 0.45, 0.8]) + random.normal(0, 0.12, 3), random.uniform(0.7, 1.0, 3)
    clouds = (pink_field(random, size, slope=1.4) * random.uniform(0.1, 0.5)).clip(0, 1)[..., None]
    height = (rows / horizon).clip(0, 1)[..., None]
    canvas = ((zenith * (1 - height) + haze * height) * (1 - clouds) + clouds).astype(np.float32)
    num_ridges = int(random.integers(3, 6))
    for number in range(num_ridges):
        near = (number + 1) / num_ridges
        ridge = horizon + 0.8 * (1 - horizon) * number / num_ridges
        profile = ridge + 0.06 * (0.4 + near) * pink_field(random, size, slope=2.0)[0]
        ground = 0.6 * haze * (1 - near) + colors[number % len(colors)] * (0.4 + 0.6 * near)
        soil = ground * (1 + (0.05 + 0.15 * near) * pink_field(random, size)[..., None])
        canvas = np.where((rows > profile)[..., None], soil, canvas).astype(np.float32)
        growing = (float(profile.min()), min(1.0, float(profile.max()) + 0.5 * near))
        paint_leaves(random, canvas, colors, int(20 + 40 * near), (0.008, 0.02 + 0.1 * near**2), growing)
    return _finish(random, canvas)


def room(random: np.random.Generator, size: int) -> np.ndarray:
    """Draw a room in one-point perspective with boards, pictures and objects: uint8 ``[size, size, 3]``."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 2)
    x, y = x - random.uniform(-0.5, 0.5), y - random.uniform(-0.4, 0.3)  # from the vanishing point
    sideways, upwards = np.abs(x) / random.uniform(0.6, 1.6), np.abs(y)
    nearness = np.maximum(np.maximum(sideways, upwards), random.uniform(0.25, 0.6))
    at_back, at_side = nearness > np.maximum(sideways, upwards), sideways > upwards
    back, left, right, ceiling, floor = range(5)
    surface = np.where(at_side, np.where(x < 0, left, right), np.where(y < 0, ceiling, floor))
    surface = np.where(at_back, back, surface)
    colors = palette(random)
    paint = 0.6 * colors[random.integers(len(colors), size=5)] + random.uniform(0.1, 0.4, (5, 1))
    # Stripes that are parallel in the room converge in the picture: panels on the walls, boards on the floor.
    along = np.where(at_side, y, x) / nearness
    stripes = np.sin(along * random.uniform(6, 40)) * np.array([0.0, 0.1, 0.1, 0.0, 0.3])[surface]
    light = 0.6 + random.uniform(0.0, 0.8) * nearness + 0.08 * pink_field(random, size, slope=1.4)
    canvas = (paint[surface] * ((1 + stripes) * light)[..., None]).astype(np.float32)
    on_walls, about = int(random.integers(6, 14)), int(random.integers(15, 60))
    paint_leaves(random, canvas, colors, on_walls, (0.05, 0.16), rows=(0.1, 0.6), shapes=(4,), upright=True)
    paint_leaves(random, canvas, colors, about, (0.02, 0.22), rows=(0.5, 1.0), shapes=(ELLIPSE, 4, 5), upright=True)
    return _finish(random, canvas)


# Kinds of picture, and how often each occurs.
STILLS: tuple[tuple[Callable[[np.random.Generator, int], np.ndarray], float], ...] = (
    (dead_leaves, 0.35),
    (landscape, 0.3),
    (room, 0.25),
    (pink_noise_image, 0.1),
)


def still_image(seed: int, size: int) -> np.ndarray:
    """Draw one picture of a kind that the seed chooses, the same for the same seed: uint8 ``[size, size, 3]``."""
    return _any_still(np.random.default_rng([STILL_STREAM, seed]), size)


def _any_still(random: np.random.Generator, size: int) -> np.ndarray:
    kind = random.choice(len(STILLS), p=[share for _, share in STILLS])
    return STILLS[kind][0](random, size)


def _finish(random: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Bring a drawing to a natural mean and contrast, and to uint8."""
    brightness = canvas.mean(axis=-1)
    gain = random.uniform(*CONTRAST_RANGE) / max(float(brightness.std()), 1e-3)
    level = random.uniform(*MEAN_RANGE)
    return (((canvas - brightness.mean()) * gain + level).clip(0, 1) * 255).astype(np.uint8)


# --- moving scenes ----------------------------------------------------------------------------------

WORLD_SIDES = 2.0  # side of the picture that the camera moves over, in sides of a frame
ZOOM_RANGE = (0.75, 1.3)  # side of what the camera sees, in sides of a frame
CYCLES = (1, 2, 3)  # full periods of drift and zoom in a clip: a clip that repeats shows no cut
LIGHT_SWING = 0.08  # the light varies by this fraction
# Parallax: number of objects, their radii, and how much of the camera's motion a layer follows.
FAR_MOTION = {"easy": 0.6, "hard": 0.6}
NEARER_LAYERS = ((22, (0.03, 0.12), 0.8), (7, (0.08, 0.2), 1.0))


def moving_scene(seed: int, size: int, num_frames: int, difficulty: Literal["easy", "hard"]) -> np.ndarray:
    """Draw a clip of a camera that drifts and zooms over a scene: uint8 ``[num_frames, size, size, 3]``, RGB.

    ``easy`` moves over one still picture; ``hard`` has objects in front of it, which move faster the nearer they are.
    """
    random = np.random.default_rng([EASY_STREAM if difficulty == "easy" else HARD_STREAM, seed])
    world_size = round(WORLD_SIDES * size)
    layers = [(_any_still(random, world_size).astype(np.float32), FAR_MOTION[difficulty])]
    if difficulty == "hard":
        colors = palette(random)
        for count, radii, motion in NEARER_LAYERS:
            layer = np.zeros((world_size, world_size, 4), np.float32)
            paint_leaves(random, layer, colors, count, radii)
            layers.append((layer * 255, motion))
    down, across, zoom, light = (_wander(random, num_frames) for _ in range(4))
    low, high = ZOOM_RANGE
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for t in range(num_frames):
        view = size * (low + (high - low) * (1 + zoom[t]) / 2)
        frame = np.zeros((size, size, 3), np.float32)
        for layer, motion in layers:
            seen = _look(layer, view, down[t] * motion, across[t] * motion, size)
            frame = seen[..., :3] if seen.shape[-1] == 3 else frame * (1 - seen[..., 3:] / 255) + seen[..., :3]
        frames[t] = (frame * (1 + LIGHT_SWING * light[t])).clip(0, 255)
    return frames


def _wander(random: np.random.Generator, num_frames: int) -> np.ndarray:
    """A smooth path in -1..1 that ends where it began: float64 ``[num_frames]``."""
    turns = np.arange(num_frames)[:, None] / num_frames * np.array(CYCLES)
    share = random.dirichlet(np.ones(len(CYCLES)))
    return np.sin(2 * np.pi * (turns + random.uniform(0, 1, len(CYCLES)))) @ share


def _look(layer: np.ndarray, view: float, down: float, across: float, size: int) -> np.ndarray:
    """A square window of side ``view`` on a layer; -1 and 1 are its outermost places. Bilinear."""
    room_to_move = (len(layer) - 1 - view) / 2
    steps = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(view / size)
    rows, columns = (steps + np.float32(room_to_move * (1 + place)) for place in (down, across))
    first, last = int(columns[0]), int(columns[-1]) + 2
    band = _interpolated(layer[:, first:last], rows, axis=0)
    return _interpolated(band, columns - first, axis=1)


def _interpolated(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    before = places.astype(int)
    weight = (places - before).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    low, high = values.take(before, axis=axis), values.take(before + 1, axis=axis)
    return low + (high - low) * weight
