"""Video by degrees: the picture fades into that of the mode ``video_hard``, whose clip moves behind the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions.video import GREEN, Video, VideoBackground

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

PAINTED = ("skybox", "grid")  # what the mode paints green


@final
@dataclass(frozen=True)
class VideoDial:
    """The mode ``video_hard`` at a strength: at 1 it, bit for bit, with the same clip in the same episode.

    Below 1 every pixel is so far between the clean picture of the same state and the mode's: the clip shines through
    the background, and the agent, which both show, stays. Two pictures are drawn for that.
    """

    strength: float

    def check(self, folder: DataFolder) -> None:
        """Nothing: whether clips can be used is known when they are decoded."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> FadedVideo:
        """The clips of ``video_hard``."""
        return FadedVideo(Video("video_hard", floor=True).load(folder, image_size, clip_order), self.strength)


@final
class FadedVideo:
    """What ``VideoDial`` becomes; an episode's choice is an index into the clips.

    It keeps the scene that it painted last, whose clean picture it asks for; that is no state of its own.
    """

    def __init__(self, background: VideoBackground, strength: float) -> None:
        self.background, self.strength = background, strength
        self._scene: Scene | None = None

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """As ``video_hard`` chooses."""
        return self.background.choose(previous, random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Paint sky and floor green, and keep another copy of what they were; nothing at strength 0."""
        if self.strength == 0:
            return
        if self.strength < 1:
            scene.keep_unpainted(PAINTED, rgb1=GREEN, rgb2=GREEN, markrgb=GREEN)
        self.background.paint(scene, choice)
        self._scene = scene

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """The frame of this agent step, so far between clean and the mode's."""
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
