"""Distractions, one nuisance factor per file: each changes pixels, never physics or reward.

A ``Distraction`` is a frozen dataclass of parameters. An environment loads it once, which returns a
``Nuisance``: the same factor with its data. What a nuisance shows is decided by two integers, the
episode's *choice* (which colours, which clip) and the number of the agent step, so those are all of its
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from saccade.data.folder import DataFolder


NUM_CHOICES = 2**32


class Distraction(Protocol):
    """Parameters of one nuisance factor; JSON-able and comparable."""

    def check(self, folder: DataFolder) -> None:
        """Raise UserError for files that cannot be used, as far as a quick check can tell."""
        ...

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> Nuisance:
        """Load the data that the factor needs: from the benchmark's folder if there is one, else generated.

        Raises:
            UserError: the folder's files cannot be used.
        """
        ...


Modes = Mapping[str, tuple[Distraction, ...]]
"""Maps a mode's name to what it changes."""


class Nuisance(Protocol):
    """A distraction with its data: what an environment applies in every episode."""

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return the choice for a new episode; ``previous`` is the last episode's, 0 before the first."""
        ...

    def paint(self, scene: Any, choice: int) -> None:
        """Change the scene before the episode's first frame is rendered; the same choice gives the same scene.

        scene: the simulation's (``Simulation.scene``).
        """
        ...

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Change one rendered frame, uint8 ``[H, W, 3]``; returns another array, or ``pixels`` unchanged."""
        ...

    def provenance(self) -> dict[str, object]:
        """Where the data came from and how much of it there is, to be kept with every result."""
        ...


def any_seed(random: np.random.Generator) -> int:
    """Return a choice that is a random seed for an episode, independent of the previous one."""
    return int(random.integers(NUM_CHOICES))
