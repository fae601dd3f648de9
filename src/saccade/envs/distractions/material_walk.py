"""Drifting colours of materials: each starts elsewhere in an episode and drifts from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions import any_seed
from saccade.envs.distractions.walks import Walk, changes

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

STREAM = 23  # so that the same choice gives draws unrelated to others
STEP_STD = 0.03  # of a change, times the intensity


@final
@dataclass(frozen=True)
class MaterialWalk:
    """Changes red, green and blue of every material, independently.

    Source: Stone et al., 2021, ``color.py`` of the variant in the DMControl Generalization Benchmark. The sky has no
    material, so it stays; the floor's colour multiplies its texture, so it can only become darker.

    Attributes:
        intensity: how far a channel may be from its own value, 0..1.
        period: control steps from one change to the next; 0 for colours that stay fixed during an episode.
    """

    intensity: float
    period: int

    def check(self, folder: DataFolder) -> None:
        """Check nothing: colours are drawn."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> WalkingMaterials:
        """Open nothing: no data is needed."""
        return WalkingMaterials(self.intensity, self.period)


@final
@dataclass(frozen=True)
class WalkingMaterials:
    """``MaterialWalk`` with its data loaded; an episode's choice is the seed of its colours."""

    intensity: float
    period: int

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Start the drift of all colours."""
        random = np.random.default_rng([STREAM, choice])
        walk = Walk(color_walk(random, scene.material_colors, self.intensity))

        def motion(control_steps: int, agent_steps: int) -> None:
            scene.color_materials(walk[changes(control_steps, self.period)])

        scene.moving.move("materials", motion)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """How far colours go, and how often they change."""
        return {"color_intensity": self.intensity, "color_period": self.period}


def color_walk(random: np.random.Generator, own: np.ndarray, intensity: float) -> Iterator[np.ndarray]:
    """Yield colours like ``own``, ``[materials, 3]`` in 0..1, at first and after each change, endlessly."""
    low, high = (own - intensity).clip(0, 1), (own + intensity).clip(0, 1)
    colors = random.uniform(low, high)
    while True:
        yield colors
        colors = (colors + random.normal(0, STEP_STD * intensity, own.shape)).clip(low, high)
