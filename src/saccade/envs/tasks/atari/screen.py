"""A console's screen, as distractions paint it and as an agent sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.config import EnvConfig
from saccade.envs.tasks.atari.colours import palette
from saccade.envs.tasks.atari.frames import Redrawing, brightest_of_greys, grey_of_brightest, in_grey
from saccade.envs.tasks.atari_suite import game_of, wrappers_of


@final
class Screen:
    """What distractions paint on: the console's colours.

    Attributes:
        palette: of the numbers 0 to 255, uint8 ``[256, 3]``; a colour is at an even number and the one after it.
        table: the grey of two pixels' numbers.
        original: the console's own palette.
        backdrop: the number of the colour that fills most of the game's first screen.
    """

    def __init__(self, config: EnvConfig, first: Callable[[], NDArray[np.uint8]]) -> None:
        """first: returns the game's first screen, ``[height, width]``; called if a mode needs it."""
        self._first = first
        game = game_of(config.task)
        self._of_greys = wrappers_of(config).brightest_of_greys
        self.original = palette(game.pal)
        self._redraw = Redrawing(game.height, config.image_size)
        self._redraw_gaps = Redrawing(game.height, config.image_size)
        self._clip: NDArray[np.uint8] | None = None
        self._gaps = np.zeros(0, np.uint8)  # of two pixels' numbers: 255 where the clip shows
        self.paint(self.original)

    @cached_property
    def backdrop(self) -> int:
        return int(np.bincount(self._first().ravel()).argmax())

    def paint(self, colours: NDArray[np.uint8]) -> None:
        """Make the console show other colours, uint8 ``[256, 3]``."""
        self.palette = colours
        self.table = (brightest_of_greys if self._of_greys else grey_of_brightest)(colours)

    def play_behind(self, clip: NDArray[np.uint8], brightness: float) -> None:
        """Play a clip, uint8 ``[frames, side, side, 3]``, where the screen is black or has the backdrop's colour.

        brightness: factor on the clip's brightness, 0..1.
        """
        colours = self.original.copy()
        colours[[self.backdrop & ~1, self.backdrop | 1]] = 0
        self.paint(colours)
        self._clip, self._brightness = clip, np.float32(brightness)
        self._gaps = np.where(np.maximum(colours[:, None], colours[None]).any(-1), 0, 255).astype(np.uint8).ravel()

    def picture(self, screens: NDArray[np.uint8], agent_step: int) -> NDArray[np.uint8]:
        """What an agent sees of two screens ``[2, height, width]``, ``[side, side]``; the next call overwrites it."""
        picture = self._redraw(screens, self.table)
        if self._clip is None:
            return picture
        behind = in_grey(np.asarray(self._clip[agent_step % len(self._clip)]))
        share = self._redraw_gaps(screens, self._gaps) * (self._brightness / np.float32(255))
        return np.rint(picture + share * behind).clip(0, 255).astype(np.uint8)
