"""Surroundings: sky, floor, pedestal and table top of the robot tasks look different (``test1`` to ``test5``)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from saccade.data.banks.textures import generate_texture, read_texture

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Rgb, Scene

TINTS: Mapping[str, Rgb] = MappingProxyType(
    {
        "test1": (1.0, 0.5, 1.0),
        "test2": (0.5, 0.9, 0.8),
        "test3": (0.5, 0.1, 0.1),
        "test4": (0.1, 0.5, 0.8),
        "test5": (0.3, 0.2, 0.0),
    }
)
"""The upper colour of the sky, by which floor and pedestal are multiplied as well."""


@dataclass(frozen=True)
class Surroundings:
    """Shows one of the published variants of the scene, the same in every episode.

    Source: the files ``shared_test1.xml`` to ``shared_test5.xml`` of SGQN's code (Bertoin et al., 2022). Robot, goal,
    peg, box, camera and lights stay as they are.
    """

    variant: Literal["test1", "test2", "test3", "test4", "test5"]

    def check(self, folder: DataFolder) -> None:
        """Read the user's own picture, if there is one."""
        path = folder.texture(self.variant)
        if path is not None:
            read_texture(path)

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> PaintedSurroundings:
        """Return the user's own picture of the table top if the folder has it, else a generated one."""
        tint, path = TINTS[self.variant], folder.texture(self.variant)
        if path is not None:
            return PaintedSurroundings(tint, read_texture(path), "benchmark")
        if folder.root is not None:
            warnings.warn(
                f"{folder.root} has no picture textures/{self.variant}: a generated table top is used", stacklevel=2
            )
        return PaintedSurroundings(tint, generate_texture(self.variant), "generated")


@dataclass(frozen=True, eq=False)
class PaintedSurroundings:
    """The colours and the table top of one variant; an episode has nothing to choose."""

    tint: Rgb
    table: np.ndarray  # uint8 [side, side, 3]
    source: Literal["benchmark", "generated"]

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return always the same choice; draws nothing."""
        return previous

    def paint(self, scene: Scene, choice: int) -> None:
        """Repaint sky, floor, pedestal and table; a scene without one of them keeps what it has."""
        scene.paint_texture("skybox", rgb1=self.tint)
        scene.tint_material("floor", self.tint)
        scene.tint_material("pedestal", self.tint)
        scene.paint_picture("table", self.table)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source of the table top."""
        return {"table_top": self.source}
