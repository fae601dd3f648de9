"""What papers wrap Atari games in, as data. Loads no emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

FRAMES = 4  # an action is played for so many (Mnih et al., 2015)
FRAMES_A_SECOND = 60


@dataclass(frozen=True)
class Wrappers:
    """How a game is played and shown.

    Attributes:
        fewest, most: frames of doing nothing at the start of a game, drawn.
        fire: what presses FIRE where a game knows it: ``reset``, for an action's frames, and the third action after it,
            after each lost life too; ``first`` for the first of the frames at the start of a game; or nobody.
        lost_life: what comes of one. ``restart``: it ends the episode, and the next begins with doing nothing for an
            action's frames; ``end``: it ends the episode, and nothing else happens; ``nothing``.
        sticky: the probability, in every frame, that the frame before's action is played again.
        every_action: whether an agent chooses from all 18 actions, not from the game's minimal set.
        brightest_of_greys: whether two frames' maximum is taken of their greys, not of red, green and blue.
        frames: a game is cut off after so many.
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
        # Machado et al. (2018), table 7, but for 4 frames an action and half an hour a game, as ALE's own `-v5`.
        "recommended": Wrappers(sticky=0.25, every_action=True),
        # The defaults of ale_py.vector_env.AtariVectorEnv, with life_loss_info.
        "ale_vector": Wrappers(fewest=0, most=29, fire="first", lost_life="end", brightest_of_greys=True),
    }
)
"""The choices of ``--wrappers``."""
