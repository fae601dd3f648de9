"""View: another light or another camera, the same in every episode, at a strength from 0 to 1."""

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
    """One dial of a MuJoCo scene's view (``envs/mujoco/view.py``); it is its own nuisance, for it has no data."""

    name: str
    strength: float

    def check(self, folder: DataFolder) -> None:
        """Nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> View:
        """Itself."""
        return self

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Always the same; draws nothing."""
        return previous

    def paint(self, scene: Scene, choice: int) -> None:
        """Turn the scene's dial."""
        scene.view.turn(self.name, self.strength)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """The frame as it was rendered."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """The strength."""
        return {self.name: self.strength}
