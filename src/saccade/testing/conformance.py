"""What every check says where a promise is not kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

MOST_NAMES = 3  # in a sentence


@final
class ConformanceError(AssertionError):
    """A promise is not kept: one sentence that says what was wrong, where, and what to do."""


def told(names: Sequence[str]) -> str:
    """The first names of a list, for a sentence."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def require(kept: bool, sentence: str) -> None:
    """Raise ConformanceError unless a promise is kept."""
    if not kept:
        raise ConformanceError(sentence)
