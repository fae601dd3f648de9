"""Textures: the floor of a grid world shows a different generated picture in each episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.data.banks.procedural import still_image
from saccade.envs.distractions.appearance import Appearance, AppearanceBank

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder

BRIGHTNESS = (
    0.5  # the brightness of the picture, so that things stand out: MiniGrid's own coloured floors are half as bright
)
FIRST_SEED = 900_000_000  # far from the seeds of pictures that overlays use in training


@final
@dataclass(frozen=True)
class Texture:
    """Draws one of ``count`` generated pictures for each episode, with replacement, and covers the floor with it.

    Walls and things keep their look.
    """

    count: int = 32

    def check(self, folder: DataFolder) -> None:
        """Check nothing: pictures are generated."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> AppearanceBank:
        """Generate the pictures, always the same for a size; ``image_size`` is the longer side of a frame."""
        looks = tuple(Appearance(floor_picture(number, image_size)) for number in range(self.count))
        return AppearanceBank(looks, "texture")


@cache
def floor_picture(number: int, size: int) -> np.ndarray:
    """Return the floor picture of this number: uint8 ``[size, size, 3]``; read-only."""
    picture = (BRIGHTNESS * still_image(FIRST_SEED + number, size)).astype(np.uint8)
    picture.flags.writeable = False
    return picture
