"""Read an explanation folder, with checks: what was explained, the maps of each mode, and the rows of scores."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from saccade.data.arrays import DAMAGED
from saccade.data.documents import Count, read_document, read_lines, typed
from saccade.data.files import refuse_endless
from saccade.data.memory import refuse_beyond
from saccade.types import UserError

EXPLANATION, SCORES, MAPS = "explanation.json", "scores.jsonl", "maps"
MAP_PREFIX, PICTURE_PREFIX = "map_", "picture_"  # of a method's maps and an agent's pictures in the file of a mode
COLOURS = 3  # of a picture
WHITE = 255
ROUNDING = 1e-5  # how far, as a fraction of the brightest value, rounding may leave the range
LONGEST_NAME = 100  # of a mode, which is part of a file's name
AGAIN = "make it again with `saccade explain` or `saccade score`"


@dataclass(frozen=True)
class Method:
    """A saliency method according to the folder; with seconds if they were measured."""

    summary: str
    source: str
    score: str | None = None  # what it explains; None for a map that the network computes itself
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
    """What a metric says about a method's maps in a mode, over ``count`` frames; None if it is undefined."""

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
class _WrittenCurve:
    """A curve as stored in its row; None where it is undefined."""

    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class _WrittenRow:
    """A row of ``scores.jsonl``, as stored."""

    mode: str
    method: str
    metric: str
    question: str
    count: Count
    undefined: Count
    direction: Literal["higher", "lower"] | None = None
    mean: float | None = None
    std: float | None = None
    summary: str = ""
    source: str = ""
    curve: _WrittenCurve | None = None
    identity: str | None = None


class _WrittenPolicy(TypedDict):
    """The policy, as stored."""

    name: str
    source: NotRequired[str]
    env_steps: NotRequired[Count | None]


@dataclass(frozen=True)
class _WrittenExplanation:
    """``explanation.json``, as stored."""

    policy: _WrittenPolicy
    task: str
    modes: tuple[str, ...]
    score: str
    methods: dict[str, Method]
    observations: str = ""
    score_summary: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    changed_pixels: dict[str, float | None] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    identity: str | None = None


@dataclass(frozen=True)
class Explanation:
    """What was explained and how.

    Attributes:
        policy: its ``name``, and if known ``source`` and ``env_steps``.
        score: name of the score that is explained; ``score_summary`` describes it, if available.
        observations: how they were understood, in words.
        left_out: methods that could not be right, and why.
        changed_pixels: by mode, the share of the pixels, 0..1, that it changes; without modes that change nothing
            by definition, and those that were not measured.
        pictures: names of the agent's own pictures; empty for most policies.
        command: the command that repeats it; may be empty.
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
        """Those of ``modes`` whose maps are in the folder."""
        return tuple(mode for mode in self.modes if maps_path(self.folder, mode).exists())


@dataclass(frozen=True)
class Maps:
    """The frames of one episode in one mode, with the methods' maps of each newest frame.

    Attributes:
        obs: uint8 ``[time, frames * colours, height, width]``.
        channels: kinds of the ``colours`` channels of a frame, such as ``rgb`` (three of them), ``grey``, ``depth``.
        saliency: by method, float32 ``[time, height, width]``; may be signed.
        pictures: the agent's own of the newest frame, by name: uint8 ``[time, 3, h, w]``, no larger than ``obs``.
        task_mask: bool ``[time, height, width]``, the pixels that matter for the task.
        clean_obs: the same states without the mode's distraction, shaped like ``obs``.
        length: agent steps of the whole episode, if known.
        total: its return, if known.
        action_names: of discrete actions, if known; the first is that of action ``first_action``.
        probabilities: of every action of a policy that samples, ``[time, actions]``; None for others.
        action_values: the same for a policy that compares values.
        value: the policy's values, ``[time]``, if it has any.
        screen: of people's games, what the person saw: uint8 ``[time, rows, columns, 3]``.
        looked_at: how many gaze samples fell on each of its pixels, ``[time, rows, columns]``.
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
    total: float | None = None
    first_action: int = 0
    action_names: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None
    action_values: NDArray[np.float32] | None = None
    value: NDArray[np.float64] | None = None
    screen: NDArray[np.uint8] | None = None
    looked_at: NDArray[np.int64] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is drawn: the person's screen, or else the observation."""
        drawn = self.obs[:, 0] if self.screen is None else self.screen[..., 0]
        return drawn.shape[1], drawn.shape[2]


class _DamagedError(Exception):
    """What is wrong inside a file; the caller adds the file's name."""


def maps_path(folder: Path, mode: str) -> Path:
    """Return the file of a mode's maps."""
    return folder / MAPS / f"{mode}.npz"


def read_explanation(folder: str | Path) -> Explanation:
    """Read the folder, without the maps themselves.

    Raises:
        UserError: there is no explanation, a file is damaged, or there are neither maps nor scores.
    """
    folder = Path(folder)
    path = folder / EXPLANATION
    if not path.is_file():
        raise UserError(f"{str(folder)!r} holds no explanation: {EXPLANATION} is missing; {AGAIN}.")
    try:
        written = read_document(path, _WrittenExplanation)
    except (OSError, UserError) as error:
        raise _damaged(path, error) from error
    for mode in written.modes:
        if mode in ("", "..") or Path(mode).name != mode or len(mode) > LONGEST_NAME:
            raise _damaged(path, f"{mode!r:.40} is no mode")
    told = {field.name: getattr(written, field.name) for field in fields(written) if field.name != "identity"}
    told["changed_pixels"] = {mode: share for mode, share in written.changed_pixels.items() if share is not None}
    explanation = Explanation(folder, **told, scores=_read_scores(folder / SCORES, written.identity))
    if not explanation.scores and not explanation.modes_with_maps:
        raise UserError(f"{str(folder)!r} holds neither maps nor scores; {AGAIN}.")
    return explanation


def read_maps(explanation: Explanation, mode: str) -> Maps:
    """Read the frames of a mode and every method's maps of them.

    Raises:
        UserError: the mode's file is missing or damaged.
    """
    path = maps_path(explanation.folder, mode)
    if not path.is_file():
        raise UserError(f"{str(explanation.folder)!r} holds no maps of {mode!r}: {path.name} is missing; {AGAIN}.")
    try:
        refuse_endless(path)
        # Checksums are verified first: NumPy can fail in any way on a corrupted header.
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
            refuse_beyond(declared, f"{path}", "it is damaged, or not meant for this machine", torch.device("cpu"))
            spoilt = archive.testzip()
        if spoilt is not None:
            raise _DamagedError(f"the checksum of {spoilt} is wrong")
        with np.load(path) as arrays:
            return _maps(arrays)
    except (*DAMAGED, _DamagedError) as error:
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
    screen, looked_at = _screen(arrays, count)
    step, action, reward = arrays["step"], arrays["action"], arrays["reward"]
    for name, values in (("step", step), ("action", action), ("reward", reward)):
        if len(values) != count:
            raise _DamagedError(f"{name} holds {len(values)} of {count} frames")
    names = (
        tuple(str(name) for name in np.atleast_1d(arrays["action_names"]).ravel()) if "action_names" in arrays else ()
    )
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
        total=float(arrays["total"]) if "total" in arrays and np.isfinite(arrays["total"]) else None,
        first_action=int(arrays["first_action"]) if "first_action" in arrays else 0,
        action_names=names,
        probabilities=_of_actions(arrays, "probabilities", count, len(names)),
        action_values=_of_actions(arrays, "action_values", count, len(names)),
        value=_expected(arrays, count),
        screen=screen,
        looked_at=looked_at,
    )


def _of_actions(arrays: Mapping[str, NDArray[Any]], name: str, count: int, names: int) -> NDArray[np.float32] | None:
    """A number for every moment and action, if there are any."""
    if name not in arrays:
        return None
    values = arrays[name].astype(np.float32)
    if values.ndim != 2 or len(values) != count or values.shape[1] == 0 or (names and values.shape[1] != names):
        raise _DamagedError(f"{name} has shape {list(values.shape)}, not {[count, names or 'actions']}")
    if not np.isfinite(values).all():
        raise _DamagedError(f"{name} holds NaN or infinity")
    return values


def _expected(arrays: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.float64] | None:
    """A number for every moment, if there are any."""
    if "value" not in arrays:
        return None
    value = arrays["value"]
    if value.shape != (count,) or value.dtype.kind != "f":
        raise _DamagedError(f"value is {value.dtype} of shape {list(value.shape)}, not numbers of shape {[count]}")
    return value.astype(np.float64)


def _screen(
    arrays: Mapping[str, NDArray[Any]], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | tuple[None, None]:
    """What a person saw, and where they looked; neither if no person played."""
    if "screen" not in arrays:
        return None, None
    screen, looked_at = arrays["screen"], arrays["looked_at"]
    fits = screen.ndim == 4 and len(screen) == count and screen.shape[3] == COLOURS and 0 not in screen.shape
    if not fits or screen.dtype != np.uint8:
        raise _DamagedError(f"screen is {screen.dtype} of shape {list(screen.shape)}")
    if looked_at.shape != screen.shape[:3] or looked_at.dtype.kind != "u":
        raise _DamagedError(f"looked_at is {looked_at.dtype} of shape {list(looked_at.shape)}")
    return screen, looked_at.astype(np.int64)


def _pixels(obs: NDArray[Any], high: float | None, name: str) -> NDArray[np.uint8]:
    """Convert observations in 0..high to 0..255; by default bytes are in 0..255 and floats in 0..1."""
    if obs.ndim != 4 or 0 in obs.shape:
        raise _DamagedError(f"{name} has shape {list(obs.shape)}, not [time, channel, height, width]")
    if obs.dtype.kind == "b":
        obs, high = obs.astype(np.uint8), high or 1.0
    brightest = high or (1.0 if obs.dtype.kind == "f" else WHITE)
    slack = ROUNDING * brightest if obs.dtype.kind == "f" else 0.0
    if obs.dtype.kind not in "uf" or not (obs.min() >= -slack and obs.max() <= brightest + slack):
        raise _DamagedError(f"{name} holds numbers that are not pixels in 0..{brightest:g}")
    if obs.dtype == np.uint8 and brightest == WHITE:
        return obs
    return np.rint(obs * (WHITE / brightest)).clip(0, WHITE).astype(np.uint8)


def _newest(per_frame: NDArray[Any], shape: list[int], name: str) -> NDArray[Any]:
    """``[time, frames, height, width]`` -> the last of the frames."""
    if per_frame.ndim != 4 or per_frame.shape[1] == 0 or [len(per_frame), *per_frame.shape[2:]] != shape:
        raise _DamagedError(f"{name} has shape {list(per_frame.shape)}, not {[shape[0], 'frames', *shape[1:]]}")
    return per_frame[:, -1]


def _channels(arrays: Mapping[str, NDArray[Any]], colours: int) -> tuple[str, ...]:
    """The kinds of a frame's channels; in files that do not say it, colours or grey. Empty if it is neither."""
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
    """The rows of this explanation in their order; if a method was scored again, its newest row."""
    if not path.exists():
        return ()
    rows: dict[tuple[str, str, str], ScoreRow] = {}
    try:
        for line in read_lines(path, _WrittenRow):
            if line.problem is not None:
                raise _DamagedError(f"line {line.number}: {line.problem}")
            written = typed(line.row, _WrittenRow)
            if identity is None or written.identity == identity:
                told = {field.name: getattr(written, field.name) for field in fields(ScoreRow)}
                curve = None if written.curve is None else _curve(written.curve, line.number)
                rows[written.mode, written.method, written.metric] = ScoreRow(**(told | {"curve": curve}))
    except (OSError, UserError, _DamagedError) as error:
        raise _damaged(path, error) from error
    return tuple(rows.values())


def _curve(curve: _WrittenCurve, line: int) -> Curve:
    if len(curve.x) != len(curve.y):
        raise _DamagedError(f"line {line}: a curve of {len(curve.x)} places has {len(curve.y)} values")
    names = tuple(place for place in curve.x if isinstance(place, str))
    places = tuple(place for place in curve.x if not isinstance(place, str))
    if names and places:
        raise _DamagedError(f"line {line}: a curve has numbers and names for places")
    heights = tuple(float("nan") if value is None else value for value in curve.y)
    return Curve(names or places, heights, curve.x_label, curve.y_label)


def _damaged(path: Path, error: Exception | str) -> UserError:
    return UserError(f"{str(path)!r} is damaged ({error}); {AGAIN}.")
