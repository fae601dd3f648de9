"""A grid that a person describes in a file: TOML, or a ``Grid`` in a Python file that is run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from saccade.bench.catalogue import GRIDS
from saccade.bench.grids import Arm, Attacking, Evaluating, Grid, Scoring, Value
from saccade.data.documents import BadDocument, typed
from saccade.data.files import read_bounded
from saccade.data.user_code import module_from
from saccade.spelling import close_names
from saccade.types import UserError

MOST_BYTES = 2**20
Plain = bool | int | float | str | list[int | float | str]


@dataclass(frozen=True)
class _Arm:
    method: str
    name: str | None = None
    options: dict[str, Plain] = field(default_factory=dict)
    teacher: str | None = None
    teacher_seed: Literal["same", "first"] = "same"
    about: str = ""


@dataclass(frozen=True)
class _Evaluation:
    modes: list[str] = field(default_factory=list)
    episodes: int = 100
    sampled: bool = False
    options: dict[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class _Scores:
    methods: list[str] = field(default_factory=lambda: ["all"])
    modes: list[str] = field(default_factory=lambda: ["train"])
    options: dict[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class _Attacks:
    attacks: list[str]
    epsilons: list[float] = field(default_factory=lambda: list(Attacking(()).epsilons))
    episodes: int = 50
    options: dict[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """What stands in a file of TOML; ``arms`` are names of methods or tables of their own."""

    tasks: list[str]
    arms: list[str | _Arm]
    seeds: int | list[int] = 3
    name: str | None = None
    title: str = ""
    source: str = ""
    preset: str = "paper"
    options: dict[str, Plain] = field(default_factory=dict)
    evaluation: _Evaluation | None = None
    scores: _Scores | None = None
    attacks: _Attacks | None = None
    published: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    subject: str = ""


def grid_named(word: str) -> Grid:
    """The grid that a person names: one of the package's, ``FILE.toml``, or ``FILE.py:NAME``, whose file is run.

    Raises:
        UserError: there is none, or the file is no grid.
    """
    if word in GRIDS:
        return GRIDS[word]
    if word.endswith(".toml"):
        return grid_of_toml(Path(word))
    file, _, name = word.rpartition(":")
    if file.endswith(".py"):
        return _grid_of_python(Path(file), name)
    close = close_names(word, GRIDS)
    hint = f"did you mean {' or '.join(close)}?" if close else "`saccade bench list` shows all."
    raise UserError(f"There is no grid {word!r}, and it is no file FILE.toml or FILE.py:NAME: {hint}")


def grid_of_toml(path: Path) -> Grid:
    """The grid that a file of TOML describes. Raises UserError with what is wrong in it."""
    try:
        values = tomllib.loads(read_bounded(path, MOST_BYTES).decode())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}.") from error
    _refuse_unknown(path, values)
    try:
        file = typed(values, _File)
    except BadDocument as error:
        raise UserError(f"{path} is no description of a grid: {error}.") from error
    return _grid(file, path)


def _grid(file: _File, path: Path) -> Grid:
    seeds = tuple(range(file.seeds)) if isinstance(file.seeds, int) else tuple(file.seeds)
    return Grid(
        file.name or path.stem,
        file.title or file.name or path.stem,
        tuple(_arm(arm) for arm in file.arms),
        tuple(file.tasks),
        seeds,
        file.source or str(path),
        file.preset,
        _options(file.options),
        None if file.evaluation is None else _evaluating(file.evaluation),
        None if file.scores is None else _scoring(file.scores),
        None if file.attacks is None else _attacking(file.attacks),
        published=tuple(file.published),
        assumptions=tuple(file.assumptions),
        deviations=tuple(file.deviations),
        subject=file.subject,
    )


def _evaluating(plan: _Evaluation) -> Evaluating:
    return Evaluating(tuple(plan.modes), plan.episodes, plan.sampled, _options(plan.options))


def _scoring(plan: _Scores) -> Scoring:
    return Scoring(tuple(plan.methods), tuple(plan.modes), _options(plan.options))


def _attacking(plan: _Attacks) -> Attacking:
    return Attacking(tuple(plan.attacks), tuple(plan.epsilons), plan.episodes, _options(plan.options))


def _arm(arm: str | _Arm) -> Arm:
    if isinstance(arm, str):
        return Arm(arm, arm)
    return Arm(arm.name or arm.method, arm.method, _options(arm.options), arm.teacher, arm.teacher_seed, arm.about)


def _options(options: Mapping[str, Plain]) -> dict[str, Value]:
    return {
        name.replace("-", "_"): tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }


def _refuse_unknown(path: Path, values: Mapping[str, Any]) -> None:
    """Raise UserError for a key that no grid has, with the nearest that it has."""
    known: dict[str, type[Any]] = {"": _File, "evaluation": _Evaluation, "scores": _Scores, "attacks": _Attacks}
    parts = [("", values)]
    parts += [(key, values[key]) for key in known if key and isinstance(values.get(key), Mapping)]
    arms = values.get("arms")
    parts += [("arms", arm) for arm in (arms if isinstance(arms, list) else ()) if isinstance(arm, Mapping)]
    for key, part in parts:
        names = list((known | {"arms": _Arm})[key].__dataclass_fields__)
        for name in part:
            if name not in names:
                close = close_names(name, names) or names
                where = f" in [{key}]" if key else ""
                raise UserError(f"{path} has {name!r}{where}, which no grid has: it may be {' or '.join(close)}.")


def _grid_of_python(path: Path, name: str) -> Grid:
    if not path.is_file():
        raise UserError(f"There is no file {str(path)!r}.")
    found = vars(module_from(path))
    grids = [key for key, value in found.items() if isinstance(value, Grid)]
    if not isinstance(found.get(name), Grid):
        raise UserError(f"{path} has no grid {name!r}: it has {', '.join(grids) or 'none: make one with Grid(...)'}.")
    grid: Grid = found[name]
    return grid
