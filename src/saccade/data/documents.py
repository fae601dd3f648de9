"""Read JSON and JSON lines of unknown origin: with the type that they must have, and within limits.

Every such file is read here. A type is anything that annotations can express: a frozen dataclass, a ``TypedDict``,
``dict[str, int]``; ``Count`` is a whole number that is not negative. Nothing is converted: ``"1"`` is no number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from saccade.data.files import read_bounded
from saccade.types import UserError

MOST_BYTES = 64 * 2**20
"""Most bytes of a document or of one line; the largest that are ever written, a zip's settings with its last
observations, have a few megabytes."""
MOST_BYTES_OF_LINES = 2**30
MOST_LEVELS = 64
"""Most levels of nested lists and objects."""
LARGEST = 2**63 - 1
"""Larger whole numbers are no real counts, and no array could hold as many."""
LARGEST_OF_STATES = 2**128 - 1
"""The types of values in the state of a random generator, such as NumPy's PCG64."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]

Kind = TypeVar("Kind")


class BadDocument(UserError):
    """What is wrong with a document, as part of a sentence."""


@dataclass(frozen=True)
class Line:
    """A line of a file of JSON lines: its number from 1, and its row or what is wrong with it.

    ``cut``: it is the last one and has no line end, as after a crash or while a process is still writing.
    """

    number: int
    row: Any
    problem: str | None = None
    cut: bool = False


def parse(text: bytes | str, kind: type[Kind], largest: int = LARGEST) -> Kind:
    """Return the value of a JSON text, without whole numbers beyond ``largest``. Raises BadDocument."""
    try:
        return typed(msgspec.json.decode(text), kind, largest)
    except msgspec.ValidationError as error:  # a number that fits neither a float nor 64 bits
        raise BadDocument(_sentence(error)) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadDocument("it is not JSON") from error
    except RecursionError as error:
        raise BadDocument(_too_deep()) from error


def typed(value: Any, kind: type[Kind], largest: int = LARGEST) -> Kind:
    """Return JSON values as the type that they must have. Raises BadDocument."""
    _refuse_extremes(value, largest)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadDocument(_sentence(error)) from error


def read_document(path: Path, kind: type[Kind], most: int = MOST_BYTES, largest: int = LARGEST) -> Kind:
    """Return the value in a JSON file, without whole numbers beyond ``largest``.

    Raises:
        BadDocument: it is not JSON or not of this type.
        NoFile: a pipe, a device, or larger than ``most`` bytes.
        OSError: it does not exist or cannot be read.
    """
    return parse(read_bounded(path, most), kind, largest)


def read_lines(path: Path, kind: Any = dict[str, Any]) -> Iterator[Line]:
    """Yield the lines of a file of JSON lines, with their rows unchanged: ``kind`` says what they must have.

    Raises:
        NoFile: a pipe, a device, or larger than any such file.
        OSError: it does not exist or cannot be read.
    """
    lines = read_bounded(path, MOST_BYTES_OF_LINES).split(b"\n")
    for number, line in enumerate(lines, start=1):
        cut = number == len(lines)
        if line.strip():
            try:
                row = parse(line, dict[str, Any])
                typed(row, kind)
            except BadDocument as error:
                yield Line(number, None, str(error), cut)
            else:
                yield Line(number, row, None, cut)


def _refuse_extremes(value: Any, largest: int) -> None:
    """Raise BadDocument for nesting and whole numbers that no file of ours has."""
    level = [value]
    for _ in range(MOST_LEVELS):
        following: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                following += one.values()
            elif isinstance(one, list):
                following += one
            elif isinstance(one, int) and not -largest <= one <= largest:
                raise BadDocument(f"a number of {len(str(abs(one)))} digits is in it")
        if not following:
            return
        level = following
    raise BadDocument(_too_deep())


def _too_deep() -> str:
    return f"its lists and objects lie more than {MOST_LEVELS} deep in each other"


def _sentence(error: msgspec.ValidationError) -> str:
    """Extract ``expected `int`, got `str` at training.seed`` from the library's message."""
    words, _, place = str(error).partition(" - at `")
    where = place.rstrip("`").removeprefix("$").lstrip(".")
    words = words[:1].lower() + words[1:].rstrip(".")
    return f"{words} at {where}" if where else words
