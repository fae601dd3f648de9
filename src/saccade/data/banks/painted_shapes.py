"""Parts of generated pictures: 1/f noise, palettes, and shaded shapes that occlude one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ELLIPSE = 0  # number of corners of the shape that has none
LEAF_SHAPES = (ELLIPSE, ELLIPSE, ELLIPSE, 3, 4, 4, 5)  # drawn with equal probability
LEAF_STRETCH = 0.35  # deviation of the logarithm of a leaf's stretch
LEAF_SHADING = 0.35  # largest change of brightness over one radius
TEXTURE_CONTRAST = (0.0, 0.2)  # deviation of a surface's brightness over its mean
TEXTURE_SLOPE = 0.7  # rougher than 1/f
COLOR_JITTER = 0.03  # deviation from the palette, per channel
BRIGHTNESS_JITTER = 0.2  # deviation of the logarithm of the brightness
OVERHANG = 0.05  # how far beyond the picture's left and right a centre may lie, as a fraction of its side

NUM_PALETTE_COLORS = (4, 9)  # at least, fewer than
# Hues of natural scenes in turns (0 red, 1/3 green, 2/3 blue): earth and skin, leaves, sky, and a few of any hue.
HUE_CENTERS = np.array([0.07, 0.12, 0.27, 0.58, 0.0])
HUE_SPREADS = np.array([0.03, 0.04, 0.06, 0.04, 0.5])
HUE_SHARES = np.array([0.3, 0.2, 0.2, 0.2, 0.1])
SATURATION_BETA = (1.6, 2.8)
BRIGHTNESS_BETA = (1.5, 1.5)


def pink_field(random: np.random.Generator, size: int, slope: float = 1.0) -> np.ndarray:
    """Return noise with mean 0, deviation 1 and amplitude frequency^-slope that tiles: float32 ``[size, size]``."""
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequencies[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(random.standard_normal((size, size), dtype=np.float32)) * frequencies**-slope
    field = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return field / max(float(field.std()), 1e-6)


def palette(random: np.random.Generator) -> np.ndarray:
    """Return a few colours that could occur in one scene: float32 ``[colors, 3]`` in 0..1."""
    count = int(random.integers(*NUM_PALETTE_COLORS))
    kind = random.choice(len(HUE_SHARES), size=count, p=HUE_SHARES)
    hue = random.normal(HUE_CENTERS[kind], HUE_SPREADS[kind])[:, None]
    saturation = random.beta(*SATURATION_BETA, (count, 1))
    brightness = random.beta(*BRIGHTNESS_BETA, (count, 1))
    pure = (np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1).clip(0, 1)  # HSV to RGB
    return (brightness * (1 - saturation + saturation * pure)).astype(np.float32)


def paint_leaves(
    random: np.random.Generator,
    canvas: np.ndarray,
    colors: np.ndarray,
    count: int,
    radii: tuple[float, float],
    rows: tuple[float, float] = (0.0, 1.0),
    shapes: tuple[int, ...] = LEAF_SHAPES,
    upright: bool = False,
) -> None:
    """Paint shaded, textured shapes over one another onto a float32 canvas ``[size, size, 3 or 4]``.

    Radii (smallest and largest) and ``rows`` (between which the centres lie) are fractions of the size. A fourth
    channel accumulates coverage; on an empty canvas, the colours are then multiplied by it.
    """
    size = len(canvas)
    most, least = radii[0] ** -2, radii[1] ** -2
    leaves = Leaves(
        radius=random.uniform(least, most, count) ** -0.5 * size,  # inverse of the cumulated density r^-3
        center=np.stack([random.uniform(*rows, count), random.uniform(-OVERHANG, 1 + OVERHANG, count)], 1) * size,
        stretch=np.exp(random.normal(0, LEAF_STRETCH, count)),
        angle=np.zeros(count) if upright else random.uniform(0, 2 * np.pi, count),
        corners=random.choice(shapes, count),
        shading=random.uniform(-LEAF_SHADING, LEAF_SHADING, (count, 2)),
    )
    roughness = random.uniform(*TEXTURE_CONTRAST, count).astype(np.float32)
    color = colors[random.integers(len(colors), size=count)] * np.exp(random.normal(0, BRIGHTNESS_JITTER, (count, 1)))
    color = (color + random.normal(0, COLOR_JITTER, (count, 3))).clip(0, 1).astype(np.float32)
    texture = pink_field(random, size, TEXTURE_SLOPE)
    for i, (top, left, coverage, light) in enumerate(leaves.drawn()):
        inside_rows, inside_columns = _inside(top, len(coverage), size), _inside(left, len(coverage), size)
        place = (slice(top + inside_rows.start, top + inside_rows.stop),
                 slice(left + inside_columns.start, left + inside_columns.stop))  # fmt: skip
        blend = coverage[inside_rows, inside_columns, None]
        shade = light[inside_rows, inside_columns] + roughness[i] * texture[place]
        window = canvas[place]
        window[..., :3] += (color[i] * shade[..., None] - window[..., :3]) * blend
        window[..., 3:] += (1 - window[..., 3:]) * blend


def _inside(start: int, length: int, size: int) -> slice:
    """The part of a window that lies on the canvas, counted from the window's own start."""
    first = min(max(-start, 0), length)
    return slice(first, max(min(length, size - start), first))


@dataclass(frozen=True)
class Leaves:
    """Shapes to be drawn, one entry each; lengths in pixels."""

    center: np.ndarray  # [n, 2] row, column
    radius: np.ndarray  # [n]
    stretch: np.ndarray  # [n] length over width is the square of this
    angle: np.ndarray  # [n]
    corners: np.ndarray  # [n] ELLIPSE or 3 and more
    shading: np.ndarray  # [n, 2] change of brightness over one radius, along and across

    def drawn(self) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield each leaf's window top and left, its coverage in 0..1 and its brightness ``[w, w]``.

        Leaves with windows of the same size are drawn together: most are small, and numpy is slow on those.
        """
        reach = self.radius * np.maximum(self.stretch, 1 / self.stretch) + 1
        sides = 2 ** np.ceil(np.log2(2 * reach + 1)).astype(int)
        corner = np.floor(self.center - sides[:, None] / 2).astype(int)
        windows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for side in np.unique(sides):
            chosen = np.flatnonzero(sides == side)
            pairs = zip(*self._draw(chosen, corner[chosen], int(side)), strict=True)
            windows.update(zip(chosen.tolist(), pairs, strict=True))
        for index, (top, left) in enumerate(corner.tolist()):
            yield top, left, *windows[index]

    def _draw(self, chosen: np.ndarray, corner: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        def broad(values: np.ndarray) -> np.ndarray:
            return values.astype(np.float32)[:, None, None]

        pixels = np.arange(side, dtype=np.float32)
        middle = self.center[chosen] - corner
        down = pixels[None, :, None] - broad(middle[:, 0])
        across = pixels[None, None, :] - broad(middle[:, 1])
        cosine, sine = broad(np.cos(self.angle[chosen])), broad(np.sin(self.angle[chosen]))
        radius, stretch = self.radius[chosen], self.stretch[chosen]
        u = (across * cosine + down * sine) / broad(radius * stretch)
        v = (down * cosine - across * sine) / broad(radius / stretch)
        distance = np.sqrt(u * u + v * v)
        for corners in np.unique(self.corners[chosen]):
            if corners != ELLIPSE:  # a regular polygon of circumradius 1
                of_kind = self.corners[chosen] == corners
                normals = np.exp(2j * np.pi * np.arange(corners) / corners).astype(np.complex64)
                edges = [u[of_kind] * normal.real + v[of_kind] * normal.imag for normal in normals]
                distance[of_kind] = np.maximum.reduce(edges) / np.float32(np.cos(np.pi / corners))
        coverage = ((1 - distance) * broad(radius) + 0.5).clip(0, 1)  # the edge is one pixel wide
        shading = self.shading[chosen]
        return coverage, 1 + u * broad(shading[:, 0]) + v * broad(shading[:, 1])
