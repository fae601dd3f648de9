"""Weather: rain, fog and the sun in CARLA. Rewards and traffic stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder


@final
@dataclass(frozen=True)
class CarlaWeather:
    """One row of ``envs/tasks/carla/settings.py:WEATHERS``; it is its own nuisance, for it has no data."""

    name: str

    def check(self, folder: DataFolder) -> None:
        """Nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> CarlaWeather:
        """Itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Always the same; draws nothing."""
        return previous

    def paint(self, scene: Any, choice: int) -> None:
        """Have the server show it; ``scene`` is a ``CarlaScene``."""
        scene.set_weather(self.name)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """The frame as it was rendered."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """The row's name."""
        return {"weather": self.name}
