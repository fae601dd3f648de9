"""The wrappers that papers use for Atari games, as data. Loads no emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

FRAMES = 4  # how many frames an action is played for (Mnih et al., 2015)
FRAMES_A_SECOND = 60


@dataclass(frozen=True)
class Wrappers:
    """How a game is played and shown.

    Attributes:
        fewest, most: range of the random number of no-op frames at the start of a game.
        fire: what presses FIRE in games that have it: ``reset``, for an action's frames, followed by the third action,
            after each lost life too; ``first``, in the first of the frames at the start of a game; or nothing.
        lost_life: what a lost life does. ``restart``: it ends the episode, and the next begins with an action's frames
            of no-ops; ``end``: it ends the episode, and nothing else happens; ``nothing``.
        sticky: the probability, in every frame, that the previous frame's action is played again.
        every_action: whether an agent chooses from all 18 actions, not from the game's minimal set.
        brightest_of_greys: whether the maximum of two frames is taken over greys, not over red, green and blue.
        frames: a game is cut off after this many.
    """

    fewest: int = 0
    most: int = 0
    fire: Literal["reset", "first", "nobody"] = "nobody"
    lost_life: Literal["restart", "end", "nothing"] = "nothing"
    sticky: float = 0.0
    every_action: bool = False
    brightest_of_greys: bool = False
    frames: int = 108_000


WRAPPERS: Mapping[str, Wrappers] = MappingProxyType(
    {
        # OpenAI's Baselines, which FLS and most papers build on; cut off after 108,000 actions.
        "paper": Wrappers(fewest=1, most=30, fire="reset", lost_life="restart", frames=108_000 * FRAMES),
        # Machado et al. (2018), table 7, but for 4 frames per action and half an hour per game, as in ALE's own `-v5`.
        "recommended": Wrappers(sticky=0.25, every_action=True),
        # The defaults of ale_py.vector_env.AtariVectorEnv, with life_loss_info.
        "ale_vector": Wrappers(fewest=0, most=29, fire="first", lost_life="end", brightest_of_greys=True),
    }
)
"""The choices of ``--wrappers``."""
