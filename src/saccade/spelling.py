"""Suggestions for a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SIMILARITY = 0.5  # of a name to be suggested, 0..1


def close_names(word: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return the names most like a word, ignoring case, the nearest first."""
    by_letters = {name.casefold(): name for name in names}
    return [by_letters[near] for near in difflib.get_close_matches(word.casefold(), by_letters, most, SIMILARITY)]
