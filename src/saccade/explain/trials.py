"""A person's game as a policy would have seen it, and where the person looked (Nikulin et al., 2019)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from saccade.data.atari_head.archive import (
    HEIGHT,
    WIDTH,
    content_key,
    packed_pictures,
    picture_of,
    read_text,
)
from saccade.data.atari_head.folder import Trial
from saccade.data.atari_head.text import LONGEST_NAME, MOST_BYTES, Looks, number_of, read_looks
from saccade.data.cache import cached_array
from saccade.envs.tasks.atari.frames import SIDE, in_grey, shrunk
from saccade.explain.episodes import Progress
from saccade.metrics.gaze import others_drawn
from saccade.types import UserError

Join = Literal["frame_id", "published"]
JOINS: tuple[Join, ...] = ("frame_id", "published")
"""How gaze is matched to pictures: by name; or as in the published code of FLS, one picture too early."""

STACK = 4  # planes in one of a policy's observations
REPEAT = 4  # pictures from one observation to the next
SEEN = (13, 12, 9, 8, 5, 4, 1, 0)  # pictures back from an observation's newest: the last two of each plane
MOST_APART = 0.01  # largest share of a trial's pictures without a line of gaze, or of lines without a picture
BYTES_OF_NAME = 4 * LONGEST_NAME
CACHE_VERSION = 1  # raised whenever the cached contents change
AT_ONCE = 64  # pictures converted and resized together


@final
@dataclass(frozen=True)
class Watched:
    """A trial's observations, and the gaze that belongs to each.

    Attributes:
        planes: uint8 ``[observations, 84, 84]``, the newest of each stack.
        looked_at: pixels (row times width plus column) of all gaze samples within the picture, image by image.
        starts: ``[images + 1]``, where each image's samples begin in ``looked_at``.
        notes: in words, what the files lack.
    """

    trial: Trial
    join: Join
    planes: NDArray[np.uint8]
    looked_at: NDArray[np.int64]
    starts: NDArray[np.int64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.planes)

    def obs(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return observations ``[chosen, 4, 84, 84]``, oldest plane first; zeros before the first one."""
        before = chosen[:, None] - np.arange(STACK)[::-1]
        return np.where((before >= 0)[..., None, None], self.planes[before.clip(0)], 0).astype(np.uint8)

    def fixations(self, chosen: Iterable[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Count the gaze samples on each pixel ``[height, width]`` while each group of observations was shown."""
        groups = list(chosen)
        counts = np.zeros((len(groups), HEIGHT * WIDTH))
        for place, group in enumerate(groups):
            images = (group[:, None] * REPEAT - np.array(SEEN)).ravel()
            parts = [self.looked_at[self.starts[image] : self.starts[image + 1]] for image in images[images >= 0]]
            if parts:
                counts[place] = np.bincount(np.concatenate(parts), minlength=HEIGHT * WIDTH)
        return counts.reshape(-1, HEIGHT, WIDTH)

    def elsewhere(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return, for each chosen observation, the fixations of ten others of the trial, drawn with replacement."""
        drawn = others_drawn(len(self)).numpy()
        return self.fixations(drawn[:, place] for place in chosen)


def num_observations(num_images: int) -> int:
    """Return how many observations a trial has: one for every fourth image from the first, except the last image."""
    return -(-(num_images - 1) // REPEAT)


def read_watched(trial: Trial, pictures: Pictures, join: Join = "frame_id") -> Watched:
    """Read a trial's observations and gaze.

    Raises:
        UserError: a file is missing or cannot be read, or the two do not belong together.
    """
    looks = looks_of(trial)
    names = pictures.names()
    _refuse_strangers(trial, names, looks)
    if join == "frame_id":
        line_of = {name: line for line, name in enumerate(looks.names)}
        lines = [line_of.get(name) for name in names]
    else:
        # Deviation in the published code, kept for comparison: it counts images from 0, but lines from 1.
        numbered = {number_of(name): line for line, name in enumerate(looks.names)}
        lines = [numbered.get(image) for image in range(len(names))]
    seen = [np.empty(0, np.int64) if line is None else _pixels(looks.of(line)) for line in lines]
    starts = np.cumsum([0, *map(len, seen)])
    return Watched(trial, join, pictures.planes(), np.concatenate(seen), starts, _notes(names, looks))


def looks_of(trial: Trial) -> Looks:
    """Read the gaze of a trial. Raises UserError if its text is missing or is not gaze."""
    if trial.text is None:
        raise UserError(f"Trial {trial.number} has pictures and no text: {trial.name}.txt is missing beside them.")
    return read_looks(read_text(trial.text, MOST_BYTES), str(trial.text))


def looked_at_in(looks: Looks) -> NDArray[np.float64]:
    """Count the gaze samples of a whole trial on each pixel, ``[height, width]``."""
    return np.bincount(_pixels(looks.samples), minlength=HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.float64)


def _pixels(samples: NDArray[np.float64]) -> NDArray[np.int64]:
    """The pixels that samples fell on, rounded half to even; samples outside are left out."""
    column, row = np.rint(samples).T
    inside = (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    return (row[inside] * WIDTH + column[inside]).astype(np.int64)


def _refuse_strangers(trial: Trial, names: Sequence[str], looks: Looks) -> None:
    lonely = set(names) ^ set(looks.names)
    if len(lonely) > MOST_APART * max(len(names), len(looks)):
        raise UserError(
            f"The pictures and the text of trial {trial.number} do not belong together: {len(names)} pictures "
            f"({names[0]} to {names[-1]}) and {len(looks)} lines ({looks.names[0]} to {looks.names[-1]})."
        )


def _notes(names: Sequence[str], looks: Looks) -> tuple[str, ...]:
    alone = len(set(names) - set(looks.names)), len(set(looks.names) - set(names))
    reasons = ("pictures have no line of gaze", "lines of gaze have no picture")
    return tuple(f"{count} of its {what}" for count, what in zip(alone, reasons, strict=True) if count)


class Pictures:
    """What is made of a trial's archive, in one pass unless it is cached; kept in memory while this object lives."""

    def __init__(self, trial: Trial, progress: Progress = lambda done, total: None) -> None:
        self._place, self._progress = trial.pictures, progress
        self._name = f"gaze-{content_key(trial.pictures)}-v{CACHE_VERSION}"
        self._packed: dict[str, bytes] = {}

    def names(self) -> list[str]:
        """The names of the images, in order."""
        kept = cached_array(f"{self._name}-names", (BYTES_OF_NAME,), self._named)
        return [bytes(row).rstrip(b"\0").decode() for row in kept]

    def planes(self) -> NDArray[np.uint8]:
        """The newest plane of every observation."""
        return cached_array(f"{self._name}-planes", (SIDE, SIDE), self._planes)

    def screens(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the newest image of some observations, in colour."""
        which = hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()[:8]
        name = f"{self._name}-screens-{which}"
        return cached_array(name, (HEIGHT, WIDTH, 3), lambda: self._images(chosen * REPEAT))

    def _pictures(self) -> dict[str, bytes]:
        self._packed = self._packed or packed_pictures(self._place)
        return self._packed

    def _images(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        packed = self._pictures()
        names = list(packed)
        chosen = (names[index] for index in indices)
        return np.stack([picture_of(packed[name], name, self._place) for name in chosen])

    def _named(self) -> NDArray[np.uint8]:
        rows = (name.encode().ljust(BYTES_OF_NAME, b"\0") for name in self._pictures())
        return np.stack([np.frombuffer(row, np.uint8) for row in rows])

    def _planes(self) -> NDArray[np.uint8]:
        count = num_observations(len(self._pictures()))
        if count < 1:
            raise UserError(f"{self._place} holds {len(self._pictures())} picture: that is no game.")
        planes = np.empty((count, SIDE, SIDE), np.uint8)
        for first in range(0, count, AT_ONCE):
            newest = np.arange(first, min(first + AT_ONCE, count)) * REPEAT
            pair = self._images(np.stack([(newest - 1).clip(0), newest], axis=1).ravel())
            planes[first : first + len(newest)] = shrunk(in_grey(pair.reshape(-1, 2, HEIGHT, WIDTH, 3).max(1)))
            self._progress(first + len(newest), count)
        return planes
