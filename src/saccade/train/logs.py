"""A run's own records in JSON lines, which are authoritative; ``train/sinks.py`` has the ones for viewing."""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from saccade.data.documents import Count, read_lines
from saccade.types import UserError

COUNTERS = ("env_steps", "updates", "seconds")


class Row(TypedDict):
    """What every row has besides its numbers: when it was written, in agent steps."""

    env_steps: Count


class EvaluationRow(Row):
    """The fields of ``evaluations.jsonl``'s rows that are read."""

    mode: str
    episodes: Count
    episode_seed: int
    return_mean: float


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append one line to a file of JSON lines, at once readable by others. Raises UserError if the disk is full."""
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def read_rows(path: Path, kind: Any = Row) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines; empty if there is no file.

    Invalid rows are left out: silently a last line that a crash cut off or that is being written, with a warning
    any other. Raises UserError for a file that cannot be read.
    """
    rows = []
    try:
        for line in read_lines(path, kind):
            if line.problem is None:
                rows.append(line.row)
            elif not line.cut:
                sentence = f"{path} is damaged in line {line.number} ({line.problem}): that line is left out."
                warnings.warn(sentence, stacklevel=2)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    return rows


def forget_rows_after(path: Path, env_steps: int) -> None:
    """Drop what a run wrote after the checkpoint from which it resumes; it will write that again."""
    rows = read_rows(path)
    write_aside(path, "".join(json.dumps(row) + "\n" for row in rows if row["env_steps"] <= env_steps))


def write_aside(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises UserError if it cannot be written."""
    aside = path.with_name(f".{path.name}")
    try:
        aside.write_text(text)
        os.replace(aside, path)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def held(lock: Path, taken: str) -> Iterator[None]:
    """Hold the folder of a lock for this process. Raises UserError with ``taken`` if another process holds it."""
    try:
        file = lock.open("a")
    except OSError as error:
        raise cannot_write(lock.parent, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(taken) from error
        yield


def cannot_write(path: Path, error: OSError) -> UserError:
    """Return the error for a file or folder that cannot be written."""
    return UserError(f"{path} cannot be written ({error.strerror}): free space, make it writable, or choose another.")
