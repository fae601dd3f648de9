"""Colours on a scale: floor, body and sky move from their own colours to those that ``color_hard`` draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from saccade.envs.distractions.color import Color, ColorPalette

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Rgb, Scene


@final
@dataclass(frozen=True)
class ColorDial:
    """The mode ``color_hard`` at a strength; at 1 it is that mode, bit for bit, with the same setting per episode."""

    strength: float

    def check(self, folder: DataFolder) -> None:
        """Read the settings, if there are any."""
        Color("hard").check(folder)

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> PaleColors:
        """Return the settings of ``color_hard``."""
        return PaleColors(Color("hard").load(folder, image_size, clip_order), self.strength)


@final
@dataclass(frozen=True)
class PaleColors:
    """``ColorDial`` with its data loaded; an episode's choice is an index into the settings."""

    palette: ColorPalette
    strength: float

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Choose as ``color_hard`` does."""
        return self.palette.choose(previous, random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Repaint floor, body and sky part of the way towards the setting; nothing at strength 0."""
        if self.strength == 1:
            self.palette.paint(scene, choice)
        elif self.strength > 0:
            setting = self.palette.settings[choice]
            own = scene.texture_colour("grid", "rgb1"), scene.texture_colour("grid", "rgb2")
            scene.paint_texture(
                "grid", rgb1=self._towards(own[0], setting.grid_rgb1), rgb2=self._towards(own[1], setting.grid_rgb2)
            )
            sky = self._towards(scene.texture_colour("skybox", "rgb1"), setting.skybox_rgb)
            scene.paint_texture("skybox", rgb1=sky)
            body = scene.material_colour("self")
            if body is not None:
                scene.paint_material("self", self._towards(body, setting.self_rgb))

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the settings, and the strength."""
        return {**self.palette.provenance(), "color_strength": self.strength}

    def _towards(self, own: Rgb, other: Rgb) -> Rgb:
        red, green, blue = (before + self.strength * (after - before) for before, after in zip(own, other, strict=True))
        return red, green, blue
