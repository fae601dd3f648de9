"""Modes named by shifts: ``brightness:0.5``, ``brightness:0.3+noise:0.1``, ``video_hard+blur:0.2``.

Also modes that have an intensity, ``distracting_cs:0.1``, with or without shifts after them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions import any_seed
from saccade.envs.distractions.distracting_cs import FAMILIES
from saccade.envs.scene_dials import SCENE_DIALS
from saccade.envs.shifts import RGB, SHIFTS, Occasion, changed_bytes
from saccade.spelling import close_names
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder

DIAL_NAMES = tuple(dict.fromkeys((*SHIFTS, *SCENE_DIALS)))
"""Shifts, and the dials of scenes that some tasks have."""
CLEAN = "train"
PLUS, COLON = "+", ":"


@final
@dataclass(frozen=True)
class ShiftMode:
    """Another mode, and the shifts of its pictures.

    Attributes:
        under: the mode whose pictures they are.
        parts: names in ``SHIFTS`` or ``SCENE_DIALS`` and their strengths, in the order in which they are applied; empty
            for a mode that only has an intensity.
    """

    under: str
    parts: tuple[tuple[str, float], ...]

    @property
    def name(self) -> str:
        """The name in its usual spelling: ``noise:0.1``, without trailing zeros."""
        shifts = [f"{name}{COLON}{strength:g}" for name, strength in self.parts]
        return PLUS.join(shifts if self.under == CLEAN else [self.under, *shifts])


def names_shift(word: str) -> bool:
    """Return whether a mode's name has a part that can only mean a shift or a mode with an intensity."""
    return COLON in word or any(part in DIAL_NAMES or part in FAMILIES for part in word.split(PLUS))


def parse_shift(word: str, modes: Collection[str] = (CLEAN,)) -> ShiftMode:
    """Parse a mode that is named by shifts.

    Args:
        modes: those whose pictures may be changed; such a name comes first, and ``train`` may be left out.

    Raises:
        UserError: there is no such shift, its strength is outside 0..1, or there is no such intensity of a mode.
    """
    first, *rest = word.split(PLUS)
    under = _with_intensity(first)
    if under not in modes:
        under, rest = CLEAN, [first, *rest]
    parts = tuple(_part(part, word, modes) for part in rest)
    if not parts and COLON not in under:
        raise UserError(f"{word!r} names no shift: write one with its strength, such as brightness:0.5.")
    return ShiftMode(under, parts)


def _with_intensity(mode: str) -> str:
    """A mode's name with its intensity, if it has one, in its usual spelling; others unchanged."""
    name, _, given = mode.partition(COLON)
    if name not in FAMILIES:
        return mode
    try:
        return f"{name}{COLON}{float(given):g}"
    except ValueError:
        return mode


def _part(part: str, word: str, modes: Collection[str]) -> tuple[str, float]:
    name, _, given = part.partition(COLON)
    within = "" if part == word else f" in {word!r}"
    if name not in DIAL_NAMES:
        if _with_intensity(part) in modes:
            raise UserError(f"{word!r} changes the pictures of {part!r}: write that first, as in {part}+noise:0.1.")
        if name in FAMILIES and any(mode.partition(COLON)[0] == name for mode in modes):
            choices = ", ".join(FAMILIES[name])
            raise UserError(f"{part!r}{within} needs an intensity, one of {choices}, such as {name}:0.1.")
        if name in FAMILIES:
            raise UserError(
                f"{part!r}{within} is a mode of dmc tasks, such as dmc/walker_walk; others can have shifts."
            )
        near = close_names(name, (*DIAL_NAMES, *FAMILIES))
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(DIAL_NAMES)}."
        raise UserError(f"There is no shift {name or part!r}{within}: {hint}")
    try:
        strength = float(f"{float(given):g}") + 0.0  # as it is printed later; and no -0
    except ValueError:
        strength = math.nan
    if not 0 <= strength <= 1:
        raise UserError(f"{part!r}{within} needs a strength from 0 (nothing) to 1 (strong), such as {name}:0.5.")
    return name, strength


def check_picture(parts: Collection[tuple[str, float]], size: tuple[int, int], colours: int, whose: str) -> None:
    """Raise UserError if pictures of this size and these colours have nothing that a shift could change."""
    for name, _ in parts:
        row = SHIFTS[name]
        if row.needs_colours and colours != RGB:
            raise UserError(
                f"{name} rotates colours, but {whose} is grey: leave it out, or test brightness or contrast."
            )
        if min(size) < row.least_side:
            raise UserError(
                f"{name} needs pictures of at least {row.least_side} pixels a side; {whose} has {size[1]}x{size[0]}."
            )


@final
@dataclass(frozen=True)
class ShiftedPictures:
    """A distraction of Saccade's own tasks: the picture is rendered as usual, and then changed by shifts.

    Raises:
        UserError: one of them needs to know what it replaces.
    """

    parts: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        for name, _ in self.parts:
            if SHIFTS[name].needs_background:
                raise UserError(
                    f"{name} is for environments of your own: Saccade's tasks have modes of their own that change "
                    "the background, which `saccade list` names, and saccade.Shift can wrap them."
                )

    def check(self, folder: DataFolder) -> None:
        """Check nothing: no data is needed."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> Shifted:
        """Load nothing. Raises UserError for pictures that are too small."""
        check_picture(self.parts, (image_size, image_size), RGB, "this task")
        return Shifted(self.parts)


@final
@dataclass(frozen=True)
class Shifted:
    """``ShiftedPictures`` ready for use; an episode's choice is its seed."""

    parts: tuple[tuple[str, float], ...]

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: object, choice: int) -> None:
        """Do nothing."""

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame after all shifts."""
        check_picture(self.parts, (pixels.shape[0], pixels.shape[1]), pixels.shape[2], "this task")
        return changed_bytes(pixels, self.parts, Occasion(choice, agent_step))

    def provenance(self) -> dict[str, object]:
        """The shifts with their strengths."""
        return {"shifts": PLUS.join(f"{name}{COLON}{strength:g}" for name, strength in self.parts)}
