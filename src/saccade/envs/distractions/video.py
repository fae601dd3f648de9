"""Videos: the sky, and in ``video_hard`` the floor, is painted green and replaced by a moving clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from saccade.data.banks.clips import Clips, load_clips

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

GREEN = (0.2, 0.8, 0.2)  # of every painted texture; light, shadow and reflection still change it

# What counts as green, bounds included: hue in degrees, saturation and value in 0..255.
MIN_HUE, MAX_HUE = 100, 185
MIN_SATURATION = 80
MIN_VALUE = 70


@dataclass(frozen=True)
class Video:
    """Plays one clip per episode behind the agent, one frame per agent step, from its first frame.

    Source: ColorWrapper and VideoWrapper of the DMControl Generalization Benchmark. Shadows on a painted
    floor are green as well and vanish, as do things that the lighting blends with it, such as the rails of
    cartpole. Beyond the benchmark's domains: a camera that looks down (fish, humanoid, reacher, swimmer)
    sees no sky, and so none of the clip in ``video_easy``; textures other than ``skybox`` and ``grid``, such
    as the backdrop of manipulator and stacker, stay.
    """

    mode: Literal["video_easy", "video_hard"]  # the mode whose clips play
    floor: bool

    def check(self, folder: DataFolder) -> None:
        """Check nothing: whether clips can be used is known once they are decoded."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> VideoBackground:
        """Return the benchmark's clips if the folder has them, else generated scenes; decoded on first use."""
        clips = load_clips(folder, self.mode, image_size)
        return VideoBackground(clips, self.floor, in_order=clip_order == "sequential")


@dataclass(frozen=True)
class VideoBackground:
    """The clips that ``Video`` plays; an episode's choice is an index into them."""

    clips: Clips
    floor: bool
    in_order: bool

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random clip; with ``in_order`` the next one, so that the first episode shows the second clip."""
        return self.clips.choose(previous, random, in_order=self.in_order)

    def paint(self, scene: Scene, choice: int) -> None:
        """Paint all of the sky, and in ``video_hard`` the floor, in one green."""
        scene.paint_texture("skybox", rgb1=GREEN, rgb2=GREEN, markrgb=GREEN)
        if self.floor:
            scene.paint_texture("grid", rgb1=GREEN, rgb2=GREEN, markrgb=GREEN)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame with its green pixels replaced by the clip's frame of this agent step."""
        clip = self.clips.arrays[choice]
        return np.where(is_green(pixels)[..., None], clip[agent_step % len(clip)], pixels)

    def provenance(self) -> dict[str, object]:
        """Source and number of the clips, and how many were skipped."""
        return self.clips.provenance()


def is_green(pixels: np.ndarray) -> np.ndarray:
    """Return which pixels the benchmark's green key replaces: uint8 ``[..., 3]`` RGB -> bool ``[...]``.

    A pixel is green where 100 <= hue <= 185 degrees, saturation >= 80 and value >= 70 (of 255). Source: the
    published per-pixel rule, ``rgb_to_hsv`` of Python's ``colorsys`` on channels divided by 255; hue times
    360, saturation and value times 255 are compared as doubles and *not* rounded. On a bound (a hue of
    exactly 100 degrees, say) the outcome thus depends on how the divisions round, so every operation here is
    that rule's, in its order, and the result is the same bit for bit. Two of its steps are left out: where
    red is largest the hue is at most 60 or at least 300, and elsewhere it is below 360 and needs no wrapping.
    """
    red, green, blue = np.moveaxis(pixels, -1, 0) / 255.0
    value = np.maximum(green, blue)
    spread = value - np.minimum(red, np.minimum(green, blue))
    possible = value > red  # red is not largest, and the pixel not grey
    value[~possible] = spread[~possible] = 1.0  # any divisor but 0
    green_is_largest = green == value
    before = (value - np.where(green_is_largest, red, green)) / spread
    after = (value - np.where(green_is_largest, blue, red)) / spread
    hue = (np.where(green_is_largest, 2.0, 4.0) + before - after) / 6.0 * 360
    saturation = spread / value * 255
    in_bounds = (hue >= MIN_HUE) & (hue <= MAX_HUE) & (saturation >= MIN_SATURATION)
    return possible & in_bounds & (value * 255 >= MIN_VALUE)
