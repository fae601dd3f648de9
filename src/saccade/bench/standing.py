"""How far each run of a grid is, judged by its files alone, so that another process can read it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from saccade.bench.cells import EVALUATIONS, METRICS, RESULT, TRAIN, Cell
from saccade.bench.work import is_done
from saccade.data.documents import BadDocument, Count, parse, read_document

MISSING, STARTED, DONE = "missing", "begun", "done"
LAST_BYTES = 2**16  # of a file of rows: the newest are enough
OF_EPISODES = "episode/return"


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Attributes:
        state: ``missing``, ``begun`` or ``done``: all of its steps.
        step: the first step that is not done; empty where all are.
        env_steps, steps: agent steps so far, and in total; None where they are unknown.
        seconds: training time so far.
        rate: agent steps per second in the newest part in which the run learned; None where it is unknown, as while an
            agent that will learn still acts at random, which is faster.
        measuring_seconds: time taken by the steps after training that are done.
        returned: the mean return of the newest evaluation in the first mode, else of the newest episodes.
    """

    state: str
    step: str = ""
    env_steps: int = 0
    steps: int | None = None
    seconds: float = 0.0
    returned: float | None = None
    rate: float | None = None
    measuring_seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated training time left, at the rate so far; 0 once training is over; None where it is unknown."""
        if self.step != TRAIN:
            return 0.0
        return None if self.rate is None or self.steps is None else max(0, self.steps - self.env_steps) / self.rate


class _Row(TypedDict, total=False):
    env_steps: Count
    seconds: float
    return_mean: float
    mode: str


def standing_of(cell: Cell, folder: Path) -> Standing:
    """Return how far a cell's run in ``folder`` is."""
    run = folder / cell.name
    step = next((step.name for step in cell.steps if not is_done(step, run)), "")
    rows = newest_rows(run / METRICS)
    played = newest_rows(run / EVALUATIONS)
    last = rows[-1] if rows else {}
    env_steps, seconds = int(last.get("env_steps", 0)), float(last.get("seconds", 0.0))
    begun = run.exists() and any(run.iterdir())
    state = DONE if not step else STARTED if begun else MISSING
    if (run / RESULT).exists():
        result = _document(run / RESULT)
        env_steps = int(result.get("env_steps", env_steps))
    measuring = sum(_seconds_of(run / step.mark) for step in cell.steps if step.mark is not None)
    returned = _returned(played, rows)
    return Standing(state, step, env_steps, _steps_of(run), seconds, returned, rate_of(rows), measuring)


def rate_of(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Agent steps per second from rows of ``metrics.jsonl``, in the part in which the run learned where rows say so."""
    known = [row for row in rows if "env_steps" in row and "seconds" in row]
    if not known:
        return None
    if any("updates" in row for row in known):
        known = [row for row in known if row.get("updates")]
        if not known:
            return None
        first, last = known[0], known[-1]
        if last["seconds"] > first["seconds"] and last["env_steps"] > first["env_steps"]:
            return float(last["env_steps"] - first["env_steps"]) / float(last["seconds"] - first["seconds"])
    env_steps, seconds = float(known[-1]["env_steps"]), float(known[-1]["seconds"])
    return env_steps / seconds if env_steps > 0 and seconds > 0 else None


def _seconds_of(mark: Path) -> float:
    seconds = _document(mark).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """Return the last rows of a file of JSON lines that fit in some thousand bytes; none where there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            whole = file.tell() <= LAST_BYTES
            file.seek(max(0, file.tell() - LAST_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    rows: list[dict[str, Any]] = []
    for line in lines[:-1] if whole else lines[1:-1]:  # the first may be cut, the last has no end yet
        try:
            parse(line, _Row)
            rows.append(parse(line, dict[str, Any]))
        except BadDocument:
            continue
    return rows


def _returned(played: list[dict[str, Any]], rows: list[dict[str, Any]]) -> float | None:
    if played and "return_mean" in played[-1]:
        newest = [row for row in played if row.get("env_steps") == played[-1].get("env_steps")]
        return float(newest[0]["return_mean"])
    episodes = [float(row[OF_EPISODES]) for row in rows if isinstance(row.get(OF_EPISODES), int | float)]
    return sum(episodes[-10:]) / len(episodes[-10:]) if episodes else None


def _steps_of(run: Path) -> int | None:
    training = _document(run / "config.json").get("training")
    steps = training.get("steps") if isinstance(training, dict) else None
    return steps if isinstance(steps, int) else None


def _document(path: Path) -> dict[str, Any]:
    try:
        return read_document(path, dict[str, Any])
    except (OSError, BadDocument):
        return {}
