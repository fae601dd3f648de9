"""Looks of a grid world, from which the distractions of MiniGrid choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

Rgb = tuple[int, int, int]


@final
@dataclass(frozen=True, eq=False)
class Appearance:
    """One look of a grid; it changes pixels only.

    Attributes:
        floor: uint8 ``[1, 1, 3]``, one colour, or ``[height, width, 3]``, a picture as large as the grid's or larger.
            Grid lines are added to it.
        wall: the walls' colour, 0..255; None for MiniGrid's.
        colours: replacements of MiniGrid's six colours, in its order (red, green, blue, purple, yellow, grey), on
            things whose colour the mission does not name; None for its own. The agent, goals and lava keep
            theirs.
    """

    floor: np.ndarray
    wall: Rgb | None = None
    colours: tuple[Rgb, ...] | None = None


@final
@dataclass(frozen=True, eq=False)
class AppearanceBank:
    """The looks of a mode's episodes; an episode's choice is an index into them.

    The worlds themselves draw with it (``GridWorlds(..., appearances=bank.appearances)``): painting only selects one.
    """

    appearances: tuple[Appearance, ...]
    name: str

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random look, independent of the previous choice."""
        return int(random.integers(len(self.appearances)))

    def paint(self, scene: Any, choice: int) -> None:
        """Select the look of a single world; ``scene`` is its ``GridWorlds``."""
        scene.state.appearance[:] = choice

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame unchanged."""
        return pixels

    def provenance(self) -> dict[str, object]:
        """How many looks there are; all are generated."""
        return {f"{self.name}s": "generated", f"num_{self.name}s": len(self.appearances)}
