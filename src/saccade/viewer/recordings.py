"""What an explanation folder holds, checked: what was explained, the maps of each mode, and the rows of scores."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from saccade.types import UserError

EXPLANATION, SCORES, MAPS = "explanation.json", "scores.jsonl", "maps"
MAP_PREFIX, PICTURE_PREFIX = "map_", "picture_"  # of a method's maps and an agent's pictures in the file of a mode
COLOURS = 3  # of a picture
WHITE = 255
AGAIN = "make it again with `saccade explain` or `saccade score`"

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Method:
    """A saliency method as the folder tells of it; seconds where they were measured."""

    summary: str
    source: str
    score: str | None  # what it explains; None for a map that the network carries inside
    seconds_per_frame: float | None = None
    seconds_per_frame_single: float | None = None


@dataclass(frozen=True)
class Curve:
    """``y`` over ``x``, which are numbers or names such as those of layers."""

    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class ScoreRow:
    """What a metric says about a method's maps in a mode, over ``count`` frames; None where it is undefined."""

    mode: str
    method: str
    metric: str
    question: str
    direction: str | None  # "higher" or "lower" is better
    mean: float | None
    std: float | None
    count: int
    undefined: int
    summary: str = ""
    source: str = ""
    curve: Curve | None = None


@dataclass(frozen=True)
class Explanation:
    """What was explained and how.

    Attributes:
        policy: its ``name``, and where known ``source`` and ``env_steps``.
        score: name of the score that is explained; ``score_summary`` says it in words, if that was told.
        observations: how they were understood, in words.
        left_out: methods that could not be right, and why.
        changed_pixels: by mode, the share of the pixels, 0..1, that it changes; without the modes that change nothing
            by definition, and those of which nobody said it.
        pictures: names of what the agent itself makes of what it sees; empty for most policies.
        command: repeats it; may be empty.
    """

    folder: Path
    policy: Mapping[str, Any]
    observations: str
    task: str
    modes: tuple[str, ...]
    score: str
    score_summary: str
    methods: Mapping[str, Method]
    left_out: Mapping[str, str]
    changed_pixels: Mapping[str, float]
    pictures: tuple[str, ...]
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    command: str
    scores: tuple[ScoreRow, ...]

    @property
    def modes_with_maps(self) -> tuple[str, ...]:
        """Those of ``modes`` whose maps lie in the folder."""
        return tuple(mode for mode in self.modes if maps_path(self.folder, mode).exists())


@dataclass(frozen=True)
class Maps:
    """The frames of one episode in one mode, and for each what the methods say of its newest frame.

    Attributes:
        obs: uint8 ``[time, frames * colours, height, width]``.
        channels: what the ``colours`` channels of a frame are, such as ``rgb`` (three of them), ``grey``, ``depth``.
        saliency: by method, float32 ``[time, height, width]``; may be signed.
        pictures: what the agent makes of the newest frame, by name: uint8 ``[time, 3, h, w]``, no larger than ``obs``.
        task_mask: bool ``[time, height, width]``, the pixels that matter for the task.
        clean_obs: the same states without the mode's distraction, shaped like ``obs``.
        length: agent steps of the whole episode, where known.
    """

    obs: NDArray[np.uint8]
    colours: int
    channels: tuple[str, ...]
    step: NDArray[np.int64]
    action: NDArray[Any]
    reward: NDArray[np.float64]
    saliency: Mapping[str, NDArray[np.float32]]
    pictures: Mapping[str, NDArray[np.uint8]]
    task_mask: NDArray[np.bool_] | None
    clean_obs: NDArray[np.uint8] | None
    length: int | None


class _DamagedError(Exception):
    """What is wrong inside a file; the sentence names the file later."""


# What opening and unpacking an archive raises, and what a wrong content does: KeyError where an array is missing.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, _DamagedError)


def maps_path(folder: Path, mode: str) -> Path:
    """Where a mode's maps lie."""
    return folder / MAPS / f"{mode}.npz"


def read_explanation(folder: str | Path) -> Explanation:
    """What lies in the folder, without the maps themselves.

    Raises:
        UserError: there is no explanation, a file is damaged, or there are neither maps nor scores.
    """
    folder = Path(folder)
    path = folder / EXPLANATION
    if not path.is_file():
        raise UserError(f"{str(folder)!r} holds no explanation, for {EXPLANATION} is missing; {AGAIN}.")
    try:
        record = _checked(json.loads(path.read_text(encoding="utf-8")), dict, "it")
        identity = record.get("identity")
        explanation = _explanation(folder, record, _read_scores(folder / SCORES, identity))
    except (OSError, ValueError, _DamagedError) as error:
        if isinstance(error, UserError):  # about the scores
            raise
        raise _damaged(path, error) from error
    if not explanation.scores and not explanation.modes_with_maps:
        raise UserError(f"{str(folder)!r} holds neither maps nor scores; {AGAIN}.")
    return explanation


def _explanation(folder: Path, record: Mapping[str, Any], scores: tuple[ScoreRow, ...]) -> Explanation:
    policy = _field(record, "policy", dict)
    _field(policy, "name", str)
    return Explanation(
        folder=folder,
        policy=policy,
        observations=_checked(record.get("observations", ""), str, "observations"),
        task=_field(record, "task", str),
        modes=tuple(_checked(mode, str, "a mode") for mode in _field(record, "modes", list)),
        score=_field(record, "score", str),
        score_summary=_checked(record.get("score_summary", ""), str, "score_summary"),
        methods={name: _method(name, facts) for name, facts in _field(record, "methods", dict).items()},
        left_out=_checked(record.get("left_out", {}), dict, "left_out"),
        changed_pixels=_shares(_checked(record.get("changed_pixels", {}), dict, "changed_pixels")),
        pictures=tuple(
            _checked(name, str, "a picture") for name in _checked(record.get("pictures", []), list, "pictures")
        ),
        settings=_checked(record.get("settings", {}), dict, "settings"),
        versions=_checked(record.get("versions", {}), dict, "versions"),
        command=_checked(record.get("command", ""), str, "command"),
        scores=scores,
    )


def _shares(told: Mapping[str, Any]) -> dict[str, float]:
    shares = {mode: _number(told, mode) for mode in told}
    return {mode: share for mode, share in shares.items() if share is not None}


def read_maps(explanation: Explanation, mode: str) -> Maps:
    """The frames of a mode and what every method says of them.

    Raises:
        UserError: the mode's file is missing or damaged.
    """
    path = maps_path(explanation.folder, mode)
    if not path.is_file():
        raise UserError(f"{str(explanation.folder)!r} holds no maps of {mode!r}, for {path.name} is missing; {AGAIN}.")
    try:
        # The sums are checked first: NumPy reads a spoilt header in ways that end in any kind of error.
        with zipfile.ZipFile(path) as archive:
            spoilt = archive.testzip()
        if spoilt is not None:
            raise _DamagedError(f"the sum of {spoilt} is wrong")
        with np.load(path) as arrays:
            return _maps(arrays)
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _maps(arrays: Mapping[str, NDArray[Any]]) -> Maps:
    high = float(arrays["high"]) if "high" in arrays else None
    obs, colours = _pixels(arrays["obs"], high, "obs"), int(arrays["colours"])
    channels = _channels(arrays, colours)
    if not channels or obs.shape[1] % colours:
        raise _DamagedError(f"{obs.shape[1]} channels are not frames of {colours} colours")
    count, _, *size = obs.shape
    saliency = {}
    for name in arrays:
        if name.startswith(MAP_PREFIX):
            per_frame = _newest(arrays[name], [count, *size], name).astype(np.float32)
            if not np.isfinite(per_frame).all():
                raise _DamagedError(f"{name} holds NaN or infinity")
            saliency[name.removeprefix(MAP_PREFIX)] = per_frame
    pictures = {
        name.removeprefix(PICTURE_PREFIX): _picture(arrays[name], obs.shape, name)
        for name in arrays
        if name.startswith(PICTURE_PREFIX)
    }
    clean = _pixels(arrays["clean_obs"], high, "clean_obs") if "clean_obs" in arrays else None
    if clean is not None and clean.shape != obs.shape:
        raise _DamagedError(f"clean_obs is {list(clean.shape)} and obs {list(obs.shape)}")
    mask = _newest(arrays["task_mask"], [count, *size], "task_mask") if "task_mask" in arrays else None
    step, action, reward = arrays["step"], arrays["action"], arrays["reward"]
    for name, values in (("step", step), ("action", action), ("reward", reward)):
        if len(values) != count:
            raise _DamagedError(f"{name} holds {len(values)} of {count} frames")
    return Maps(
        obs=obs,
        colours=colours,
        channels=channels,
        step=step.astype(np.int64),
        action=action,
        reward=reward.astype(np.float64),
        saliency=saliency,
        pictures=pictures,
        task_mask=None if mask is None else mask.astype(bool),
        clean_obs=clean,
        length=int(arrays["length"]) if "length" in arrays else None,
    )


def _pixels(obs: NDArray[Any], high: float | None, name: str) -> NDArray[np.uint8]:
    """Observations in 0..high as 0..255; where nothing is said, bytes are in 0..255 and floats in 0..1."""
    if obs.ndim != 4 or 0 in obs.shape:
        raise _DamagedError(f"{name} has shape {list(obs.shape)}, not [time, channel, height, width]")
    brightest = high or (1.0 if obs.dtype.kind == "f" else WHITE)
    if obs.dtype.kind not in "uf" or not (obs.min() >= 0 and obs.max() <= brightest):
        raise _DamagedError(f"{name} holds other numbers than pixels in 0..{brightest:g}")
    return obs if obs.dtype == np.uint8 and brightest == WHITE else np.rint(obs * (WHITE / brightest)).astype(np.uint8)


def _newest(per_frame: NDArray[Any], shape: list[int], name: str) -> NDArray[Any]:
    """``[time, frames, height, width]`` -> the last of the frames."""
    if per_frame.ndim != 4 or per_frame.shape[1] == 0 or [len(per_frame), *per_frame.shape[2:]] != shape:
        raise _DamagedError(f"{name} has shape {list(per_frame.shape)}, not {[shape[0], 'frames', *shape[1:]]}")
    return per_frame[:, -1]


def _channels(arrays: Mapping[str, NDArray[Any]], colours: int) -> tuple[str, ...]:
    """What the channels of a frame are; of files that do not say it, colours or grey. Empty where that cannot be."""
    if "channels" not in arrays:
        return {1: ("grey",), COLOURS: ("rgb",)}.get(colours, ())
    said = tuple(str(part) for part in np.atleast_1d(arrays["channels"]).ravel())
    distinct = len(set(said)) == len(said)
    return said if distinct and sum(COLOURS if part == "rgb" else 1 for part in said) == colours else ()


def _picture(drawn: NDArray[Any], seen: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """``[time, frames * 3, h, w]`` of bytes -> the last of the frames."""
    count, _, height, width = seen
    fits = drawn.ndim == 4 and len(drawn) == count and drawn.shape[1] % COLOURS == 0 and 0 not in drawn.shape
    if not fits or drawn.shape[2] > height or drawn.shape[3] > width:
        raise _DamagedError(f"{name} has shape {list(drawn.shape)}, not {[count, 'frames * 3', height, width]}")
    if drawn.dtype != np.uint8:
        raise _DamagedError(f"{name} is of type {drawn.dtype}, not uint8")
    return drawn[:, -COLOURS:]


def _read_scores(path: Path, identity: str | None) -> tuple[ScoreRow, ...]:
    """The rows of this explanation in their order; where a method was scored again, its newest row."""
    if not path.exists():
        return ()
    rows: dict[tuple[str, str, str], ScoreRow] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                told = _checked(json.loads(line), dict, "it")
                row = _score_row(told)
            except (ValueError, _DamagedError) as error:
                raise _DamagedError(f"line {number}: {error}") from error
            if identity is None or told.get("identity") == identity:
                rows[row.mode, row.method, row.metric] = row
    except (OSError, UnicodeDecodeError, _DamagedError) as error:
        raise _damaged(path, error) from error
    return tuple(rows.values())


def _score_row(row: Mapping[str, Any]) -> ScoreRow:
    direction = row.get("direction")
    if direction not in ("higher", "lower", None):
        raise _DamagedError(f"the direction is {direction!r}")
    return ScoreRow(
        mode=_field(row, "mode", str),
        method=_field(row, "method", str),
        metric=_field(row, "metric", str),
        question=_field(row, "question", str),
        direction=direction,
        mean=_number(row, "mean"),
        std=_number(row, "std"),
        count=_field(row, "count", int),
        undefined=_field(row, "undefined", int),
        summary=_checked(row.get("summary", ""), str, "summary"),
        source=_checked(row.get("source", ""), str, "source"),
        curve=_curve(_checked(row["curve"], dict, "curve")) if row.get("curve") else None,
    )


def _curve(curve: Mapping[str, Any]) -> Curve:
    x, y = _field(curve, "x", list), _field(curve, "y", list)
    if len(x) != len(y):
        raise _DamagedError(f"a curve of {len(x)} places has {len(y)} values")
    names = all(isinstance(place, str) for place in x)
    places = tuple(map(str, x)) if names else tuple(map(float, x))
    heights = tuple(float("nan") if value is None else float(value) for value in y)
    return Curve(places, heights, _field(curve, "x_label", str), _field(curve, "y_label", str))


def _method(name: str, facts: Any) -> Method:
    facts = _checked(facts, dict, f"what is said of {name!r}")
    return Method(
        summary=_field(facts, "summary", str),
        source=_field(facts, "source", str),
        score=None if facts.get("score") is None else _field(facts, "score", str),
        seconds_per_frame=_number(facts, "seconds_per_frame"),
        seconds_per_frame_single=_number(facts, "seconds_per_frame_single"),
    )


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """A finite number; None where there is none, or NaN."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _DamagedError(f"{name!r} is {value!r}")
    return float(value) if np.isfinite(value) else None


def _field(record: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    if name not in record:
        raise _DamagedError(f"it has no {name!r}")
    return _checked(record[name], kind, repr(name))


def _checked(value: Any, kind: type[Kind], name: str) -> Kind:
    if not isinstance(value, kind):
        raise _DamagedError(f"{name} is {value!r:.40} and should be of type {kind.__name__}")
    return value


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{str(path)!r} is damaged ({error}); {AGAIN}.")
