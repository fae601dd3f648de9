"""How long a grid may still take, and how often a log says so."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from saccade.bench.cells import Cell, cells_of
from saccade.bench.grids import Arm, Evaluating, Grid
from saccade.bench.running import RUNNING, WAITING, Moment, Shown, measuring_known, seconds_left
from saccade.bench.standing import DONE, MISSING, STARTED, Standing, rate_of, standing_of
from saccade.cli.bench_live import SECONDS_OF_SILENCE, Live, sentence

GRID = Grid("two", "Two methods", (Arm("a", "sac"), Arm("b", "sgqn")), ("dmc/walker_walk",), (0, 1),
            evaluation=Evaluating(("train",), 5))  # fmt: skip
CELLS = {cell.name.split("/", 1)[1]: cell for cell in cells_of(GRID)}


def shown(name: str, state: str, **standing: object) -> Shown:
    given = {"state": {RUNNING: STARTED, DONE: DONE, WAITING: MISSING}[state], "step": "train", "steps": 1000}
    return Shown(CELLS[name], state, Standing(**{**given, **standing}))  # type: ignore[arg-type]


def test_steps_at_random_say_nothing_of_how_fast_a_run_learns() -> None:
    # 1,000 random steps in 2 s, then 100 steps in 10 s.
    random = [{"env_steps": 1000, "updates": 0, "seconds": 2.0}]
    learning = [{"env_steps": 1000 + 50 * n, "updates": 50 * n, "seconds": 2.0 + 5 * n} for n in (1, 2, 3)]
    assert rate_of(random) is None
    assert rate_of([*random, *learning]) == 10.0
    assert rate_of([{"env_steps": 1000, "seconds": 10.0}]) == 100.0
    assert rate_of([]) is None


def test_what_is_left_is_of_each_method_with_the_steps_after_training() -> None:
    done = shown("a/0", DONE, step="", rate=10.0, measuring_seconds=60.0)
    running = shown("b/0", RUNNING, rate=5.0, env_steps=500)
    waiting = [shown("a/1", WAITING, steps=None), shown("b/1", WAITING, steps=None)]
    # b/0: 100 s and 60 s; a/1: 100 s and 60 s; b/1: 200 s and 60 s. One slot, then two.
    assert seconds_left([done, running, *waiting], 1) == 580
    assert seconds_left([done, running, *waiting], 2) == 290
    assert measuring_known([done, running])


def test_many_slots_do_not_end_a_run_sooner() -> None:
    assert seconds_left([shown("a/0", RUNNING, rate=1.0, env_steps=400), shown("b/0", DONE, step="")], 8) == 600


def test_a_run_that_is_being_measured_still_takes_the_rest_of_it() -> None:
    done = shown("a/0", DONE, step="", rate=10.0, measuring_seconds=60.0)
    assert seconds_left([done, shown("a/1", RUNNING, step="evaluate", rate=10.0, env_steps=1000)], 1) == 60


def test_nothing_is_said_before_a_run_learns_and_at_least_before_one_is_measured() -> None:
    assert seconds_left([shown("a/0", RUNNING)], 1) is None
    cells = (shown("a/0", RUNNING, rate=10.0), shown("b/0", WAITING, steps=None))
    told = sentence(Moment(GRID, cells, 5.0, seconds_left(cells, 1), 1, at_least=not measuring_known(cells)))
    assert told == "0 of 2 runs done, 1 running, 1 waiting, at least 3 min left"


def test_what_measuring_took_is_read_from_its_marks(tmp_path: Path) -> None:
    cell: Cell = CELLS["a/0"]
    run = tmp_path / cell.name
    (run / "steps").mkdir(parents=True)
    (run / "steps" / "evaluate.json").write_text(json.dumps({"seconds": 12.5}))
    assert standing_of(cell, tmp_path).measuring_seconds == 12.5


@pytest.fixture
def log() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=200)


def test_a_log_has_a_line_where_something_changed_or_now_and_then(log: Console, tmp_path: Path) -> None:
    now = [0.0]
    live = Live(log, tmp_path, lambda: now[0])
    quiet = (shown("a/0", RUNNING), shown("b/0", WAITING))
    changed = (shown("a/0", DONE, step=""), shown("b/0", RUNNING))
    lines = []
    for second in range(int(SECONDS_OF_SILENCE) * 3):
        now[0] = float(second)
        live.show(Moment(GRID, quiet if second < 400 else changed, second, None, 1))
        lines.append(log.file.getvalue().count("\n"))  # type: ignore[attr-defined]
    when = [second for second in range(1, len(lines)) if lines[second] > lines[second - 1]]
    assert when == [10, 310, 400, 700]
