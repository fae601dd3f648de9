"""Which pixels a video replaces: those of a given colour, or those outside the task's mask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.shifts import LUMINANCE, RGB
from saccade.types import UserError

BLACK, LARGEST = "black", 255
TOLERANCE = 16  # of 255, in each colour
WORD = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3})(?::(\d{1,3}))?")


@final
@dataclass(frozen=True)
class Background:
    """The background that a video replaces: pixels of one colour, or None for those outside ``info["task_mask"]``.

    Attributes:
        colour: red, green and blue in 0..255.
        tolerance: by how much each of them may differ.
    """

    colour: tuple[int, int, int] | None = None
    tolerance: int = TOLERANCE

    def replaced(self, picture: NDArray[np.float32], task: NDArray[np.bool_] | None, whose: str) -> NDArray[np.bool_]:
        """Return bool ``[height, width]`` for a picture ``[height, width, colours]`` in 0..1: what is replaced.

        Args:
            task: the pixels that show the task, if the environment reports them.

        Raises:
            UserError: it does not, and no colour was given.
        """
        if self.colour is not None:
            wanted = np.array(self.colour, np.float32) / LARGEST
            if picture.shape[-1] != RGB:
                wanted = (LUMINANCE @ wanted)[None]
            # Half a level more, so that a colour matches as a float wherever it does as a byte.
            return np.asarray((np.abs(picture - wanted) <= (self.tolerance + 0.5) / LARGEST).all(-1))
        if task is None:
            raise UserError(
                f'{whose} has no info["task_mask"], so it is not known what a video may replace: name a colour '
                "with --video-where black or R,G,B (video_where=...)."
            )
        if task.shape != picture.shape[:2]:
            raise UserError(
                f'info["task_mask"] of {whose} has shape {task.shape}, but its pictures have {picture.shape[:2]}.'
            )
        return ~task


def background_of(where: str | None) -> Background:
    """Parse ``black``, ``R,G,B``, ``R,G,B:TOLERANCE``, or None for the mask.

    Raises UserError for anything else.
    """
    if where is None:
        return Background()
    found = WORD.fullmatch("0,0,0" if where == BLACK else where)
    numbers = [] if found is None else [int(number) for number in found.groups() if number is not None]
    if found is None or max(numbers) > LARGEST:
        raise UserError(
            f"--video-where {where} is no colour: write black, or R,G,B in 0..{LARGEST}, with how far each may differ "
            f"if not by {TOLERANCE}, such as 0,128,0:40."
        )
    red, green, blue, *tolerance = numbers
    return Background((red, green, blue), *tolerance)
