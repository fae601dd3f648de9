"""What a grid would cost on this machine: by how fast its runs were here, or by short measurements of each method."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.agents.methods_of import method_of
from saccade.bench.cells import METRICS, RESULT, RUN, TEACHER, TRAIN, Cell, cells_of, words_of
from saccade.bench.grids import Grid
from saccade.bench.standing import DONE, newest_rows, rate_of, standing_of
from saccade.bench.work import PROGRAM, SPOKEN
from saccade.data.documents import BadDocument, read_document
from saccade.data.folder import cache_dir
from saccade.train.logs import write_aside
from saccade.types import UserError

RATES, MEASURED = "rates.json", "measured here"
MEASURED_STEPS = {"off_policy": 256, "on_policy": 4096, "student": 2048}
"""By how a method learns; as many as any usual number of environments divides."""
RANDOM_STEPS = 64
SALIENCY_STATES = 8
"""Of the data that a student is held to: how many there are changes no speed, and each takes its teacher a while."""
NO_MATTER = frozenset(
    f"--{name}"
    for name in (
        "seed", "steps", "random-steps", "evaluate-every", "evaluation-episodes", "evaluation-modes",
        "evaluation-maps", "evaluation-sampled", "log-every", "checkpoint-every",
    )
)  # fmt: skip
"""Flags of ``saccade train`` with which a run learns as fast as with others, so that one measurement serves all."""


@dataclass(frozen=True)
class Cost:
    """What a part of a grid takes: ``runs`` of it are missing, and it makes ``rate`` agent steps a second.

    None where nobody measured. Evaluations, scores and attacks are not in it but where they were in the runs measured.
    """

    arm: str
    task: str
    runs: int
    steps: int | None
    rate: float | None
    source: str

    @property
    def seconds(self) -> float | None:
        """Of all runs that are missing, one after the other."""
        return None if self.rate is None or self.steps is None else self.runs * self.steps / self.rate


def costs_of(
    grid: Grid, folder: Path, steps_of: Callable[[Cell], int | None], rates: Mapping[str, float]
) -> list[Cost]:
    """What is missing of a grid below ``folder``, by arm and task.

    steps_of: agent steps of a cell's run. rates: ``measured`` ones, for what has not run here.
    """
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells_of(grid):
        found.setdefault((cell.arm.name, cell.task), []).append(cell)
    return [_cost(arm, task, cells, folder, steps_of, rates) for (arm, task), cells in found.items()]


def _cost(
    arm: str,
    task: str,
    cells: list[Cell],
    folder: Path,
    steps_of: Callable[[Cell], int | None],
    rates: Mapping[str, float],
) -> Cost:
    standings = [standing_of(cell, folder) for cell in cells]
    missing = sum(standing.state != DONE for standing in standings)
    seen = [standing.rate for standing in standings if standing.rate is not None]
    rate, source = rates.get(key_of(cells[0])), MEASURED
    if seen:
        rate, source = sum(seen) / len(seen), "its own runs"
    return Cost(arm, task, missing, steps_of(cells[0]), rate, source if rate is not None else "not measured")


def key_of(cell: Cell) -> str:
    """What decides how fast a run is: its words but for those that change no speed, and the machine's processor."""
    words: list[str] = []
    left_out = False
    for word in cell.steps[0].words:
        if word.startswith("--"):
            left_out = word in NO_MATTER
        if not left_out and word not in (RUN, "--out"):
            words.append(word)
    return " ".join([*words, f"[{os.cpu_count()} cores, {_processor()}]"])


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return sys.platform


def rates_path() -> Path:
    """The file of what was measured on this machine. Raises UserError where there is no place for it."""
    return cache_dir() / RATES


def known_rates() -> dict[str, float]:
    """What was measured on this machine before: agent steps a second, by ``key_of``."""
    try:
        return read_document(rates_path(), dict[str, float])
    except (OSError, BadDocument, UserError):
        return {}


def measured(grid: Grid, tell: Callable[[str], None]) -> dict[str, float]:
    """Train every arm on every task for some hundred steps, and keep how fast that was.

    Students learn from what their teacher is after its own measurement: whom they learn from changes no speed.

    tell: is given a sentence about each.
    """
    rates = known_rates()
    with tempfile.TemporaryDirectory() as scratch:
        runs: dict[str, Path] = {}
        for cell in _one_of_each(grid):
            teacher = None if cell.arm.teacher is None else runs.get(f"{cell.arm.teacher} on {cell.task}")
            run = Path(scratch) / str(len(runs))
            rate, why = _measure(cell, run, teacher)
            name = f"{cell.arm.name} on {cell.task}"
            runs[name] = run
            tell(f"{name}: " + (f"could not be measured: {why}" if rate is None else f"{rate:.1f} steps/s"))
            if rate is not None:
                rates[key_of(cell)] = rate
    path = rates_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, json.dumps(rates, indent=1))
    return rates


def _one_of_each(grid: Grid) -> list[Cell]:
    """A cell of every arm and task, teachers before students."""
    cells = {(cell.arm.name, cell.task): cell for cell in reversed(cells_of(grid))}
    return list(cells.values())[::-1]


def _measure(cell: Cell, run: Path, teacher: Path | None) -> tuple[float | None, str]:
    """Agent steps a second; None with what the program said where it made no run that learned."""
    method = method_of(cell.arm.method)
    brief: dict[str, Any] = {
        "steps": MEASURED_STEPS["student" if method.taught else method.loop],
        "evaluate_every": 0,
        "evaluation_episodes": 1,
        "evaluation_modes": ("train",),
        "log_every": 20,
        "checkpoint_every": 10**9,
    }
    if method.loop == "off_policy":
        brief["random_steps"] = RANDOM_STEPS
    if method.taught:
        brief["saliency_states"] = SALIENCY_STATES
    if cell.needs is not None and (teacher is None or not (teacher / RESULT).exists()):
        return None, f"its teacher {cell.arm.teacher} made no run."
    assert cell.steps[0].name == TRAIN
    folders = {RUN: str(run), TEACHER: str(teacher)}
    words = [folders.get(word, word) for word in cell.steps[0].words]
    ended = subprocess.run([*PROGRAM, *words, *words_of(brief)], capture_output=True, check=False, text=True)
    said = [
        line.removeprefix(SPOKEN)
        for line in ended.stderr.splitlines()
        if line.startswith(SPOKEN) and "warning:" not in line
    ]
    return rate_of(newest_rows(run / METRICS)), (said or ["it has too few updates to say."])[-1]
