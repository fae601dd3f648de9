"""Colours: floor, body and sky are repainted in each episode (``color_easy`` and ``color_hard``)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from saccade.data.banks.colors import ColorSetting, generate_colors, load_colors

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene


@dataclass(frozen=True)
class Color:
    """Draws one of about 100 colour settings for each episode, with replacement.

    Source: ColorWrapper of the DMControl Generalization Benchmark. Only the two colours of the ``grid``
    texture, the ``self`` material and the upper colour of the sky change; the lower one, stars, grid marks,
    effector, decoration and target keep theirs.
    """

    difficulty: Literal["easy", "hard"]

    def check(self, folder: DataFolder) -> None:
        """Read the settings, if there are any."""
        path = folder.colors(f"color_{self.difficulty}")
        if path is not None:
            load_colors(path)

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> ColorPalette:
        """Return the benchmark's settings if the folder has them, else generated ones with equal statistics."""
        path = folder.colors(f"color_{self.difficulty}")
        if path is None:
            if folder.root is not None:
                warnings.warn(
                    f"{folder.root} has no color_{self.difficulty}.pt: generated colours are used", stacklevel=2
                )
            return ColorPalette(tuple(generate_colors(self.difficulty)), "generated")
        return ColorPalette(tuple(load_colors(path)), "benchmark")


@dataclass(frozen=True)
class ColorPalette:
    """The settings that ``Color`` draws from; an episode's choice is an index into them."""

    settings: tuple[ColorSetting, ...]
    source: Literal["benchmark", "generated"]

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random setting, independent of the previous choice."""
        return int(random.integers(len(self.settings)))

    def paint(self, scene: Scene, choice: int) -> None:
        """Repaint floor, body and sky; a scene without one of them keeps what it has."""
        setting = self.settings[choice]
        scene.paint_texture("grid", rgb1=setting.grid_rgb1, rgb2=setting.grid_rgb2)
        scene.paint_material("self", setting.self_rgb)
        scene.paint_texture("skybox", rgb1=setting.skybox_rgb)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the settings."""
        return {"colors": self.source, "num_colors": len(self.settings)}
