"""One game of the Arcade Learning Environment (Bellemare et al., 2013), frame by frame.

``ale-py`` is under the GPL, and is imported only when a game is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.checks import check_name
from saccade.envs.tasks.atari.games import NOOP, Game
from saccade.types import UserError

WALL_IS_GONE, WALL_IS_BACK = 864, 432  # Breakout's score once its second wall is gone, and once its first is
FIRST_FRAMES = 120  # some games begin with a screen of another colour
HUNDREDS, TENS = 76, 77  # bytes of its memory: each digit of the score takes half of one


def load_ale() -> Any:
    """Import ``ale_py``, silent but for errors. Raises UserError, with what to install, if it is missing."""
    try:
        import ale_py
    except ImportError as problem:
        raise UserError(
            f'Atari games need ale-py, which is under the GPL ({problem}): pip install "saccade-rl[atari]"'
        ) from problem
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


def rom_path(game: Game) -> str:
    """Return the path of a game's file among those that come with ``ale-py``."""
    return str(Path(load_ale().__file__).parent / "roms" / f"{game.rom}.bin")


@final
class Emulator:
    """A console with a game in it.

    Args:
        game: a row of ``games.GAMES``.
        mode, difficulty: the game's switches, by ALE's numbers; None for the defaults.

    Raises:
        UserError: ``ale-py`` is not installed, or the game has no such mode or difficulty.
    """

    def __init__(self, game: Game, mode: int | None = None, difficulty: int | None = None) -> None:
        module = load_ale()
        self._game, self._owed = game, 0
        self._ale, self._state = module.ALEInterface(), module.ALEState
        self._ale.setFloat("repeat_action_probability", 0.0)  # a sticky action is not part of ALE's states
        self._ale.setInt("frame_skip", 1)
        self._ale.setInt("random_seed", 0)  # nothing is drawn, and states hold the generator
        self._ale.loadROM(rom_path(game))
        self._switch(mode, difficulty)
        self._as_new = self._ale.cloneSystemState()

    @property
    def lives(self) -> int:
        """The lives left; always 0 for a game that has none."""
        return int(self._ale.lives())

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self._ale.game_over())

    @property
    def frames(self) -> int:
        """How many frames of this game have been played."""
        return int(self._ale.getEpisodeFrameNumber())

    @property
    def memory(self) -> NDArray[np.uint8]:
        """The console's 128 bytes."""
        return np.array(self._ale.getRAM(), np.uint8)

    def write(self, place: int, value: int) -> None:
        """Change a byte of the console's memory."""
        self._ale.setRAM(place, value)

    def switch_on(self) -> None:
        """Restart the console: some games depend on those played before."""
        self._ale.restoreSystemState(self._as_new)
        self._owed = 0

    def begin(self) -> None:
        """Start a game."""
        self._ale.reset_game()
        self._owed = 0

    def act(self, action: int) -> int:
        """Play one frame with an action of ``games.ACTIONS``; return its reward."""
        reward = int(self._ale.act(action)) + self._owed
        self._owed = 0
        if self._game.infinite:
            self._put_back_the_wall()
        return reward

    def look(self, screen: NDArray[np.uint8]) -> None:
        """Write the current frame into ``[height, width]``: numbers of colours, see ``colours.palette``."""
        self._ale.getScreen(screen)

    def first_screen(self) -> NDArray[np.uint8]:
        """Return the screen two seconds after a game begins, ``[height, width]``; the current game is not affected."""
        present = self._ale.cloneSystemState()
        self._ale.restoreSystemState(self._as_new)
        self._ale.reset_game()
        for _ in range(FIRST_FRAMES):
            self._ale.act(NOOP)
        first = np.asarray(self._ale.getScreen())
        self._ale.restoreSystemState(present)
        return first

    def look_in_colour(self) -> NDArray[np.uint8]:
        """Return the current frame, ``[height, width, 3]``."""
        return np.asarray(self._ale.getScreenRGB())

    def save(self) -> NDArray[np.uint8]:
        """Return all that later frames depend on, as bytes."""
        return np.frombuffer(self._ale.cloneSystemState().serialize() + bytes([self._owed > 0]), np.uint8)

    def restore(self, state: NDArray[np.uint8]) -> None:
        """Restore what ``save`` returned; ``look`` is correct only after the next frame."""
        *_, owes = whole = np.asarray(state, np.uint8).tobytes()
        self._ale.restoreSystemState(self._state(whole[:-1]))
        self._owed = WALL_IS_BACK if owes else 0

    def _switch(self, mode: int | None, difficulty: int | None) -> None:
        if mode is not None:
            check_name("game_mode", str(mode), map(str, self._ale.getAvailableModes()))
            self._ale.setMode(mode)
        if difficulty is not None:
            check_name("difficulty", str(difficulty), map(str, self._ale.getAvailableDifficulties()))
            self._ale.setDifficulty(difficulty)
        if (mode, difficulty) != (None, None):
            self._ale.reset_game()  # they apply from the next game on

    def _put_back_the_wall(self) -> None:
        """Once the second wall is gone, write the score at which the game builds it (FLS, section 4).

        ALE computes rewards from scores and remembers the last one: what it subtracts in the next frame is added back.
        """
        memory = self._ale.getRAM()
        high, low = int(memory[HUNDREDS]), int(memory[TENS])
        if 100 * (high & 15) + 10 * (low >> 4) + (low & 15) >= WALL_IS_GONE:
            score = 100 * (high & 15) + 10 * (low >> 4) + (low & 15) - (WALL_IS_GONE - WALL_IS_BACK)
            self._ale.setRAM(HUNDREDS, high & 0xF0 | score // 100)
            self._ale.setRAM(TENS, score // 10 % 10 << 4 | score % 10)
            self._owed = WALL_IS_GONE - WALL_IS_BACK
