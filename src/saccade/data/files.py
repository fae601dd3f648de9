"""Write files whole or not at all, and read files of others within limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saccade.types import UserError

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


LONGEST_TOLD = 200  # characters of a name


class NoFile(UserError):
    """Something that is no ordinary file, or larger than any file of its kind; the message says which."""


def refuse_endless(path: Path, folder: bool = False) -> None:
    """Raise NoFile for a pipe, device or socket, since reading those may never end. A missing file may pass.

    Also raises it for a folder, unless ``folder``, and for a name that is invalid or leads nowhere.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise NoFile(f"{str(path)[:LONGEST_TOLD]} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise NoFile(f"{str(path)!r} is no name of a file.") from error
    if not (folder and stat.S_ISDIR(mode)):
        _refuse(path, mode)


def _refuse(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NoFile(f"{path} is {KINDS.get(stat.S_IFMT(mode), 'no file')}, not a file.")


def read_bounded(path: Path, most: int) -> bytes:
    """Return the content of an ordinary file of at most ``most`` bytes, even if its name is replaced meanwhile.

    Raises:
        NoFile: it is of another kind, or larger.
        OSError: it does not exist or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    except ValueError as error:
        raise NoFile(f"{str(path)!r} is no name of a file.") from error
    try:
        _refuse(path, os.fstat(descriptor).st_mode)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise NoFile(f"{path} is larger than {most:,} bytes, which no such file is.")
    return content


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a place beside ``path`` to write to; it is renamed to ``path`` at the end, or removed after an error.

    Makes the folder if it does not exist, and keeps the suffix.

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
        with suppress(OSError):  # there is nothing to remove, or no such folder
            aside.unlink()
