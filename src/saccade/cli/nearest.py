"""What a person may have meant, as a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from saccade.spelling import close_names


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A sentence that offers the names most like the word, or all of them where none is."""
    names = list(allowed)
    close = close_names(word, names)
    return f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names)}."
