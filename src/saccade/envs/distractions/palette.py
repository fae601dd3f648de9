"""Palettes: floor, walls and distractors of a grid world have different colours in each episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions.appearance import Appearance, AppearanceBank, Rgb

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder

MINIGRID_COLOURS: tuple[Rgb, ...] = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (112, 39, 195), (255, 255, 0), (100, 100, 100),
)  # fmt: skip
LAVA_COLOUR: Rgb = (255, 128, 0)
BLACK: Rgb = (0, 0, 0)  # the floor's own

# Euclidean distances in red, green and blue.
APART = 70  # between any two colours of a palette, and from each to MiniGrid's own
APART_FROM_TARGETS = 120  # from distractors to MiniGrid's own, and to black, which is inside boxes and doors
MAX_LEVEL = 255
BRIGHTEST_FLOOR = 130  # of each channel: things stand out from a dark floor, as they do from the black one
STREAM = 11  # so that the same number gives colours unrelated to other generated data


@final
@dataclass(frozen=True)
class Palette:
    """Draws one of ``count`` generated palettes for each episode, with replacement.

    What the mission names keeps its colour, and so do things of the same colour, the agent, goals and lava. Every new
    colour is far from all of MiniGrid's own: no distractor looks like a target. Keys still have their doors' colours.
    """

    count: int = 100

    def check(self, folder: DataFolder) -> None:
        """Check nothing: palettes are generated."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> AppearanceBank:
        """Generate the palettes, always the same."""
        return AppearanceBank(tuple(generate_palette(number) for number in range(self.count)), "palette")


@cache
def generate_palette(number: int) -> Appearance:
    """Return the palette of this number: floor, wall, and six colours for distractors."""
    random = np.random.default_rng([STREAM, number])
    own = (*MINIGRID_COLOURS, LAVA_COLOUR)
    floor = _draw_colour(random, BRIGHTEST_FLOOR, {APART: (*own, BLACK)})
    wall = _draw_colour(random, MAX_LEVEL, {APART: (*own, BLACK, floor)})
    colours: list[Rgb] = []
    for _ in MINIGRID_COLOURS:
        distances = {APART_FROM_TARGETS: (*own, BLACK), APART: (floor, wall, *colours)}
        colours.append(_draw_colour(random, MAX_LEVEL, distances))
    return Appearance(np.array([[floor]], np.uint8), wall, tuple(colours))


def _draw_colour(random: np.random.Generator, brightest: int, distances: Mapping[int, Sequence[Rgb]]) -> Rgb:
    """A random colour at least this far from others (distance -> from which), drawn until one is found."""
    others = np.array([colour for group in distances.values() for colour in group])
    least = np.repeat(list(distances), [len(group) for group in distances.values()])
    while True:
        red, green, blue = (int(channel) for channel in random.integers(brightest + 1, size=3))
        if (np.linalg.norm(others - (red, green, blue), axis=1) >= least).all():
            return red, green, blue
