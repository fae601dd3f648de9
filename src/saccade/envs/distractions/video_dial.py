"""Video on a scale: the picture fades into that of the mode ``video_hard``, whose clip moves behind the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions.video import GREEN, Video, VideoBackground

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

PAINTED = ("skybox", "grid")  # the textures that the mode paints green


@final
@dataclass(frozen=True)
class VideoDial:
    """The mode ``video_hard`` at a strength; at 1 it is that mode, bit for bit, with the same clip per episode.

    Below 1 every pixel is mixed from the clean picture of the same state and the mode's: the clip shines through
    the background, and the agent, which is in both, stays. Two pictures are rendered for that.
    """

    strength: float

    def check(self, folder: DataFolder) -> None:
        """Check nothing: whether clips can be used is known once they are decoded."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> FadedVideo:
        """Return the clips of ``video_hard``."""
        return FadedVideo(Video("video_hard", floor=True).load(folder, image_size, clip_order), self.strength)


@final
class FadedVideo:
    """``VideoDial`` with its data loaded; an episode's choice is an index into the clips.

    It refers to the scene that it last painted, to ask for its clean picture; it has no state of its own.
    """

    def __init__(self, background: VideoBackground, strength: float) -> None:
        self.background, self.strength = background, strength
        self._scene: Scene | None = None

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Choose as ``video_hard`` does."""
        return self.background.choose(previous, random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Paint sky and floor green, and keep a copy of their textures; nothing at strength 0."""
        if self.strength == 0:
            return
        if self.strength < 1:
            scene.keep_unpainted(PAINTED, rgb1=GREEN, rgb2=GREEN, markrgb=GREEN)
        self.background.paint(scene, choice)
        self._scene = scene

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame of this agent step, mixed from the clean picture and the mode's."""
        if self._scene is None:
            return pixels
        hard = self.background.apply(pixels, choice, agent_step)
        if self.strength == 1:
            return hard
        clean = self._scene.render_unpainted().astype(np.float32)
        return np.rint(clean + np.float32(self.strength) * (hard.astype(np.float32) - clean)).astype(np.uint8)

    def provenance(self) -> dict[str, object]:
        """Source and number of the clips, and the strength."""
        return {**self.background.provenance(), "video_strength": self.strength}
