"""Video behind a game: a clip plays where the picture is black, or has the colour that fills most of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from saccade.data.banks.clips import Clips, load_clips
from saccade.types import UserError

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.tasks.atari.screen import Screen


@final
@dataclass(frozen=True)
class VideoBehind:
    """Plays one clip per episode behind the game, one frame per agent step, from its first frame.

    The clip shows where the screen is black, or has the colour that fills most of it as a game begins. Things keep
    their look, except those that are black themselves.

    Attributes:
        mode: the mode whose clips play.
        brightness: factor on the clip's brightness, so that things stand out.

    Raises:
        UserError: the brightness is not above 0, or is above 1.
    """

    mode: Literal["video_easy", "video_hard"] = "video_easy"
    brightness: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.brightness <= 1:
            raise UserError(f"brightness is {self.brightness!r}, but must be a fraction above 0 and up to 1")

    def check(self, folder: DataFolder) -> None:
        """Check nothing: whether clips can be used is known once they are decoded."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> ClipBehind:
        """Return the benchmark's clips if the folder has them, else generated scenes; decoded on first use."""
        return ClipBehind(load_clips(folder, self.mode, image_size), self.brightness)


@final
@dataclass(frozen=True)
class ClipBehind:
    """The clips that ``VideoBehind`` plays; an episode's choice is an index into them."""

    clips: Clips
    brightness: float

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random clip, independent of the previous choice."""
        return self.clips.choose(previous, random)

    def paint(self, scene: Screen, choice: int) -> None:
        """Make the screen show this episode's clip behind everything."""
        scene.play_behind(self.clips.arrays[choice], self.brightness)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged: the screen itself shows the clip, since it knows what covers part of a pixel."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the clips, and how many were skipped."""
        return {**self.clips.provenance(), "clip_brightness": self.brightness}
