"""Other colours on a console: each of its colours is replaced by another before a picture is made.

``brightness`` and ``color_jitter`` of Atari. A console has 128 colours, which are replaced once, as an episode begins.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.distractions import any_seed
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.tasks.atari.screen import Screen

MAX_LEVEL = 255

Change = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
"""``(colours uint8 [colours, 3], random numbers) -> as many other colours``."""


@final
@dataclass(frozen=True)
class Brightness:
    """Multiplies every colour by one number, drawn for each episode: a darker picture, or a brighter one.

    Attributes:
        darker, brighter: the two ranges that the number is drawn from, with equal probability.

    Raises:
        UserError: they overlap, or reach beyond 0.
    """

    darker: tuple[float, float] = (0.4, 0.7)
    brighter: tuple[float, float] = (1.4, 2.0)

    def __post_init__(self) -> None:
        (low, below), (above, high) = self.darker, self.brighter
        if not 0 <= low <= below <= 1 <= above <= high < np.inf:
            raise UserError(f"darker is {self.darker} and brighter {self.brighter}, but must be below and above 1")

    def check(self, folder: DataFolder) -> None:
        """Check nothing: numbers are drawn."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> ChangedColours:
        """Open nothing: no data is needed."""
        return ChangedColours("brightness", self._change, (*self.darker, *self.brighter))

    def _change(self, colours: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        factor = random.uniform(*(self.brighter if random.integers(2) else self.darker))
        return np.rint(colours * factor).clip(0, MAX_LEVEL).astype(np.uint8)


@final
@dataclass(frozen=True)
class ColorJitter:
    """Turns the hue of every colour by one angle, and multiplies its saturation and value, drawn for each episode.

    Attributes:
        hue: the largest rotation either way, as a fraction of a full turn.
        saturation, value: the ranges that the factors are drawn from.

    Raises:
        UserError: the hue turns further than half way, or another range is invalid.
    """

    hue: float = 0.5
    saturation: tuple[float, float] = (0.6, 1.4)
    value: tuple[float, float] = (0.6, 1.4)

    def __post_init__(self) -> None:
        if not 0 <= self.hue <= 0.5:
            raise UserError(f"hue is {self.hue!r}, but must be a fraction of a turn from 0 to 0.5")
        for name in ("saturation", "value"):
            low, high = getattr(self, name)
            if not 0 <= low <= high < np.inf:
                raise UserError(f"{name} is {(low, high)}, but must go from a number of at least 0 to a larger one")

    def check(self, folder: DataFolder) -> None:
        """Check nothing: numbers are drawn."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> ChangedColours:
        """Open nothing: no data is needed."""
        return ChangedColours("color_jitter", self._change, (self.hue, *self.saturation, *self.value))

    def _change(self, colours: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        turn, saturating, lighting = (
            random.uniform(*bounds) for bounds in ((-self.hue, self.hue), self.saturation, self.value)
        )
        changed = []
        for colour in colours / MAX_LEVEL:
            hue, saturation, value = colorsys.rgb_to_hsv(*colour)
            changed.append(
                colorsys.hsv_to_rgb((hue + turn) % 1, min(saturation * saturating, 1), min(value * lighting, 1))
            )
        return np.rint(np.array(changed) * MAX_LEVEL).astype(np.uint8)


@final
@dataclass(frozen=True)
class ChangedColours:
    """Either of the two, loaded; an episode's choice is the seed of its change."""

    name: str
    change: Change
    numbers: tuple[float, ...]  # how strong it is

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: Screen, choice: int) -> None:
        """Make the console show this episode's colours."""
        scene.paint(self.change(scene.original, np.random.default_rng(choice)))

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame, which already has these colours."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """How strong the change may be."""
        return {self.name: list(self.numbers)}
