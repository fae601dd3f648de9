"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saccade.types import UserError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to; renamed to ``path`` at the end, or removed after an error.

    Makes the folder if it is not there, and keeps the suffix.

    Raises:
        UserError: something there cannot be written.
    """
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        sentence = f"{str(path)!r} cannot be written ({error.strerror}); choose another place or free this one"
        raise UserError(sentence) from error
    finally:
        with suppress(OSError):  # there is nothing to remove, or no folder that could hold it
            aside.unlink()
