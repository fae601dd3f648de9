"""Daylight: the highway at another time of day or in fog. Physics, rewards and cars stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder


@final
@dataclass(frozen=True)
class Daylight:
    """One row of ``envs/tasks/driving/looks.py``; it is its own nuisance, for it has no data."""

    look: Literal["sunset", "fog", "night"]

    def check(self, folder: DataFolder) -> None:
        """Nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> Daylight:
        """Itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Always the same; draws nothing."""
        return previous

    def paint(self, scene: Any, choice: int) -> None:
        """Have the road look so; ``scene`` is its ``RoadScene``."""
        scene.light(self.look)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """The frame as it was rendered."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """The row's name."""
        return {"daylight": self.look}
