"""Read picture files as viewers show them: upright, and with 16 bits per channel reduced to 8."""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saccade.data.files import NoFile, refuse_endless

if TYPE_CHECKING:
    from PIL.Image import Image

# Limits for files of unknown origin.
MAX_PICTURE_PIXELS = 64_000_000
MAX_PICTURE_BYTES = 256 * 2**20

ORIENTATION = 0x0112  # the tag of Exif
LEVELS_PER_LEVEL = 257  # 65535 / 255: levels of 16 bits per level of 8


class UnusableError(Exception):
    """Why a file gives no picture; the caller adds the file's name."""


def read_picture(path: Path, formats: Collection[str], *, at_least: int | None = None) -> Image:
    """Return a file's picture in RGB, as a viewer shows it.

    Cameras store a picture as the sensor saw it and say in Exif how to turn it; 16 bits per channel are reduced to 8.

    Args:
        formats: those of Pillow that may be opened.
        at_least: pixels of a side that are needed; a JPEG may be decoded no finer than that.

    Raises:
        UnusableError: the file is no such picture, is damaged, or exceeds a limit.
    """
    from PIL import Image

    with _unusable():
        refuse_endless(path)
        if path.stat().st_size > MAX_PICTURE_BYTES:
            raise UnusableError(f"over {MAX_PICTURE_BYTES} bytes")
        with Image.open(path, formats=sorted(formats)) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise UnusableError(f"{image.width}x{image.height} pixels, over the limit of {MAX_PICTURE_PIXELS}")
            if at_least is not None:
                image.draft("RGB", (at_least, at_least))
            image.load()
            return _upright(image, _rgb(image))


def decoded_picture(content: bytes, formats: Collection[str], size: tuple[int, int]) -> Image:
    """Return the picture in RGB that a file's content holds, as stored, with the width and height that it must have.

    Raises:
        UnusableError: it is no such picture, is damaged, or has another size.
    """
    from PIL import Image

    with _unusable(), Image.open(io.BytesIO(content), formats=sorted(formats)) as image:
        if image.size != size:
            wanted = f"{size[0]}x{size[1]}"
            raise UnusableError(f"it has {image.width}x{image.height} pixels, where {wanted} are needed")
        image.load()
        return _rgb(image)


@contextmanager
def _unusable() -> Iterator[None]:
    """Turn whatever Pillow raises for files that it cannot read into UnusableError."""
    from PIL import Image

    try:
        yield
    except NoFile as error:
        raise UnusableError(str(error)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, SyntaxError) as error:
        raise UnusableError(str(error) or type(error).__name__) from error
    except (ValueError, TypeError, LookupError, EOFError, OverflowError, MemoryError, struct.error) as error:
        raise UnusableError(f"damaged: {error}") from error


def _rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's own conversion cuts off at 255
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray((levels / LEVELS_PER_LEVEL).round().astype(np.uint8))
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    return opaque.convert("RGB")


def _upright(image: Image, picture: Image) -> Image:
    from PIL import Image

    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    try:
        said = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001 -- Pillow reads damaged Exif in ways that end in any kind of error
        return picture  # an intact picture of which only the metadata is damaged
    return picture.transpose(turns[said]) if said in turns else picture
