"""Weather: a highway in another one, or at another time of day. Physics, rewards and cars stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder


@final
@dataclass(frozen=True)
class OtherWeather:
    """One that the scene knows by name; it is its own nuisance, for it has no data.

    Attributes:
        name: of ``LOOKS`` in ``envs/tasks/driving/looks.py``, or ``WEATHERS`` in ``envs/tasks/carla/settings.py``.
        told_as: what the provenance calls it.
    """

    name: str
    told_as: str = "weather"

    def check(self, folder: DataFolder) -> None:
        """Nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> OtherWeather:
        """Itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Always the same; draws nothing."""
        return previous

    def paint(self, scene: Any, choice: int) -> None:
        """Have the road look so; ``scene`` is a ``RoadScene`` or a ``CarlaScene``."""
        scene.set_weather(self.name)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """The frame as it was rendered."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Its name."""
        return {self.told_as: self.name}
