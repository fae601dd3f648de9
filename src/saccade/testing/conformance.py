"""The error that every check raises for a broken promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

MOST_NAMES = 3  # in a sentence


@final
class ConformanceError(AssertionError):
    """A promise is broken: one sentence that says what was wrong, where, and what to do."""


def first_few(names: Sequence[str]) -> str:
    """Return the first names of a list, for a message."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def require(kept: bool, sentence: str) -> None:
    """Raise ConformanceError unless a promise is kept."""
    if not kept:
        raise ConformanceError(sentence)
