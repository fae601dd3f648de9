"""A grid while it runs, in a terminal and on its page: nothing is cut, and what matters most stands first."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from saccade.bench.cells import cells_of
from saccade.bench.grids import Arm, Grid
from saccade.bench.running import FAILED, RUNNING, SKIPPED, WAITING, Moment, Shown
from saccade.bench.standing import DONE, MISSING, STARTED, Standing
from saccade.cli.bench_live import Live, drawn, sentence
from saccade.viewer.grid import page_of, shared_name

METHODS = ("ppo", "sg_ppo_self_supervision", "oracle", "dqn")
TASKS = ("minigrid/red_fetch_green", "minigrid/DoorKey-5x5")
WHY = "there is not enough memory: " + "tried to allocate " * 20
WIDTHS = (60, 80, 140)


def a_moment(tasks: tuple[str, ...] = TASKS, seeds: int = 2, *, stopping: bool = False) -> Moment:
    """One run failed and one was skipped, three are done, two are at work, and the others wait."""
    grid = Grid("wide", "Long names", tuple(Arm(name, name) for name in METHODS), tasks, tuple(range(seeds)))
    states = [DONE, RUNNING, FAILED, DONE, SKIPPED, RUNNING, DONE]
    states += [WAITING] * (len(cells_of(grid)) - len(states))
    return Moment(
        grid,
        tuple(map(_shown, cells_of(grid), states, range(len(states)))),
        100.0,
        4000.0,
        2,
        stopping,
    )


def _shown(cell: object, state: str, number: int) -> Shown:
    began = state not in (WAITING, SKIPPED)
    how = DONE if state == DONE else STARTED if began else MISSING
    steps = {DONE: 1_048_576, RUNNING: 400_000 + number, FAILED: 5}.get(state, 0)
    standing = Standing(
        how, "" if state == DONE else "train", steps, 1_048_576 if began else None, 900.0,
        -number / 8 if began else None, 20.0,
    )  # fmt: skip
    doing = ("train", f"slot {number % 2}") if state == RUNNING else ("", "")
    told = {FAILED: WHY, SKIPPED: "its teacher failed"}.get(state, "")
    return Shown(cell, state, standing, *doing, told, int(state == RUNNING and number == 5))  # type: ignore[arg-type]


def lines_at(moment: Moment, width: int, height: int) -> list[str]:
    """What a terminal of that size shows."""
    console = Console(file=io.StringIO(), width=width, height=height, markup=False, highlight=False)
    console.print(drawn(moment, console))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_name_and_no_number_is_cut(width: int) -> None:
    moment = a_moment()
    lines = lines_at(moment, width, 50)
    out = "\n".join(lines)
    assert max(map(len, lines)) <= width
    shared = "" if width == 140 else shared_name(moment)
    assert (f"in {shared}" in lines) == bool(shared)
    if width > 60:  # where names go on in a line of their own
        rows = [line.split()[0] for line in lines]
        assert [one.cell.name for one in moment.cells if one.cell.name.removeprefix(shared) not in rows] == []
    steps = "400,001/1,048,576" if width == 140 else "38 %"
    for told in (steps, "train, try 2", "-0.625", "waiting", "done", "skipped", "left"):
        assert told in out, told
    assert "its teacher failed" in out and "there is not enough memory" in " ".join(out.split())


def test_what_is_at_work_stands_first_and_what_failed_says_why_in_two_lines() -> None:
    lines = lines_at(a_moment(), 100, 50)
    states = [line.split()[1].rstrip(",") for line in lines[3:] if line.startswith(("red_", "DoorKey"))]
    assert states[:4] == ["train", "train", "failed", "skipped"] and states[4:7] == ["done"] * 3
    why = next(place for place, line in enumerate(lines) if " failed: " in line)
    assert lines[why].startswith("minigrid-red_fetch_green/oracle/0 failed: there is") and "…" in lines[why + 1]
    assert " skipped: " in lines[why + 2]


@pytest.mark.parametrize("height", [14, 24, 40])
def test_a_terminal_that_is_too_low_says_how_many_more_there_are(height: int) -> None:
    moment = a_moment(seeds=9)
    lines = lines_at(moment, 80, height)
    assert len(lines) < height, "and where the cursor stands"
    shown = sum(line.startswith(("red_", "DoorKey")) for line in lines)
    (more,) = [line for line in lines if line.startswith("and ")]
    assert more.startswith(f"and {len(moment.cells) - shown} more: ") and more.endswith(" waiting")
    assert shown >= (3 if height < 24 else 10)


def test_a_terminal_is_drawn_in_and_left_as_it_was(tmp_path: Path) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, height=30, markup=False)
    with Live(screen, tmp_path) as live:
        live.show(a_moment())
        live.show(a_moment())
    out = screen.file.getvalue()  # type: ignore[attr-defined]
    assert out.count("DoorKey-5x5/sg_ppo_self_supervision/0") >= 2
    assert out.index("\x1b[?25l") < out.index("DoorKey") < out.rindex("\x1b[?25h"), "the cursor comes back"
    assert (tmp_path / "live.html").exists()


def test_who_stops_is_told_of_no_time_left() -> None:
    told = sentence(a_moment(stopping=True))
    assert told == "Stopping: 3 of 16 runs done, 2 running, 9 waiting, 1 failed, 1 skipped"


def test_what_names_share_is_their_task_or_a_part_of_it() -> None:
    assert shared_name(a_moment()) == "minigrid-"
    assert shared_name(a_moment(TASKS[:1])) == "minigrid-red_fetch_green/"
    assert shared_name(a_moment(("minigrid/DoorKey-5x5", "dmc/walker_walk"))) == ""


def test_the_page_says_why_a_run_failed_in_a_row_of_its_own() -> None:
    page = page_of(a_moment())
    assert page.count('<td class="why" colspan="6">') == 2 and "its teacher failed" in page
    assert page.index('<tr class="running">') < page.index('<tr class="failed">') < page.index('<tr class="done">')
    assert page.index('<tr class="done">') < page.index('<tr class="waiting">')
    assert "Names of runs begin with minigrid-" in page
