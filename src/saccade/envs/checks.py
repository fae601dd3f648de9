"""Check values that people give against those that are allowed."""

from __future__ import annotations

from collections.abc import Iterable

from saccade.spelling import close_names
from saccade.types import UserError

MOST_NAMED = 12  # choices in a sentence


def check_name(field: str, value: object, allowed: Iterable[str]) -> None:
    """Raise UserError, with the nearest names, for a value that is not among the allowed ones."""
    names = list(allowed)
    if value in names:
        return
    near = close_names(str(value), names)
    many = len(names) > MOST_NAMED
    choices = f"the choices are {', '.join(names)}" if not many else f"`saccade list` shows all {len(names)}"
    hint = f"the nearest: {', '.join(near)}" if near else choices
    raise UserError(f"there is no {field} {value!r}; {hint}")


def check_kind(field: str, value: object, *kinds: type) -> None:
    """Raise UserError for a value of another type."""
    if not isinstance(value, kinds):
        raise UserError(f"{field} is {value!r}, but must be {' or '.join(kind.__name__ for kind in kinds)}")


def check_count(field: str, value: object, largest: int) -> None:
    """Raise UserError for anything but a whole number from 1 to ``largest``."""
    if not (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest):
        raise UserError(f"{field} is {value!r}, but must be a whole number from 1 to {largest}")
