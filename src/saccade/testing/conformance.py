"""What every check says where a promise is not kept."""

from __future__ import annotations

from typing import final


@final
class ConformanceError(AssertionError):
    """A promise is not kept: one sentence that says what was wrong, where, and what to do."""


def require(kept: bool, sentence: str) -> None:
    """Raise ConformanceError unless a promise is kept."""
    if not kept:
        raise ConformanceError(sentence)
