"""Table tops of the robot tasks' variants: the user's own pictures, or generated ones of the same statistics.

The published pictures are of unknown origin and cannot be shipped. The mean and contrast of each are known, and the
generated one has the same: chipboard, black carpet, concrete, light wood and sponge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from saccade.data.pictures import UnusableError, read_picture
from saccade.types import UserError

TEXTURE_SIZE = 256  # pixels of a side
COARSE_SIZE = 64  # where the contrast was measured: about what a picture of 84 pixels shows of the table

FORMATS = ("JPEG", "PNG")


@dataclass(frozen=True)
class Material:
    """A generated table top.

    Attributes:
        mean: colour, 0..255.
        contrast: standard deviation of red, green and blue at 64x64 pixels.
        draw: ``random -> pattern``, float64 ``[256, 256]``; only its shape matters.
    """

    mean: tuple[float, float, float]
    contrast: tuple[float, float, float]
    draw: Callable[[np.random.Generator], np.ndarray]


def read_texture(path: Path) -> np.ndarray:
    """Read the user's picture as uint8 ``[256, 256, 3]``; of one that is not square, the middle.

    Raises:
        UserError: the file is no png or jpg picture of a reasonable size.
    """
    from PIL import Image, ImageOps

    try:
        size = (TEXTURE_SIZE, TEXTURE_SIZE)
        return np.array(ImageOps.fit(read_picture(path, FORMATS), size, Image.Resampling.BOX))
    except UnusableError as error:
        problem = str(error)
    raise UserError(
        f"texture {path} cannot be read ({problem}); give a png or jpg picture, or remove it to use a generated one"
    )


@cache
def generate_texture(variant: str) -> np.ndarray:
    """Return the generated table top of ``test1`` to ``test5``: uint8 ``[256, 256, 3]``, always the same; read-only."""
    material = MATERIALS[variant]
    pattern = material.draw(np.random.default_rng(list(MATERIALS).index(variant)))
    block = TEXTURE_SIZE // COARSE_SIZE
    coarse = pattern.reshape(COARSE_SIZE, block, COARSE_SIZE, block).mean(axis=(1, 3))
    pattern = (pattern - coarse.mean()) / coarse.std()
    colors = np.array(material.mean) + pattern[..., None] * np.array(material.contrast)
    texture = np.clip(np.round(colors), 0, 255).astype(np.uint8)
    texture.flags.writeable = False
    return texture


def _chips(random: np.random.Generator) -> np.ndarray:
    """Chipboard: straight strands in all directions, one over the other, each with a shade and a grain."""
    rows, columns = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE].astype(np.float64)
    pattern = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE))
    for _ in range(420):
        row, column = random.uniform(-20, TEXTURE_SIZE + 20, 2)
        angle, shade = random.uniform(0, np.pi), random.uniform(-1, 1)
        length, width = random.uniform(14, 38), random.uniform(3, 9)
        along = (columns - column) * np.cos(angle) + (rows - row) * np.sin(angle)
        across = (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)
        grain = _smooth_line(random, 64)[np.clip(np.abs(across) * 4, 0, 63).astype(int)]
        strand = (np.abs(along) < length) & (np.abs(across) < width + 0.06 * along)
        pattern[strand] = (shade + 0.25 * grain - 0.3 * (np.abs(across) > width - 1))[strand]
    return pattern


def _carpet(random: np.random.Generator) -> np.ndarray:
    """Carpet: short pile that varies slightly everywhere."""
    return _noise(random, 128) + 0.8 * _noise(random, 64) + 0.3 * _noise(random, 12) + 0.6 * _noise(random, 256)


def _concrete(random: np.random.Generator) -> np.ndarray:
    """Concrete: broad stains, fine sand, and a few dark pores."""
    pattern = _noise(random, 5) + 0.6 * _noise(random, 13) + 0.4 * _noise(random, 40) + 0.5 * _noise(random, 256)
    return pattern - 2.0 * _discs(random, 90, 0.8, 2.5)


def _wood(random: np.random.Generator) -> np.ndarray:
    """Light wood: grain along the long side of the table, wide and narrow, that bends slowly."""
    rows, columns = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE].astype(np.float64)
    bend = 9 * _noise(random, 3)
    place = np.clip(columns + bend, 0, TEXTURE_SIZE - 1).astype(int)
    rings = sum(weight * _smooth_line(random, knots)[place] for knots, weight in ((10, 1.0), (40, 0.7), (120, 0.4)))
    pores = _noise(random, 256)[rows.astype(int) // 8, columns.astype(int)]
    return rings + 0.3 * pores


def _sponge(random: np.random.Generator) -> np.ndarray:
    """Sponge: bright foam with round holes of all sizes."""
    return 0.25 * _noise(random, 32) + 0.2 * _noise(random, 128) - _discs(random, 520, 1.5, 10.0)


MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        "test1": Material((190, 159, 124), (16, 21, 24), _chips),
        "test2": Material((58, 58, 58), (6, 6, 6), _carpet),
        "test3": Material(
            (150, 148, 143), (9, 9, 9), _concrete
        ),  # the published picture was not available: a likely grey
        "test4": Material((216, 169, 112), (3, 6, 8), _wood),
        "test5": Material((238, 199, 60), (4, 16, 34), _sponge),
    }
)
"""Variant -> its table top. Statistics: measured on the published pictures, but for test3."""


def _noise(random: np.random.Generator, knots: int) -> np.ndarray:
    """Random heights at ``knots`` by ``knots`` places, linear between them: ``[256, 256]``, within -1..1."""
    lattice = random.uniform(-1, 1, (knots + 1, knots + 1))
    place = np.arange(TEXTURE_SIZE) * (knots / TEXTURE_SIZE)
    before = place.astype(int)
    part = place - before
    rows = lattice[before] * (1 - part)[:, None] + lattice[before + 1] * part[:, None]
    return rows[:, before] * (1 - part) + rows[:, before + 1] * part


def _smooth_line(random: np.random.Generator, knots: int) -> np.ndarray:
    """Like ``_noise``, along a line: ``[256]``."""
    heights = random.uniform(-1, 1, knots + 1)
    return np.interp(np.arange(TEXTURE_SIZE) * (knots / TEXTURE_SIZE), np.arange(knots + 1), heights)


def _discs(random: np.random.Generator, count: int, smallest: float, largest: float) -> np.ndarray:
    """Soft-edged discs, mostly small ones: ``[256, 256]`` in 0..1. They wrap around at the edges."""
    rows, columns = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE].astype(np.float64)
    depth = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE))
    for _ in range(count):
        row, column = random.uniform(0, TEXTURE_SIZE, 2)
        radius = smallest + (largest - smallest) * random.uniform(0, 1) ** 3
        down, right = (np.abs(axis - at) for axis, at in ((rows, row), (columns, column)))
        down, right = (np.minimum(apart, TEXTURE_SIZE - apart) for apart in (down, right))
        depth = np.maximum(depth, np.clip(radius + 1 - np.sqrt(down**2 + right**2), 0, 2) / 2)
    return depth
