"""Bars: parts of the picture are hidden, in different places in each episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions import any_seed
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder

NUM_LEVELS = 256


@final
@dataclass(frozen=True)
class Bars:
    """Lays opaque bars of one colour over every frame, from edge to edge, vertical or horizontal.

    Attributes:
        count: how many bars.
        width: of each bar, as a fraction of the picture's side.

    Raises:
        UserError: there are none, or they are not narrower than the picture.
    """

    count: int = 2
    width: float = 0.05

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"count is {self.count!r}, but must be a number of bars from 1")
        if not 0 < self.width < 1:
            raise UserError(f"width is {self.width!r}, but must be a fraction of the picture between 0 and 1")

    def check(self, folder: DataFolder) -> None:
        """Check nothing: bars are generated."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> DrawnBars:
        """Open nothing: no data is needed."""
        return DrawnBars(self.count, self.width)


@final
@dataclass(frozen=True)
class DrawnBars:
    """``Bars`` with its data loaded; an episode's choice is the seed of its places and colours."""

    count: int
    width: float

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: object, choice: int) -> None:
        """Do nothing."""

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame with this episode's bars over it."""
        random, hidden = np.random.default_rng(choice), pixels.copy()
        for _ in range(self.count):
            upright, colour = bool(random.integers(2)), random.integers(NUM_LEVELS, size=pixels.shape[-1])
            side = pixels.shape[1 if upright else 0]
            width = max(round(self.width * side), 1)
            first = int(random.integers(side - width + 1))
            (hidden[:, first : first + width] if upright else hidden[first : first + width])[:] = colour
        return hidden

    def provenance(self) -> dict[str, object]:
        """How much is hidden."""
        return {"num_bars": self.count, "bar_width": self.width}
