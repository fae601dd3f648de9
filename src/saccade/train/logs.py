"""What a run writes about itself: JSON lines, which are the truth, and TensorBoard, which is for looking."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from saccade.types import UserError

COUNTERS = ("env_steps", "updates", "seconds")


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one line to a file of JSON lines, at once readable by others. Raises UserError when the disk is full."""
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none where there is no file. A line cut off by a crash is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def forget_rows_after(path: Path, env_steps: int) -> None:
    """Drop what a run wrote behind the checkpoint that it resumes from; it will write that again."""
    rows = read_rows(path)
    write_aside(path, "".join(json.dumps(row) + "\n" for row in rows if row["env_steps"] <= env_steps))


def write_aside(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises UserError when it cannot be written."""
    aside = path.with_name(f".{path.name}")
    try:
        aside.write_text(text)
        os.replace(aside, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """The mistake that a file or folder which cannot be written is."""
    return UserError(f"{path} cannot be written ({error.strerror}): free space, make it writable, or choose another.")


class TensorBoard:
    """Writes rows as TensorBoard scalars, by agent step. TensorBoard is imported when the first one is made."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, row: dict[str, Any]) -> None:
        for key, value in row.items():
            if key not in COUNTERS and isinstance(value, int | float):
                self._writer.add_scalar(key, value, row["env_steps"])

    def close(self) -> None:
        self._writer.close()
