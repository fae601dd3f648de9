"""Dials: distractions on a scale from 0, which changes nothing, to 1. Loads no simulator.

A dial at a strength is a mode, ``brightness:0.3``. Every shift is a dial, in any task; simulators have more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from saccade.envs.scene_dials import SCENE_DIALS
from saccade.envs.shift_modes import COLON, DIAL_NAMES
from saccade.envs.shifts import SHIFTS
from saccade.spelling import close_names
from saccade.types import UserError

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The strengths by default."""

ALL_DIALS = DIAL_NAMES
"""The names of all dials."""


def meaning(name: str, suite: str = "") -> str:
    """Return what a dial does, in one line; ``suite``: the suite of Saccade's tasks whose own dial is meant."""
    if name in SCENE_DIALS and (name not in SHIFTS or suite in SCENE_DIALS[name].suites):
        return SCENE_DIALS[name].description
    return SHIFTS[name].summary


def dial_mode(name: str, strength: float) -> str:
    """Return the mode that a dial is at a strength: ``noise:0.1``."""
    return f"{name}{COLON}{strength:g}"


def read_dials(words: Sequence[Sequence[str]]) -> Mapping[str, tuple[float, ...]]:
    """Parse ``--dial``: names, each followed by strengths, which are sorted, or by none for ``STRENGTHS``.

    Raises:
        UserError: there is no such dial, a strength lies outside 0..1, or a dial is named twice.
    """
    found: dict[str, list[float]] = {}
    name = ""
    for word in (word for group in words for word in group):
        strength = _number(word)
        if strength is None:
            name = _checked(word, found)
            found[name] = []
        elif not name:
            raise UserError(f"--dial begins with a name, not with {word}: write it as in --dial brightness 0 0.5 1.")
        elif not 0 <= strength <= 1:
            raise UserError(f"--dial {name} {word}: a strength lies from 0 (nothing) to 1 (strong), such as 0.5.")
        else:
            found[name].append(float(f"{strength:g}") + 0.0)  # as it is printed later; and no -0
    if not found:
        raise UserError(f"--dial needs a name: choose from {', '.join(ALL_DIALS)}.")
    return {name: tuple(sorted(set(some))) or STRENGTHS for name, some in found.items()}


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if not math.isnan(number) else math.inf  # NaN is out of range too


def _checked(name: str, taken: Mapping[str, object]) -> str:
    if name in taken:
        raise UserError(f"--dial names {name} twice: give all its strengths after one of them.")
    if name not in ALL_DIALS:
        plain = name.partition(COLON)[0]
        if plain in ALL_DIALS:
            raise UserError(f"--dial {name}: write the strengths after the name, as in --dial {plain} 0 0.5 1.")
        near = close_names(name, ALL_DIALS)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(ALL_DIALS)}."
        raise UserError(f"There is no dial {name!r}: {hint}")
    return name
