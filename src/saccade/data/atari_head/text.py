"""Read a trial's text: for each picture its name, and where the person looked while it was shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saccade.types import UserError

MOST_BYTES = 2**28  # two hours of play take about 100 MB
LONGEST_NAME = 100  # characters of a picture's name
FIELDS_BEFORE_GAZE = 6  # frame_id, episode_id, score, duration, unclipped_reward, action
MISSING = frozenset({"null", ""})
HEADER = "frame"  # in the first line; some files have qframe_id where others have frame_id
NUMBER_AT_END = re.compile(r"([0-9]{1,9})$", re.ASCII)


@final
@dataclass(frozen=True)
class Looks:
    """Where a person looked: gaze samples of named pictures, counted from 1.

    Attributes:
        names: of the pictures, without ending, such as ``RZ_2464601_1``, ordered by number.
        samples: float64 ``[samples, 2]``, x and y in pixels of the picture, from its top left corner; some lie outside.
        starts: ``[pictures + 1]``: the samples of picture p are ``samples[starts[p] : starts[p + 1]]``.
    """

    names: tuple[str, ...]
    samples: NDArray[np.float64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def of(self, picture: int) -> NDArray[np.float64]:
        """Return the samples ``[n, 2]`` of a picture, by its place among the names."""
        return self.samples[self.starts[picture] : self.starts[picture + 1]]


def number_of(name: str) -> int | None:
    """Return the number at the end of a picture's name, by which pictures are ordered; None if there is none."""
    found = NUMBER_AT_END.search(name)
    return int(found.group(1)) if found else None


def read_looks(content: bytes, source: str) -> Looks:
    """Return the gaze in a trial's text, whose lines have as many numbers as there were samples.

    Args:
        source: the file's name in errors.

    Raises:
        UserError: it is no such text; the message names the line.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is no text of Atari-HEAD: byte {error.start} is none of a letter.") from error
    rows: dict[int, tuple[str, NDArray[np.float64]]] = {}
    for place, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or (place == 1 and HEADER in line.partition(",")[0].lower()):
            continue
        name, samples = _row(line, f"Line {place} of {source}")
        number = number_of(name)
        if number is None or len(name) > LONGEST_NAME:
            raise UserError(
                f"Line {place} of {source} begins with {name[:40]!r}, which is no name of a picture: those end in a "
                "number, such as RZ_2464601_1."
            )
        if number in rows:
            raise UserError(f"Line {place} of {source} is the second one for picture {number}.")
        rows[number] = name, samples
    if not rows:
        raise UserError(f"{source} names no picture: a text of Atari-HEAD has a line for each.")
    ordered = [rows[number] for number in sorted(rows)]
    starts = np.cumsum([0, *(len(samples) for _, samples in ordered)])
    return Looks(tuple(name for name, _ in ordered), np.concatenate([samples for _, samples in ordered]), starts)


def _row(line: str, where: str) -> tuple[str, NDArray[np.float64]]:
    """A picture's name, and its gaze samples ``[n, 2]``. Raises UserError for anything but numbers."""
    name, *fields = line.split(",", FIELDS_BEFORE_GAZE)
    numbers = fields[-1].rstrip(", \t").split(",") if len(fields) == FIELDS_BEFORE_GAZE else []
    values = _numbers(numbers)
    if values is None:  # something is missing or not a number
        numbers = [field.strip() for field in numbers]
        if all(field in MISSING for field in numbers):
            return name.strip(), np.empty((0, 2))
        values = np.array([_number(field, where) for field in numbers])
    if len(values) % 2:
        raise UserError(f"{where} has {len(values)} numbers of gaze: they are pairs of x and y.")
    pairs = values.reshape(-1, 2)
    return name.strip(), pairs[~np.isnan(pairs).any(1)]


def _numbers(numbers: list[str]) -> NDArray[np.float64] | None:
    """Coordinates if all are plain numbers, as on most lines: a fast path for megabytes of them."""
    try:
        values = np.array([*map(float, numbers)])
    except ValueError:
        return None
    return values if np.isfinite(values).all() and not any("_" in field for field in numbers) else None


def _number(field: str, where: str) -> float:
    """A coordinate; NaN if it is missing."""
    if field in MISSING:
        return np.nan
    try:
        value = float(field)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or "_" in field:
        raise UserError(f"{where} has {field[:40]!r} where gaze is a number or null.")
    return value
