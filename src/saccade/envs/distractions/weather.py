"""Weather: a highway in other weather, or at another time of day. Physics, rewards and cars stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder


@final
@dataclass(frozen=True)
class OtherWeather:
    """A weather that the scene has by name; it has no data, so it is its own nuisance.

    Attributes:
        name: a name in ``LOOKS`` of ``envs/tasks/driving/looks.py``, or in ``WEATHERS`` of
            ``envs/tasks/carla/settings.py``.
        provenance_key: its name in the provenance.
    """

    name: str
    provenance_key: str = "weather"

    def check(self, folder: DataFolder) -> None:
        """Check nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> OtherWeather:
        """Return itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return always the same choice; draws nothing."""
        return previous

    def paint(self, scene: Any, choice: int) -> None:
        """Set the scene's weather; ``scene`` is a ``RoadScene`` or a ``CarlaScene``."""
        scene.set_weather(self.name)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Its name."""
        return {self.provenance_key: self.name}
