"""Read a trial's pictures directly from their archive: a tar.bz2 in a folder, or inside a zip."""

from __future__ import annotations

import bz2
import hashlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

import numpy as np
import torch
from numpy.typing import NDArray

from saccade.data.atari_head.text import LONGEST_NAME, number_of
from saccade.data.files import refuse_endless
from saccade.data.memory import refuse_beyond
from saccade.data.pictures import UnusableError, decoded_picture
from saccade.types import UserError

HEIGHT, WIDTH = 210, 160  # pixels of every picture
SUFFIX = ".png"

# Limits for files of unknown origin. Two hours at 20 pictures a second are 144,000, of about 2 kB each.
MOST_PICTURES = 1_000_000
MOST_BYTES_OF_PICTURE = 2**18
MOST_UNPACKED = 4 * 2**30
ONE_READ = 2**16

DAMAGED = (
    OSError,
    EOFError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # an encrypted member; NotImplementedError, of an unknown compression, is one
    ValueError,
)
"""What Python's readers raise for archives that are cut off, damaged or not archives."""


class _TooLargeError(Exception):
    """Something is larger than in any archive of the kind."""


@final
@dataclass(frozen=True)
class Place:
    """A file in a folder, or a member of a zip there."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.member} in {self.path}"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open its content, to be read once. Raises NoFile for a pipe or a device, and the errors in ``DAMAGED``."""
        refuse_endless(self.path)
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            yield file


def members_of(path: Path) -> list[str]:
    """Return the names of the files in a zip. Raises the errors in ``DAMAGED``, and NoFile for a pipe or a device."""
    refuse_endless(path)
    with zipfile.ZipFile(path) as archive:
        links = (info.filename for info in archive.infolist() if stat.S_ISLNK(info.external_attr >> 16))
        return [name for name in archive.namelist() if name not in set(links) and not name.endswith("/")]


def read_text(place: Place, most: int) -> bytes:
    """Return the content of a small file. Raises UserError if it cannot be read, or is larger than ``most`` bytes."""
    with _in_a_sentence(place), place.opened() as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"{place} is larger than {most:,} bytes, which no such file is.")
    return content


def content_key(place: Place) -> str:
    """Return a key that differs between archives with different content. Raises UserError if it cannot be read."""
    digest, total = hashlib.sha256(), 0
    with _in_a_sentence(place), place.opened() as file:
        while block := file.read(2**20):
            digest.update(block)
            total += len(block)
            if total > MOST_UNPACKED:  # in a zip it may be compressed once more
                raise _TooLargeError
    return digest.hexdigest()[:32]


def packed_pictures(place: Place) -> dict[str, bytes]:
    """Return the content of every PNG in a trial's archive by its name without ending, ordered by number.

    Nothing is written anywhere, and folders, links and other files in the archive are skipped.

    Raises:
        UserError: it is cut off, damaged or no such archive, or larger than any.
    """
    found: dict[int, tuple[str, bytes]] = {}
    total = 0
    with _in_a_sentence(place), place.opened() as file:
        unpacked = _Unpacked(file)
        with tarfile.open(fileobj=unpacked, mode="r:") as archive:  # type: ignore[call-overload]  # what it needs of one
            while (member := archive.next()) is not None:
                archive.members.clear()  # else it keeps them all
                name = member.name.rpartition("/")[2]
                if not member.isreg() or not name.lower().endswith(SUFFIX) or name.startswith("."):
                    continue
                stem = name[: -len(SUFFIX)]
                number = number_of(stem)
                if number is None or len(stem) > LONGEST_NAME:
                    raise UserError(f"{place} holds a picture {name[:40]!r}: their names end in a number.")
                if member.size > MOST_BYTES_OF_PICTURE or len(found) >= MOST_PICTURES:
                    raise _TooLargeError
                if number in found:
                    raise UserError(f"{place} holds picture {number} twice.")
                content = archive.extractfile(member)
                assert content is not None  # it is a regular file
                found[number] = stem, content.read()
                total += member.size
                if len(found) % 1000 == 0:
                    refuse_beyond(total, str(place), "free some memory", torch.device("cpu"))
        unpacked.drain()
    if not found:
        raise UserError(f"{place} holds no pictures: the archive of a trial has PNG files whose names end in a number.")
    return dict(found[number] for number in sorted(found))


def picture_of(content: bytes, name: str, place: Place) -> NDArray[np.uint8]:
    """Decode a picture ``[210, 160, 3]``, RGB. Raises UserError for anything else."""
    try:
        picture = decoded_picture(content, ("PNG",), (WIDTH, HEIGHT))
    except UnusableError as error:
        raise UserError(f"Picture {name} of {place} cannot be used: {error}.") from error
    return np.asarray(picture)


@contextmanager
def _in_a_sentence(place: Place) -> Iterator[None]:
    """Turn errors with an archive into one sentence."""
    try:
        yield
    except UserError:
        raise
    except _TooLargeError as error:
        raise UserError(f"{place} unpacks to more than the archive of any trial, so it is not read.") from error
    except KeyError as error:
        raise UserError(f"{place} is no longer there.") from error
    except DAMAGED as error:
        missing = isinstance(error, FileNotFoundError | PermissionError)
        why = (error.strerror or "") if isinstance(error, OSError) and missing else "cut off or damaged"
        raise UserError(f"{place} cannot be read ({why}): download it again.") from error


class _Unpacked:
    """The content of a bz2, read forwards, and never more at once or in total than an archive of pictures needs.

    Tar files may claim headers of any size, which a reader would read completely.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._file = bz2.BZ2File(packed)
        self._place = 0

    def tell(self) -> int:
        return self._place

    def seek(self, place: int, whence: int = 0) -> int:
        """Seek forwards only, which is all that reading one member after the other needs."""
        if whence != 0 or place < self._place:
            raise tarfile.ReadError("it is not read backwards")
        while place > self._place and self.read(min(place - self._place, ONE_READ)):
            pass
        return self._place

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES_OF_PICTURE or self._place + size > MOST_UNPACKED:
            raise _TooLargeError
        content = self._file.read(size)
        self._place += len(content)
        return content

    def drain(self) -> None:
        """Read the rest, which shows whether it was cut off."""
        while self.read(ONE_READ):
            pass
