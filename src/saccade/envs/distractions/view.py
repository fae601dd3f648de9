"""View: other light or another camera, the same in every episode, at a strength from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene


@final
@dataclass(frozen=True)
class View:
    """One dial of a MuJoCo scene's view (``envs/mujoco/view.py``); it has no data, so it is its own nuisance."""

    name: str
    strength: float

    def check(self, folder: DataFolder) -> None:
        """Check nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> View:
        """Return itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return always the same choice; draws nothing."""
        return previous

    def paint(self, scene: Scene, choice: int) -> None:
        """Turn the scene's dial."""
        scene.view.turn(self.name, self.strength)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """The strength."""
        return {self.name: self.strength}
