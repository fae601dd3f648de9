"""Clips in the sky: a moving picture all around the agent, which may show through the floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.data.banks.clips import Clips
from saccade.data.banks.davis import sky_clips
from saccade.envs.distractions import any_seed
from saccade.envs.distractions.walks import Walk, changes

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder
    from saccade.envs.mujoco.scene import Scene

STREAM = 22  # so that the same choice gives draws unrelated to others

FLOOR = "grid"


@final
@dataclass(frozen=True)
class SkyClips:
    """Plays a clip on all six sides of the sky, back and forth.

    Source: Stone et al., 2021, ``background.py`` of the variant in the DMControl Generalization Benchmark. Robot,
    shadows and lights stay as they are.

    Attributes:
        count: how many clips episodes may show, from the start of DAVIS 2017.
        period: control steps from one frame to the next; 0 for a frame that stays during an episode.
        floor_opacity: how much of the clip the floor hides, 0..1.
    """

    count: int
    period: int
    floor_opacity: float

    def check(self, folder: DataFolder) -> None:
        """Check that the clips exist, if there is a folder for them."""
        if folder.davis() is not None:
            sky_clips(folder, self.count)

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> PlayingSky:
        """Return the user's clips of DAVIS if the folder has them, else generated scenes; decoded on first use."""
        return PlayingSky(sky_clips(folder, self.count), self.period, self.floor_opacity)


@final
@dataclass(frozen=True)
class PlayingSky:
    """The clips that ``SkyClips`` plays; an episode's choice is the seed of clip, first frame and direction."""

    clips: Clips
    period: int
    floor_opacity: float

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: Scene, choice: int) -> None:
        """Make the floor as opaque as the scene says, and start the clip."""
        random = np.random.default_rng([STREAM, choice])
        number = int(random.integers(len(self.clips)))
        clip = self.clips.arrays[number]
        frames = Walk(to_and_fro(random, len(clip)))

        def motion(control_steps: int, agent_steps: int) -> None:
            frame = frames[changes(control_steps, self.period)]
            scene.show_in_sky(clip[frame], (number, frame))

        scene.fade_material(FLOOR, self.floor_opacity)
        scene.moving.move("sky", motion)

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """Source and number of the clips, how many are missing, and how often the frame changes."""
        return {**self.clips.provenance(), "clip_period": self.period}


def to_and_fro(random: np.random.Generator, length: int) -> Iterator[int]:
    """Yield which frame of a clip is shown after each change, endlessly, from a random frame in a random direction.

    Source: the published code, in which the last frame is shown twice where it turns, and the first once.
    """
    frame, direction = int(random.integers(length)), int(random.choice((-1, 1)))
    while True:
        yield frame
        frame += direction
        if frame <= 0:
            frame, direction = 0, 1
        elif frame >= length:
            frame, direction = length - 1, -1
