"""Read states and saliency maps that others made: an expert's annotation, another method's maps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from saccade.data.arrays import DAMAGED
from saccade.data.files import refuse_endless
from saccade.data.pictures import UnusableError, read_picture
from saccade.types import UserError

STATES, MAPS = "states", "maps"
FORMATS = ("PNG",)
WHITE = 255.0
EXPECTED = (
    "an .npz with the arrays states and maps, or a folder with states.npy and maps.npy, or with PNGs of equal names in "
    "its folders states and maps"
)


@final
class SaliencyFiles(NamedTuple):
    """What was read, and its SHA-256."""

    states: np.ndarray  # uint8 [n, channels, height, width]
    maps: np.ndarray  # float32 [n, height, width], not negative, the largest value of each 1
    sha256: str


def read_saliency_files(path: Path, obs_shape: tuple[int, int, int]) -> SaliencyFiles:
    """Read the user's own saliency data, for a student whose observations have this shape.

    States are uint8 ``[n, channels, height, width]`` or ``[n, height, width, channels]``; maps ``[n, height, width]``,
    integers or floats, 0 where nothing is salient. Each map is divided by its largest value.

    Raises:
        UserError: there is no such data, or states and maps do not fit each other or the observations.
    """
    found = _arrays(path)
    states = _states(found[STATES], obs_shape, path)
    maps = _maps(found[MAPS], states, path)
    digest = hashlib.sha256(states.tobytes() + maps.tobytes()).hexdigest()
    return SaliencyFiles(states, maps, digest)


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        refuse_endless(path, folder=True)
        if path.is_dir():
            if all((path / f"{name}.npy").is_file() for name in (STATES, MAPS)):
                return {name: np.load(path / f"{name}.npy", allow_pickle=False) for name in (STATES, MAPS)}
            if all((path / name).is_dir() for name in (STATES, MAPS)):
                return _pictures(path)
            raise UserError(f"{path} holds no saliency data: {EXPECTED} is needed.")
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise UserError(f"{path} holds no saliency data: {EXPECTED} is needed.")
        with loaded as data:
            if not {STATES, MAPS} <= set(data.files):
                raise UserError(f"{path} holds no saliency data: {EXPECTED} is needed.")
            return {name: data[name] for name in (STATES, MAPS)}
    except FileNotFoundError as error:
        raise UserError(f"There is no saliency data at {path}: name a file or folder, or teacher or truth.") from error
    except DAMAGED as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read as saliency data ({error}): {EXPECTED} is needed.") from error


def _pictures(path: Path) -> Mapping[str, np.ndarray]:
    names = [sorted(file.name for file in (path / name).glob("*.png")) for name in (STATES, MAPS)]
    if names[0] != names[1] or not names[0]:
        other = sorted(set(names[0]) ^ set(names[1]))
        why = f"{other[0]} is in only one of them" if other else "there are none"
        raise UserError(f"The PNGs in {path / STATES} and {path / MAPS} must have equal names, but {why}.")
    found: dict[str, list[np.ndarray]] = {STATES: [], MAPS: []}
    for name in names[0]:
        for kind, arrays in found.items():
            try:
                arrays.append(np.asarray(read_picture(path / kind / name, FORMATS)))
            except UnusableError as error:
                raise UserError(f"{path / kind / name} is no picture that can be used: {error}.") from error
    for kind, arrays in found.items():
        if len({array.shape for array in arrays}) > 1:
            raise UserError(f"The pictures in {path / kind} have different sizes: all must have that of the states.")
    return {STATES: np.stack(found[STATES]), MAPS: np.stack(found[MAPS])[..., 0] / WHITE}


def _states(states: np.ndarray, obs_shape: tuple[int, int, int], path: Path) -> np.ndarray:
    if states.ndim == 4 and states.shape[1:] != obs_shape:
        turned = np.moveaxis(states, -1, 1)
        if turned.shape[1:] != obs_shape and turned.shape[1] == 3 and obs_shape[0] == 1:
            turned = turned[:, :1]  # PNGs of grey pictures are read in RGB
        states = turned if turned.shape[1:] == obs_shape else states
    if states.dtype != np.uint8 or states.shape[1:] != obs_shape or not len(states):
        raise UserError(
            f"The states in {path} are {states.dtype} of shape {states.shape}; the student sees uint8 of shape "
            f"(n, {', '.join(map(str, obs_shape))})."
        )
    return np.ascontiguousarray(states)


def _maps(maps: np.ndarray, states: np.ndarray, path: Path) -> np.ndarray:
    wanted = (len(states), *states.shape[2:])
    if maps.shape != wanted:
        raise UserError(f"The maps in {path} have the shape {maps.shape}, but its states need {wanted}: one map each.")
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, and are refused
        numbers = maps.astype(np.float32) if maps.dtype.kind in "fiub" else np.full(1, np.nan)
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        raise UserError(f"The maps in {path} must be finite numbers that are not negative.")
    return scaled(numbers)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Return each map divided by its largest value; one that is zero stays zero."""
    largest = maps.max((1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
