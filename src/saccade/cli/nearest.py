"""Suggest what a person may have meant, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from saccade.spelling import close_names


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a sentence that suggests the names most like the word, or lists all of them if none is similar."""
    names = list(allowed)
    close = close_names(word, names)
    return f"Did you mean {' or '.join(close)}?" if close else f"Choose from: {', '.join(names)}."
