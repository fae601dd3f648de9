"""Read an explanation folder, with checks: what was explained, and the rows of scores. Its maps: ``recorded_maps``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from saccade.data.documents import Count, read_document, read_lines, typed
from saccade.types import UserError

EXPLANATION, SCORES, MAPS = "explanation.json", "scores.jsonl", "maps"
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


class DamagedError(Exception):
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
        raise damaged(path, error) from error
    for mode in written.modes:
        if mode in ("", "..") or Path(mode).name != mode or len(mode) > LONGEST_NAME:
            raise damaged(path, f"{mode!r:.40} is no mode")
    values = {field.name: getattr(written, field.name) for field in fields(written) if field.name != "identity"}
    values["changed_pixels"] = {mode: share for mode, share in written.changed_pixels.items() if share is not None}
    explanation = Explanation(folder, **values, scores=_read_scores(folder / SCORES, written.identity))
    if not explanation.scores and not explanation.modes_with_maps:
        raise UserError(f"{str(folder)!r} holds neither maps nor scores; {AGAIN}.")
    return explanation


def _read_scores(path: Path, identity: str | None) -> tuple[ScoreRow, ...]:
    """The rows of this explanation in their order; if a method was scored again, its newest row."""
    if not path.exists():
        return ()
    rows: dict[tuple[str, str, str], ScoreRow] = {}
    try:
        for line in read_lines(path, _WrittenRow):
            if line.problem is not None:
                raise DamagedError(f"line {line.number}: {line.problem}")
            written = typed(line.row, _WrittenRow)
            if identity is None or written.identity == identity:
                values = {field.name: getattr(written, field.name) for field in fields(ScoreRow)}
                curve = None if written.curve is None else _curve(written.curve, line.number)
                rows[written.mode, written.method, written.metric] = ScoreRow(**(values | {"curve": curve}))
    except (OSError, UserError, DamagedError) as error:
        raise damaged(path, error) from error
    return tuple(rows.values())


def _curve(curve: _WrittenCurve, line: int) -> Curve:
    if len(curve.x) != len(curve.y):
        raise DamagedError(f"line {line}: a curve of {len(curve.x)} places has {len(curve.y)} values")
    names = tuple(place for place in curve.x if isinstance(place, str))
    places = tuple(place for place in curve.x if not isinstance(place, str))
    if names and places:
        raise DamagedError(f"line {line}: a curve has numbers and names for places")
    heights = tuple(float("nan") if value is None else value for value in curve.y)
    return Curve(names or places, heights, curve.x_label, curve.y_label)


def damaged(path: Path, error: Exception | str) -> UserError:
    """The error that names a damaged file, and says what to do."""
    return UserError(f"{str(path)!r} is damaged ({error}); {AGAIN}.")
