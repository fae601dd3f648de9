"""Arrays that are made once and then mapped from disk, whichever of many processes comes first."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tokenize
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from saccade.data.files import refuse_endless
from saccade.data.folder import cache_dir

# All that is raised for a file that is no readable .npy, depending on where it is damaged; a pipe is a ValueError.
_UNREADABLE = (OSError, ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError)


def cached_array(name: str, frame_shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """The uint8 array ``[n, *frame_shape]`` kept as ``name`` in the cache folder; made and kept if absent.

    Many processes may ask at once: each file is written aside and renamed, so none is ever seen half
    written, and a damaged one is made again. Returns a read-only ``np.memmap``; where the folder cannot be
    written, a plain array after a warning.
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


def sealed_array(name: str, frame_shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """As ``cached_array``, for what is measured with: a digest at its end tells when any byte of it has changed.

    One frame must have room for a digest of 32 bytes.
    """
    for _ in range(2):
        array = cached_array(name, frame_shape, lambda: _sealed(make()))
        if np.array_equal(array[-1], _seal(array[:-1])):
            return array[:-1]
        with suppress(OSError):
            (cache_dir() / f"{name}.npy").unlink()
    return make()


def is_cached(name: str, frame_shape: tuple[int, ...]) -> bool:
    """Whether ``cached_array`` would find a readable array under this name."""
    return _open(cache_dir() / f"{name}.npy", frame_shape) is not None


def _sealed(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, _seal(array)[None]])


def _seal(array: np.ndarray) -> np.ndarray:
    """A frame that holds the digest of the others and zeros."""
    digest = hashlib.sha256(str(array.shape).encode())
    for frame in array:
        digest.update(frame.tobytes())
    seal = np.zeros(array.shape[1:], np.uint8)
    seal.reshape(-1)[: digest.digest_size] = np.frombuffer(digest.digest(), np.uint8)
    return seal


def _open(path: Path, frame_shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        refuse_endless(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy comments on damaged headers before it gives up
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE:
        return None
    fits = isinstance(array, np.memmap) and array.dtype == np.uint8 and array.ndim == len(frame_shape) + 1
    return array if fits and array.shape[1:] == frame_shape and len(array) else None


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".aside")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
