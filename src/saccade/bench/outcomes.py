"""Results of a grid's runs: one row per number, read from the runs' folders, which are the only source of truth.

Rows that differ in rendering, size, data or version are never mixed: each records its own, and ``alike`` groups by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from saccade.bench.cells import ATTACKS, EVALUATIONS, EXPLANATION, SCORES, SCORES_OF_STATES, Cell, cells_of
from saccade.bench.grids import Evaluating, Grid
from saccade.bench.published import RETURN, TRAIN
from saccade.bench.results import backgrounds_of, setting_of
from saccade.data.documents import BadDocument, read_document
from saccade.policies.watched_maps import AREA_UNDER_ROC
from saccade.train.logs import EvaluationRow, read_rows
from saccade.types import UserError

SUCCESS = "success"
OF_FEWER = ("randomisation", "kept_return", "milliseconds_per_frame", "milliseconds_alone")
"""Metrics that never are of all frames that were asked for."""
OF_MEASURING = ("saccade",)
"""Versions in ``env.json`` that decide whether rows are comparable; those of simulators are in the rows."""


class Way(NamedTuple):
    """How a number was measured; numbers in one table must agree in this."""

    setting: str
    data: str
    version: str
    sampled: bool


@dataclass(frozen=True)
class Kind:
    """What must be the same for numbers to be averaged or compared."""

    setting: str
    data: str
    version: str
    env_steps: int
    count: int | None
    sampled: bool

    @property
    def way(self) -> Way:
        """The kind without training length and number of episodes, which may differ."""
        return Way(self.setting, self.data, self.version, self.sampled)


@dataclass(frozen=True)
class Outcome:
    """One number of one run.

    Attributes:
        arm, task, seed: the run.
        measure: ``return``, ``success``, or ``METRIC:METHOD`` of a saliency method, such as
            ``area_under_roc:gradient``.
        mode: the task's mode; ``train+fgsm:4`` under an attack with a budget of 4/255.
        value: the mean over the run's episodes or frames.
        env_steps: agent steps of the run when it was measured.
        setting: rendering, size, action repeat and the like (``results.setting_of``).
        data: the source of the mode's colours and videos; empty where it has none.
        version: versions that affect the number: of the package, and of the simulator where the row has it.
        count: how many episodes were played, or for how many frames a score was asked; where an old row does not say
            how many were asked for, how many there were.
        sampled: whether actions were sampled from the policy.
        run: the run's folder inside the grid's.
        better: for a saliency score, whether ``higher`` or ``lower`` is better; None if unknown.
        attack: the name and the budget (in steps of 1/255) of the attack during measurement; None without an attack.
        changed: the share of the pixels that the mode changes, where it was measured.
        frames: of a score, how many there were, those without a value included: fewer than were asked for where the
            episode ended sooner and no further ones were played, which parts no seeds.
    """

    arm: str
    task: str
    seed: int
    measure: str
    mode: str
    value: float
    env_steps: int
    setting: str = ""
    data: str = ""
    version: str = ""
    count: int | None = None
    sampled: bool = False
    run: str = ""
    better: str | None = None
    attack: tuple[str, float] | None = None
    changed: float | None = None
    frames: int | None = None

    @property
    def kind(self) -> Kind:
        """What must be the same for numbers to be averaged or compared."""
        return Kind(self.setting, self.data, self.version, self.env_steps, self.count, self.sampled)


class _Score(TypedDict):
    """The keys that are read from a row of saliency scores."""

    mode: str
    method: str
    metric: str
    mean: float | None


class _Asked(TypedDict):
    """What is read of an explanation."""

    settings: dict[str, Any]


class _Attack(TypedDict):
    """The keys that are read from a row of an attack."""

    attack: str
    epsilon: float
    return_mean: float


def outcomes_of(grid: Grid, folder: Path) -> list[Outcome]:
    """Return every number of a grid's runs in ``folder``, cell by cell; missing runs have none."""
    return [outcome for cell in cells_of(grid) for outcome in outcomes_of_cell(cell, folder, grid.evaluation)]


def outcomes_of_cell(cell: Cell, folder: Path, plan: Evaluating | None = None) -> Iterator[Outcome]:
    """Yield the numbers of one run. ``plan``: what its grid plays after training, which replaces the run's own."""
    run = folder / cell.name
    if not run.is_dir():
        return
    version = _version(run)
    rows = read_rows(run / EVALUATIONS, _Evaluation)
    last = max((row["env_steps"] for row in rows), default=0)
    played: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:  # what was played again replaces what was played before
        if row["env_steps"] == last:
            key = (row["mode"], row["episodes"], bool(row.get("sampled")), setting_of(row.get("provenance", {})))
            played[key] = row
    for row in _meant(list(played.values()), plan):
        yield from _of_episodes(cell, row, row["mode"], row["env_steps"], version)
    scores = list(_of_scores(cell, run, version, last))
    yield from scores
    scored = {(one.measure, one.mode) for one in scores}  # on states that all runs share, which take precedence
    yield from (one for one in _of_maps(cell, rows, version, last) if (one.measure, one.mode) not in scored)
    yield from _of_attacks(cell, run, version, last)


def alike(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str, str], dict[Kind, list[Outcome]]]:
    """Return numbers by (arm, task, measure, mode), and within each those that may be averaged, by ``kind``."""
    groups: dict[tuple[str, str, str, str], dict[Kind, list[Outcome]]] = {}
    for outcome in outcomes:
        key = (outcome.arm, outcome.task, outcome.measure, outcome.mode)
        groups.setdefault(key, {}).setdefault(outcome.kind, []).append(outcome)
    return groups


def _meant(rows: list[dict[str, Any]], plan: Evaluating | None) -> list[dict[str, Any]]:
    """Return the rows that the grid plays after training, where they exist; else the rows of most episodes."""
    if plan is not None:
        asked = (plan.episodes, plan.sampled)
        planned = [row for row in rows if (row["episodes"], bool(row.get("sampled"))) == asked]
        if planned:
            return planned
    most = max((row["episodes"] for row in rows), default=0)
    return [row for row in rows if row["episodes"] == most]


def _of_episodes(
    cell: Cell,
    row: Mapping[str, Any],
    mode: str,
    env_steps: int,
    version: str,
    attack: tuple[str, float] | None = None,
) -> Iterator[Outcome]:
    """Yield the return of a row of episodes, attacked or not, and the success where the task defines it."""
    provenance = row.get("provenance", {})
    common = Outcome(
        cell.arm.name,
        cell.task,
        cell.seed,
        RETURN,
        mode,
        row["return_mean"],
        env_steps,
        ", ".join(filter(None, (setting_of(provenance), "" if attack is None else _how(row)))),
        "; ".join(backgrounds_of([{"mode": mode, "provenance": provenance}])).partition(": ")[2],
        _with_simulator(version, provenance),
        row.get("episodes"),
        bool(row.get("sampled")),
        cell.name,
        attack=attack,
        changed=row.get("changed_pixels"),
    )
    yield common
    if row.get("success_rate") is not None:
        yield dataclasses.replace(common, measure=SUCCESS, value=row["success_rate"])


def _of_scores(cell: Cell, run: Path, version: str, env_steps: int) -> Iterator[Outcome]:
    rows: dict[tuple[str, str, str], tuple[dict[str, Any], int | None]] = {}
    for path in (run / SCORES, run / SCORES_OF_STATES):  # thousands of states stand for those of an episode
        asked_there = _asked_beside(path)
        for row in read_rows(path, _Score):
            said = row.get("frames", row.get("states", None if row["metric"] in OF_FEWER else asked_there))
            rows[row["metric"], row["method"], row["mode"]] = row, said
    for row, asked in rows.values():
        if row["mean"] is not None:
            frames = _looked_at(row)
            yield Outcome(
                cell.arm.name,
                cell.task,
                cell.seed,
                f"{row['metric']}:{row['method']}",
                row["mode"],
                row["mean"],
                env_steps,
                version=version,
                count=frames if asked is None else asked,
                run=cell.name,
                better=row.get("direction"),
                frames=frames,
            )


def _looked_at(row: Mapping[str, Any]) -> int | None:
    """How many frames a score is of, those included on which it has no value."""
    count = row.get("count")
    return None if count is None else count + row.get("undefined", 0)


def _asked_beside(path: Path) -> int | None:
    """For how many frames the explanation beside old rows was asked, which do not say it; None where nothing does."""
    try:
        asked = read_document(path.with_name(EXPLANATION), _Asked)["settings"].get("frames")
    except (OSError, UserError):
        return None
    return asked if isinstance(asked, int) else None


def _of_maps(cell: Cell, rows: Sequence[Mapping[str, Any]], version: str, env_steps: int) -> Iterator[Outcome]:
    """Yield how well the maps that an agent computes found the task in its last evaluation."""
    for row in rows:
        if row["env_steps"] == env_steps:
            for name, value in (row.get("maps") or {}).items():
                if value is not None:
                    measure = f"{AREA_UNDER_ROC}:{name}"
                    shown = setting_of(row.get("provenance", {}))
                    yield Outcome(
                        cell.arm.name, cell.task, cell.seed, measure, row["mode"], value, env_steps, shown,
                        version=version, run=cell.name, better="higher",
                    )  # fmt: skip


def _of_attacks(cell: Cell, run: Path, version: str, env_steps: int) -> Iterator[Outcome]:
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in read_rows(run / ATTACKS, _Attack):
        newest[row.get("mode", TRAIN), row["attack"], row["epsilon"], _how(row)] = row
    for (mode, attack, epsilon, _), row in newest.items():
        under = f"{mode}+{attack}:{epsilon:g}"
        yield from _of_episodes(cell, row, under, row.get("env_steps", env_steps), version, (attack, float(epsilon)))


def _how(row: Mapping[str, Any]) -> str:
    """Return the settings of an attack in which comparable numbers must agree."""
    parts = [f"{name} {row[name]}" for name in ("target", "part") if name in row]
    if "whole_pixels" in row:
        parts.append("whole pixels" if row["whole_pixels"] else "each colour of a pixel on its own")
    return ", ".join(parts)


class _Evaluation(EvaluationRow):
    """The keys that are read from a row of episodes."""

    task: str


def _version(run: Path) -> str:
    try:
        facts = read_document(run / "env.json", dict[str, Any])
    except (OSError, BadDocument, UserError):
        return ""
    versions = facts.get("versions")
    known = versions if isinstance(versions, Mapping) else {}
    return ", ".join(f"{name} {known[name]}" for name in OF_MEASURING if name in known)


def _with_simulator(version: str, provenance: Mapping[str, Any]) -> str:
    """Return the version, and the simulators' where the row has them: ``saccade 0.1.0, mujoco 3.8.1``."""
    parts = [
        f"{name} {provenance[name]}" for name in ("dm-control", "mujoco", "minigrid", "ale-py") if name in provenance
    ]
    return ", ".join(filter(None, (version, *parts)))
