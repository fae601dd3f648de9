"""How far each run of a grid is, by its files alone: whoever reads them need not be whoever runs them."""

from __future__ import annotations

import os
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
        step: the first that is not done; empty where all are.
        env_steps, steps: agent steps so far, and in all; None where nothing says.
        seconds: of training so far.
        returned: the mean return of its newest evaluation in the first mode, else of its newest episodes.
    """

    state: str
    step: str = ""
    env_steps: int = 0
    steps: int | None = None
    seconds: float = 0.0
    returned: float | None = None

    @property
    def rate(self) -> float | None:
        """Agent steps a second."""
        return self.env_steps / self.seconds if self.seconds > 0 and self.env_steps else None

    @property
    def seconds_left(self) -> float | None:
        """Of training, at the rate so far; 0 where it is over; None where nothing says."""
        if self.step != TRAIN:
            return 0.0
        return None if self.rate is None or self.steps is None else max(0, self.steps - self.env_steps) / self.rate


class _Row(TypedDict, total=False):
    env_steps: Count
    seconds: float
    return_mean: float
    mode: str


def standing_of(cell: Cell, folder: Path) -> Standing:
    """How far a cell's run below ``folder`` is."""
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
    return Standing(state, step, env_steps, _steps_of(run), seconds, _returned(played, rows))


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """The last rows of a file of JSON lines, as many as some thousand bytes hold; none where there is no file."""
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
