"""Videos on a screen: clips play on a box behind the agent, part of the scene (DMC-GB2's photometric modes).

Source: DMC-GB2 (Almuzairee, Hansen, Christensen, 2024) and its code. In the video modes of the older benchmark a clip
replaces green pixels; here it is lit, seen at an angle, and stands where the sky was, so that colours can change too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, final

from saccade.data.banks.clips import Clips, load_clips
from saccade.envs.distractions.color import Color, ColorPalette

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

SCREEN = "video_screen"  # the name of its site, its material and its texture
LARGEST_SIDE = 256  # of a clip on the screen, pixels


@final
@dataclass(frozen=True)
class ScreenPlace:
    """The place of the box that clips play on, in metres.

    Attributes:
        half_width: half its width and height.
        position: of its middle, in the world.
        tilt: how far it leans towards the viewer, degrees around the world's x axis.
        beside: its place along x and z relative to the torso's centre of mass, which it follows; None for a
            screen that stands still.
    """

    half_width: float
    position: tuple[float, float, float]
    tilt: float = 0.0
    beside: tuple[float, float] | None = None


HALF_DEPTH = 0.1
PUBLISHED_SCREENS: Mapping[str, ScreenPlace] = MappingProxyType(
    {
        "planar walker": ScreenPlace(1.86, (0.0, 1.96, -0.7), -30, beside=(0.0, -1.07)),
        "cheetah": ScreenPlace(1.86, (0.0, 1.6, -0.7), beside=(-0.05, 0.15)),
        "cart-pole": ScreenPlace(1.86, (0.0, 0.5, 1.0)),
        "ball in cup": ScreenPlace(0.66, (0.0, 0.5, 0.05), -27),
        "finger": ScreenPlace(0.66, (0.0, 0.5, 0.05), -27),
    }
)
"""A model's name -> where the published code puts its screen."""


@final
@dataclass(frozen=True)
class VideoOnScreen:
    """Plays one clip per episode on the screen, one frame per agent step, from its first frame.

    Attributes:
        mode: the mode whose clips play.
        floor: whether the floor is visible; without it the screen is all there is behind the agent. The rails of
            cartpole stay.
    """

    mode: Literal["video_easy", "video_hard"]
    floor: bool = True

    def check(self, folder: DataFolder) -> None:
        """Check nothing: whether clips can be used is known once they are decoded."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> PlayingScreen:
        """Return the benchmark's clips if the folder has them, else generated scenes; decoded on first use."""
        clips = load_clips(folder, self.mode, clip_side(image_size))
        return PlayingScreen(clips, self.floor, in_order=clip_order == "sequential")


def clip_side(image_size: int) -> int:
    """Return the side in pixels of a clip on the screen, for pictures of this size."""
    # Deviation: the published clips have 256, shrunk with a bicubic filter, for pictures of 84. Here they have as many
    # as the picture, up to a power of two, and are shrunk as for the older benchmark: 100 clips of 500 frames then take
    # 2.5 GB of cache instead of 10.
    return min(LARGEST_SIDE, 1 << (image_size - 1).bit_length())


@final
@dataclass(frozen=True)
class PlayingScreen:
    """``VideoOnScreen`` with its data loaded; an episode's choice is an index into the clips."""

    clips: Clips
    floor: bool
    in_order: bool

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random clip; with ``in_order`` the next one, so that the first episode shows the second clip."""
        # Deviation: the published order begins at a clip drawn from the run's seed; here all runs see the same ones.
        return self.clips.choose(previous, random, in_order=self.in_order)

    def paint(self, scene: Scene, choice: int) -> None:
        """Show or hide the floor; from now on the screen follows the agent and plays one frame per agent step."""
        clip = self.clips.arrays[choice]

        def motion(control_steps: int, agent_steps: int) -> None:
            scene.screen.follow()
            scene.paint_picture(SCREEN, clip[agent_steps % len(clip)])

        if not self.floor:
            scene.screen.hide_floor()
        scene.moving.move("screen", motion)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the clips, and how many were skipped."""
        return {**self.clips.provenance(), "clips_on_screen": True}


@final
@dataclass(frozen=True)
class ColorInTurn:
    """The colours of ``Color``, one setting after the other if clips come in order too."""

    difficulty: Literal["easy", "hard"]

    def check(self, folder: DataFolder) -> None:
        """Read the settings, if there are any."""
        Color(self.difficulty).check(folder)

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> PaletteInTurn:
        """Return the benchmark's settings if the folder has them, else generated ones with equal statistics."""
        palette = Color(self.difficulty).load(folder, image_size, clip_order)
        return PaletteInTurn(palette, in_order=clip_order == "sequential")


@final
@dataclass(frozen=True)
class PaletteInTurn:
    """``ColorInTurn`` with its data loaded; an episode's choice is one more than an index into the settings.

    In order the first episode thus has the first setting, beside the second clip, as in the published code.
    """

    palette: ColorPalette
    in_order: bool

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random setting; with ``in_order`` the next one."""
        count = len(self.palette.settings)
        return previous % count + 1 if self.in_order else int(random.integers(count)) + 1

    def paint(self, scene: Scene, choice: int) -> None:
        """Repaint floor, body and sky."""
        self.palette.paint(scene, choice - 1)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the settings."""
        return self.palette.provenance()
