"""JSON that no program of ours writes: whole files, and one value of a good file replaced or left out."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a number": b"5",
    "a string": b'"x"',
    "cut": b'{"a": [1, ',
    "no text": b"\xff\xfe{}",
    "half a surrogate": b'{"method": "\\ud800"}',
    "not a number": b'{"a": NaN}',
    "no float": b'{"a": 1e999}',
    "a number of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a number of 100 digits": b'{"a": ' + b"9" * 100 + b"}",
    "a million lists": b"[" * 1_000_000,
    "lists in lists": b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}",
    "an object": b"{}",
    "zero bytes": b"\0" * 100,
}

DEEP: Any = []
for _ in range(70):
    DEEP = [DEEP]

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e308, 10**12, 2**63 - 1, 2**70, "x", "", "../../x", "\0", "[/red]", [], {}, [[]], [None],
    {"a": 1}, DEEP,
)  # fmt: skip
GONE = object()


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value inside another, by keys and indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*above, key)
        yield from paths(inner, (*above, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a place, or without it."""
    made = copy.deepcopy(document)
    at = made
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


def variants(document: Any, most: int) -> list[Any]:
    """The document with one value replaced by each of ``VALUES`` or left out; ``most`` of them, drawn by a seed."""
    made = [(path, value) for path in paths(document) for value in (*VALUES, GONE)]
    drawn = random.Random(0).sample(made, min(most, len(made)))
    return [changed(document, path, value) for path, value in drawn]


def as_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()
