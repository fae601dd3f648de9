"""Arrays that are computed once and then mapped from disk, whichever of many processes comes first."""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from saccade.data.arrays import DAMAGED
from saccade.data.documents import read_document
from saccade.data.files import refuse_endless
from saccade.data.folder import cache_dir
from saccade.types import UserError

BLOCK = 2**20  # bytes that are summed at once


def cached_array(name: str, frame_shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the uint8 array ``[n, *frame_shape]`` stored as ``name`` in the cache folder; made and stored if absent.

    Many processes may ask at once: each file is written aside and renamed, so none is ever seen half written, and one
    that is damaged, even by one byte, is made again. Returns a read-only ``np.memmap``; if the folder
    cannot be written, a plain array after a warning.
    """
    path = cache_dir() / f"{name}.npy"
    if (kept := _open(path, frame_shape)) is not None:
        return kept
    array = np.ascontiguousarray(make())
    assert array.dtype == np.uint8 and array.shape[1:] == frame_shape and len(array), (
        array.dtype,
        array.shape,
    )
    try:
        _write(path, array)
    except OSError as error:
        reason = error.strerror or str(error)
        warnings.warn(
            f"cache folder {path.parent} cannot be written ({reason}), so every process makes its data again "
            f"and keeps it in memory; set SACCADE_CACHE to a folder that can be written",
            stacklevel=2,
        )
        return array
    kept = _open(path, frame_shape)
    return array if kept is None else kept


def is_cached(name: str, frame_shape: tuple[int, ...]) -> bool:
    """Return whether ``cached_array`` would find a readable array under this name."""
    return _open(cache_dir() / f"{name}.npy", frame_shape) is not None


@dataclass(frozen=True)
class _Seal:
    """What is stored beside a file: the checksum of its bytes, and the file's state when that was last verified."""

    crc32: int
    file: tuple[int, int, int]


def _open(path: Path, frame_shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        refuse_endless(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy comments on damaged headers before it gives up
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGED:
        return None
    fits = isinstance(array, np.memmap) and array.dtype == np.uint8 and array.ndim == len(frame_shape) + 1
    return array if fits and array.shape[1:] == frame_shape and len(array) and _is_sealed(path) else None


def _is_sealed(path: Path) -> bool:
    """Whether its bytes are those that were written. The checksum is computed only if the file's state has changed."""
    try:
        seal, file = read_document(_seal_path(path), _Seal), _state_of(path)
        if seal.file == file:
            return True
        if seal.crc32 != _sum(path):
            return False
        with suppress(OSError):  # in a folder that cannot be written it is verified each time
            _keep(_seal_path(path), json.dumps(asdict(_Seal(seal.crc32, file))).encode())
    except (OSError, UserError):
        return False
    return True


def _seal_path(path: Path) -> Path:
    return path.with_suffix(".seal")


def _state_of(path: Path) -> tuple[int, int, int]:
    """A state that changes whenever a file is written: its size, and the times of its last changes."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _sum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total = zlib.crc32(block, total)
    return total


def _write(path: Path, array: np.ndarray) -> None:
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, np.lib.format.header_data_from_array_1_0(array))
    header = start.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = array.data.cast("B")
    _keep(path, header, content)
    seal = _Seal(zlib.crc32(content, zlib.crc32(header)), _state_of(path))
    _keep(_seal_path(path), json.dumps(asdict(seal)).encode())


def _keep(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file aside, and move it into place whole."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".aside")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
