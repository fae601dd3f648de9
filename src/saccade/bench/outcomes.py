"""What a grid's runs came to: one row per number, read from their folders, which are the truth.

Rows that were made with another rendering, size, data or version never mix: each says its own, and ``alike`` groups by
it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from saccade.bench.cells import ATTACKS, EVALUATIONS, METRICS, SCORES, SCORES_OF_STATES, Cell, cells_of
from saccade.bench.grids import Evaluating, Grid
from saccade.bench.published import RETURN, TRAIN
from saccade.bench.results import backgrounds_of, setting_of
from saccade.data.documents import BadDocument, Count, read_document
from saccade.train.logs import EvaluationRow, read_rows
from saccade.types import UserError

SUCCESS = "success"
OF_MEASURING = ("saccade",)
"""Of the versions in ``env.json``, those that decide whether rows may stand together; simulators' are in rows."""


@dataclass(frozen=True)
class Outcome:
    """One number of one run.

    Attributes:
        arm, task, seed: whose it is.
        measure: ``return``, ``success``, or ``METRIC:METHOD`` of a saliency method, such as
            ``area_under_roc:gradient``.
        mode: of the task; ``train+fgsm:4`` under an attack with a budget of 4 of 255.
        value: the mean over the run's episodes or frames.
        env_steps: agent steps of the run when it was measured.
        setting: rendering, size, action repeat and the like (``results.setting_of``).
        data: where colours and videos of the mode came from; empty where it has none.
        version: of what decides the numbers beside: the package, and the simulator where the row says it.
        spread: standard deviation over the run's episodes or frames.
        count: how many those were.
        sampled: whether actions were drawn.
        seconds: of training until then, where the run says so.
        run: the run's folder below the grid's.
        extra: what the row says beside, such as the returns of single episodes.
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
    spread: float | None = None
    count: int | None = None
    sampled: bool = False
    seconds: float | None = None
    run: str = ""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> tuple[str, str, str, int, int | None, bool]:
        """What must be the same of numbers that are averaged or compared."""
        return self.setting, self.data, self.version, self.env_steps, self.count, self.sampled


class _Score(TypedDict):
    """What is read of a row of saliency scores."""

    mode: str
    method: str
    metric: str
    mean: float | None


class _Attack(TypedDict):
    """What is read of a row of an attack."""

    attack: str
    epsilon: float
    return_mean: float


def outcomes_of(grid: Grid, folder: Path, *, every: bool = False) -> list[Outcome]:
    """Every number that the runs of a grid below ``folder`` have, cell by cell; none of runs that are not there.

    Args:
        every: also what was measured on the way, not at the last measured step alone: for learning curves.
    """
    return [
        outcome for cell in cells_of(grid) for outcome in outcomes_of_cell(cell, folder, grid.evaluation, every=every)
    ]


def outcomes_of_cell(
    cell: Cell, folder: Path, plan: Evaluating | None = None, *, every: bool = False
) -> Iterator[Outcome]:
    """The numbers of one run. ``plan``: what its grid plays after training, which then stands for the run's own."""
    run = folder / cell.name
    if not run.is_dir():
        return
    version = _version(run)
    rows = _evaluations(run)
    last = max((row["env_steps"] for row in rows), default=0)
    seconds = _seconds(run)
    played: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:  # what was played again stands for what was played before
        if every or row["env_steps"] == last:
            played[row["env_steps"], row["mode"], row["episodes"], bool(row.get("sampled"))] = row
    for row in played.values() if every else _meant(list(played.values()), plan):
        yield from _of_evaluation(cell, row, version, seconds)
    yield from _of_scores(cell, run, version, last)
    yield from _of_attacks(cell, run, version, last)


def alike(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str, str], dict[tuple[Any, ...], list[Outcome]]]:
    """Numbers of the same (arm, task, measure, mode), and among them those that may be averaged, by ``kind``."""
    groups: dict[tuple[str, str, str, str], dict[tuple[Any, ...], list[Outcome]]] = {}
    for outcome in outcomes:
        key = (outcome.arm, outcome.task, outcome.measure, outcome.mode)
        groups.setdefault(key, {}).setdefault(outcome.kind, []).append(outcome)
    return groups


def mixed(outcomes: Iterable[Outcome]) -> list[str]:
    """A sentence for each (arm, task, measure, mode) whose seeds were not measured alike: nothing is averaged there."""
    return [
        f"{' '.join(key)}: {len(kinds)} kinds of number, which are not averaged: "
        + "; ".join(", ".join(str(part) for part in kind if part not in ("", False)) for kind in kinds)
        for key, kinds in alike(outcomes).items()
        if len(kinds) > 1
    ]


def _meant(rows: list[dict[str, Any]], plan: Evaluating | None) -> list[dict[str, Any]]:
    """What the grid plays after training, where it is there; else the rows of most episodes."""
    if plan is not None:
        asked = (plan.episodes, plan.sampled)
        planned = [row for row in rows if (row["episodes"], bool(row.get("sampled"))) == asked]
        if planned:
            return planned
    most = max((row["episodes"] for row in rows), default=0)
    return [row for row in rows if row["episodes"] == most]


def _of_evaluation(
    cell: Cell, row: dict[str, Any], version: str, seconds: list[tuple[int, float]]
) -> Iterator[Outcome]:
    provenance = row.get("provenance", {})
    common = Outcome(
        cell.arm.name,
        cell.task,
        cell.seed,
        RETURN,
        row["mode"],
        row["return_mean"],
        row["env_steps"],
        setting_of(provenance),
        "; ".join(backgrounds_of([{**row, "provenance": provenance}])).partition(": ")[2],
        _with_simulator(version, provenance),
        row.get("return_std"),
        row["episodes"],
        bool(row.get("sampled")),
        next((told for steps, told in seconds if steps >= row["env_steps"]), None),
        cell.name,
        {"returns": row.get("returns", []), "changed_pixels": row.get("changed_pixels")},
    )
    yield common
    if row.get("success_rate") is not None:
        yield dataclasses.replace(common, measure=SUCCESS, value=row["success_rate"], spread=None, extra={})


def _of_scores(cell: Cell, run: Path, version: str, env_steps: int) -> Iterator[Outcome]:
    rows = {(row["metric"], row["method"], row["mode"]): row for row in read_rows(run / SCORES, _Score)}
    # What was scored on thousands of states stands for what was scored on an episode's.
    rows |= {(row["metric"], row["method"], row["mode"]): row for row in read_rows(run / SCORES_OF_STATES, _Score)}
    for row in rows.values():
        if row["mean"] is not None:
            yield Outcome(
                cell.arm.name,
                cell.task,
                cell.seed,
                f"{row['metric']}:{row['method']}",
                row["mode"],
                row["mean"],
                env_steps,
                version=version,
                spread=row.get("std"),
                count=row.get("count"),
                run=cell.name,
                extra={"direction": row.get("direction"), "undefined": row.get("undefined")},
            )


def _of_attacks(cell: Cell, run: Path, version: str, env_steps: int) -> Iterator[Outcome]:
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in read_rows(run / ATTACKS, _Attack):
        newest[row.get("mode", TRAIN), row["attack"], row["epsilon"]] = row
    for (mode, attack, epsilon), row in newest.items():
        provenance = row.get("provenance", {})
        common = Outcome(
            cell.arm.name,
            cell.task,
            cell.seed,
            RETURN,
            f"{mode}+{attack}:{epsilon:g}",
            row["return_mean"],
            row.get("env_steps", env_steps),
            ", ".join(filter(None, (setting_of(provenance), _how(row)))),
            version=version,
            spread=row.get("return_std"),
            count=row.get("episodes"),
            sampled=bool(row.get("sampled")),
            run=cell.name,
            extra={"attack": attack, "epsilon": epsilon, "returns": row.get("returns", [])},
        )
        yield common
        if row.get("success_rate") is not None:
            yield dataclasses.replace(common, measure=SUCCESS, value=row["success_rate"], spread=None)


def _how(row: Mapping[str, Any]) -> str:
    """What of an attack decides whether two numbers may stand together."""
    told = [f"{name.replace('_', ' ')} {row[name]}" for name in ("target", "part", "whole_pixels") if name in row]
    return ", ".join(told)


class _Evaluation(EvaluationRow):
    """What is read of a row that was played."""

    task: str


def _evaluations(run: Path) -> list[dict[str, Any]]:
    return read_rows(run / EVALUATIONS, _Evaluation)


class _Timed(TypedDict):
    env_steps: Count
    seconds: float


def _seconds(run: Path) -> list[tuple[int, float]]:
    """Agent steps and the seconds that training had taken by then, in order."""
    return sorted((row["env_steps"], row["seconds"]) for row in read_rows(run / METRICS, _Timed))


def _version(run: Path) -> str:
    try:
        facts = read_document(run / "env.json", dict[str, Any])
    except (OSError, BadDocument, UserError):
        return ""
    versions = facts.get("versions")
    known = versions if isinstance(versions, Mapping) else {}
    return ", ".join(f"{name} {known[name]}" for name in OF_MEASURING if name in known)


def _with_simulator(version: str, provenance: Mapping[str, Any]) -> str:
    """The version, and what the row says of simulators: ``saccade 0.1.0, mujoco 3.8.1``."""
    told = [
        f"{name} {provenance[name]}" for name in ("dm-control", "mujoco", "minigrid", "ale-py") if name in provenance
    ]
    return ", ".join(filter(None, (version, *told)))
