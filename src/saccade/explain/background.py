"""Which pixels a video replaces: those of a colour that a person names, or those that the task's mask leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.shifts import LUMINANCE, RGB
from saccade.types import UserError

BLACK, LARGEST = "black", 255
TOLERANCE = 16  # of 255, in every colour
WORD = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3})(?::(\d{1,3}))?")


@final
@dataclass(frozen=True)
class Background:
    """A colour, or None for what ``info["task_mask"]`` leaves.

    Attributes:
        colour: red, green and blue in 0..255.
        tolerance: by how much each of them may be off.
    """

    colour: tuple[int, int, int] | None = None
    tolerance: int = TOLERANCE

    def replaced(self, picture: NDArray[np.float32], task: NDArray[np.bool_] | None, whose: str) -> NDArray[np.bool_]:
        """Bool ``[height, width]`` of a picture ``[height, width, colours]`` in 0..1.

        Args:
            task: the pixels that show the task, where the environment tells them.

        Raises:
            UserError: it does not, and no colour was named.
        """
        if self.colour is not None:
            wanted = np.array(self.colour, np.float32) / LARGEST
            if picture.shape[-1] != RGB:
                wanted = (LUMINANCE @ wanted)[None]
            # Half a level more: what a colour is in bytes, it is in floats as well.
            return np.asarray((np.abs(picture - wanted) <= (self.tolerance + 0.5) / LARGEST).all(-1))
        if task is None:
            raise UserError(
                f'{whose} tells no info["task_mask"], so that nobody knows what a video may replace: name a colour '
                "with --video-where black or R,G,B (video_where=...)."
            )
        if task.shape != picture.shape[:2]:
            raise UserError(
                f'info["task_mask"] of {whose} has shape {task.shape}, and its pictures {picture.shape[:2]}.'
            )
        return ~task


def background_of(where: str | None) -> Background:
    """What a person wrote: ``black``, ``R,G,B``, ``R,G,B:TOLERANCE``, or None for the mask.

    Raises UserError for anything else.
    """
    if where is None:
        return Background()
    found = WORD.fullmatch("0,0,0" if where == BLACK else where)
    numbers = [] if found is None else [int(number) for number in found.groups() if number is not None]
    if found is None or max(numbers) > LARGEST:
        raise UserError(
            f"--video-where {where} is no colour: write black, or R,G,B in 0..{LARGEST}, with how far off each may be "
            f"where {TOLERANCE} is not right, such as 0,128,0:40."
        )
    red, green, blue, *tolerance = numbers
    return Background((red, green, blue), *tolerance)
