"""Grids of quick runs: every executor gives the same rows, what broke goes on, and what is stopped can be resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser

from saccade.bench import running, work
from saccade.bench.cells import Cell, cells_of
from saccade.bench.executors import Executor, Wanted
from saccade.bench.executors.local import LocalExecutor, local_executor, shares
from saccade.bench.executors.on_ray import ray_executor
from saccade.bench.executors.on_slurm import slurm_executor
from saccade.bench.grids import Arm, Evaluating, Grid
from saccade.bench.outcomes import outcomes_of
from saccade.bench.running import Finished, Moment, check_folder, planned, run_grid
from saccade.bench.standing import Standing, standing_of
from saccade.bench.work import Share
from saccade.types import UserError
from saccade.viewer.grid import page_of, write_page

PROGRAM = (sys.executable, str(Path(__file__).with_name("probe_program.py")))
TASK = "minigrid/Empty-5x5"
GRID = Grid(
    "probe",
    "quick runs",
    (Arm("steady", "steady"), Arm("breaks", "breaks"), Arm("student", "steady", {"hidden": 3}, teacher="breaks")),
    (TASK,),
    (0, 1),
    evaluation=Evaluating(("noise",), 2),
)
quiet = pytest.mark.filterwarnings("ignore")  # of other people's libraries


def run(grid: Grid, folder: Path, executor: Executor, **more: Any) -> Finished:
    check_folder(grid, folder)
    with planned(grid, folder):
        return run_grid(grid, folder, executor, program=PROGRAM, **more)


def locally(folder: Path, slots: int = 2) -> LocalExecutor:
    return LocalExecutor(Wanted(folder), [Share()] * slots)


def of(method: str, **changes: Any) -> Grid:
    return dataclasses.replace(GRID, arms=(Arm(method, method),), **changes)


def begun_at(folder: Path, cell: str) -> list[int]:
    return [json.loads(line)["at"] for line in (folder / cell / "begun.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three Ray nodes of one core each on this machine; none may be there to ask for a grid from."""
    ray_cluster = pytest.importorskip("ray.cluster_utils")
    found = ray_cluster.Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": False,
            "object_store_memory": 80_000_000,
            "_system_config": {
                "health_check_initial_delay_ms": 0,
                "health_check_period_ms": 300,
                "health_check_failure_threshold": 3,
            },
        },
    )
    for _ in range(2):
        found.add_node(num_cpus=1, object_store_memory=80_000_000)
    yield found
    found.shutdown()


def on_cluster(cluster: Any) -> Callable[[Path], Executor]:
    def make(folder: Path) -> Executor:
        return ray_executor(Wanted(folder, address=cluster.address, seconds_between_copies=0.2))

    return make


def by_slurm(folder: Path) -> Executor:
    return slurm_executor(Wanted(folder, slots=2, hours=0.1), cluster="local")


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    return [(row.arm, row.seed, row.mode, row.value, row.env_steps) for row in outcomes_of(GRID, folder)]


EXPECTED = [
    ("steady", 0, "train", 60.0, 6),
    ("steady", 0, "noise", -1.0, 6),
    ("breaks", 0, "train", 60.0, 6),
    ("breaks", 0, "noise", -1.0, 6),
    ("student", 0, "train", 60.0, 6),
    ("student", 0, "noise", -1.0, 6),
    ("steady", 1, "train", 61.0, 6),
    ("steady", 1, "noise", -1.0, 6),
    ("breaks", 1, "train", 61.0, 6),
    ("breaks", 1, "noise", -1.0, 6),
    ("student", 1, "train", 61.0, 6),
    ("student", 1, "noise", -1.0, 6),
]


@quiet
@pytest.mark.parametrize("name", ["local", "ray", "slurm"])
def test_executors_agree_row_by_row(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name == "slurm":
        pytest.importorskip("submitit")
    make = on_cluster(request.getfixturevalue("cluster")) if name == "ray" else locally if name == "local" else by_slurm
    finished = run(GRID, tmp_path, make(tmp_path))
    assert (finished.before, finished.done, finished.failed, finished.left) == (0, 6, {}, 0)
    assert rows_of(tmp_path) == EXPECTED
    assert begun_at(tmp_path, "minigrid-Empty-5x5/breaks/0")[0] == 0
    assert len(begun_at(tmp_path, "minigrid-Empty-5x5/breaks/0")) == 2, "what broke went on"
    again = run(GRID, tmp_path, locally(tmp_path))
    assert (again.before, again.done) == (6, 0), "the same grid started twice runs nothing twice"
    assert rows_of(tmp_path) == EXPECTED


@quiet
def test_a_node_that_dies_loses_minutes_alone(cluster: Any, tmp_path: Path) -> None:
    doomed = cluster.add_node(num_cpus=2, object_store_memory=80_000_000)
    grid = of("slow", seeds=(0, 1, 2, 3))
    killed: list[float] = []

    def watch(moment: Moment) -> None:
        there = {shown.place for shown in moment.cells if shown.place}
        if not killed and any(doomed.node_id[:6] in place for place in there):
            begun = [shown for shown in moment.cells if doomed.node_id[:6] in shown.place]
            if all(shown.standing.env_steps >= 1 for shown in begun):
                killed.append(time.monotonic())
                cluster.remove_node(doomed, allow_graceful=False)

    finished = run(grid, tmp_path, on_cluster(cluster)(tmp_path), show=watch)
    assert killed, "the node had work when it was killed"
    assert (finished.done, finished.failed) == (4, {})
    begun = [begun_at(tmp_path, cell.name) for cell in cells_of(grid)]
    assert any(len(at) > 1 and at[-1] > 0 for at in begun), "a run went on from what came home"
    assert all((tmp_path / cell.name / "result.json").exists() for cell in cells_of(grid))


def test_what_breaks_every_time_is_given_up_and_stops_nobody(tmp_path: Path) -> None:
    arms = (Arm("hopeless", "hopeless"), Arm("pupil", "steady", {"hidden": 3}, teacher="hopeless"))
    grid = dataclasses.replace(GRID, arms=(*arms, Arm("refused", "refused"), Arm("steady", "steady")), seeds=(0,))
    finished = run(grid, tmp_path, locally(tmp_path), retries=2)
    assert finished.done == 1
    told = {name.split("/")[1]: why for name, why in finished.failed.items()}
    assert told["hopeless"] == "train: ended by SIGKILL"
    assert told["refused"] == "train: this is refused"
    assert "teacher minigrid-Empty-5x5/hopeless/0 failed" in told["pupil"]
    assert begun_at(tmp_path, "minigrid-Empty-5x5/hopeless/0") == [0, 3, 4], "tried again from its checkpoint"
    assert not (tmp_path / "minigrid-Empty-5x5/refused/0").exists()
    assert json.loads((tmp_path / "failures.json").read_text()) == finished.failed


@quiet
@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_grid_that_is_stopped_saves_and_goes_on(name: str, tmp_path: Path) -> None:
    stop: list[bool] = []

    def watch(moment: Moment) -> None:
        if any(shown.standing.env_steps >= 1 for shown in moment.cells):
            stop.append(True)

    grid = of("slow", seeds=(0, 1, 2))
    executor = locally(tmp_path) if name == "local" else by_slurm(tmp_path)
    finished = run(grid, tmp_path, executor, show=watch, stopped=lambda: bool(stop))
    assert (finished.done, finished.left, finished.failed) == (0, 3, {})
    assert not any((tmp_path / cell.name / "result.json").exists() for cell in cells_of(grid))
    finished = run(grid, tmp_path, locally(tmp_path, 3))
    assert (finished.done, finished.left) == (3, 0)
    begun = begun_at(tmp_path, cells_of(grid)[0].name)
    assert begun[0] == 0 and len(begun) == 2 and begun[1] >= 1


def test_whoever_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_executors as tests
from pathlib import Path
folder = Path({str(tmp_path)!r})
tests.run(tests.of("slow"), folder, tests.locally(folder))
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    first = tmp_path / "minigrid-Empty-5x5/slow/0/checkpoint.json"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while running_with(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running_with(str(tmp_path)) == []
    finished = run(of("slow"), tmp_path, locally(tmp_path))
    assert finished.done == 2
    assert begun_at(tmp_path, "minigrid-Empty-5x5/slow/0")[1] >= 1


def running_with(word: str) -> list[int]:
    """Processes with a word in their command line, but this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_bytes().decode(errors="replace") and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_runs_that_were_made_with_other_settings_are_refused(tmp_path: Path) -> None:
    run(of("steady"), tmp_path, locally(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"other settings .*--steps 9"):
        check_folder(of("steady", options={"steps": 9}), tmp_path)
    with pytest.raises(UserError, match="--episodes 2, and now --episodes 3"):
        check_folder(of("steady", evaluation=Evaluating(("noise",), 3)), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    check_folder(of("steady", seeds=(0, 1, 2)), tmp_path)  # more seeds, or other arms, are another matter
    check_folder(of("slow"), tmp_path)


def test_a_run_that_no_grid_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / cells_of(GRID)[0].name).mkdir(parents=True)
    (tmp_path / cells_of(GRID)[0].name / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no grid"):
        check_folder(GRID, tmp_path)


@pytest.mark.parametrize("plan", ["{", "[]", "{}", '{"cells": {"probe": ["train"]}}'])
def test_a_plan_that_is_none_is_told(plan: str, tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(plan)
    with pytest.raises(UserError, match=r"grid\.json cannot be read .*give another --out"):
        check_folder(GRID, tmp_path)


def test_a_student_goes_on_where_its_teacher_lies_now(tmp_path: Path) -> None:
    arms = (Arm("teacher", "steady"), Arm("student", "breaks", {"hidden": 3}, teacher="teacher"))
    grid = dataclasses.replace(GRID, arms=arms, seeds=(0,))
    first = run(grid, tmp_path / "first", locally(tmp_path / "first"), retries=0)
    assert [name.split("/")[1] for name in first.failed] == ["student"]
    (tmp_path / "first").rename(tmp_path / "second")
    finished = run(grid, tmp_path / "second", locally(tmp_path / "second"), retries=0)
    assert (finished.before, finished.done, finished.failed) == (1, 1, {})
    begun = (tmp_path / "second" / cells_of(grid)[1].name / "begun.jsonl").read_text().splitlines()
    assert [json.loads(line)["at"] > 0 for line in begun] == [False, True], "it goes on, and does not begin again"


def test_two_grids_in_one_folder_are_refused(tmp_path: Path) -> None:
    with planned(GRID, tmp_path), pytest.raises(UserError, match="Another process"), planned(GRID, tmp_path):
        pass


def test_shares_of_a_machine() -> None:
    assert shares([0, 1, 2, 3], 2, None, None, 0) == [Share(2, (0, 2), None), Share(2, (1, 3), None)]
    assert [share.threads for share in shares([0], 2, None, None, 0)] == [1, 1]
    assert [share.gpus for share in shares([0], 4, 1, None, 2)] == [(0,), (0,), (1,), (1,)]
    assert [share.gpus for share in shares([0], 4, 1, 0.25, 1)] == [(0,)] * 4
    assert [share.gpus for share in shares([0], 2, 1, 2, 4)] == [(0, 1), (2, 3)]
    assert [share.gpus for share in shares([0], 2, 1, 0, 4)] == [(), ()]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((0, None, None), "--slots 0"),
        ((1, 0, None), "--threads 0"),
        ((1, None, -1), "--gpus -1"),
        ((1, None, 1.5), "neither a part"),
        ((3, None, 1), "more than the 2 of this machine"),
        ((9, None, 0.25), "at most 8 slots"),
    ],
)
def test_shares_that_there_are_none_of(asked: tuple[int, int | None, float | None], told: str) -> None:
    with pytest.raises(UserError, match=told):
        shares([0, 1], asked[0], asked[1], asked[2], 2)


@pytest.mark.parametrize(("library", "make"), [("ray", ray_executor), ("submitit", slurm_executor)])
@pytest.mark.parametrize(
    ("asked", "told"), [({"slots": 0}, "--slots 0"), ({"threads": 0}, "--threads 0"), ({"gpus": 1.5}, "neither a part")]
)
def test_shares_that_no_cluster_has(
    asked: dict[str, Any], told: str, library: str, make: Callable[..., Executor], tmp_path: Path
) -> None:
    pytest.importorskip(library)
    where = {"cluster": "local"} if library == "submitit" else {}
    with pytest.raises(UserError, match=told):
        make(Wanted(tmp_path, **asked), **where)


def test_a_ray_address_that_does_not_answer(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:  # a port that nobody listens on
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"No Ray cluster answers at {address}"):
            ray_executor(Wanted(tmp_path / "new", address=address))
    with pytest.raises(UserError, match="no HOST:PORT"):
        ray_executor(Wanted(tmp_path / "new", address="nonsense"))
    assert not (tmp_path / "new").exists()


@quiet
def test_more_gpus_than_a_cluster_has(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--gpus 1 for each run is more than the 0"):
        ray_executor(Wanted(tmp_path / "new", address=cluster.address, gpus=1))


@pytest.mark.parametrize(("library", "make"), [("ray", ray_executor), ("submitit", slurm_executor)])
def test_a_library_that_is_missing(
    library: str, make: Callable[[Wanted], Executor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r"pip install 'saccade-rl\[cluster\]'"):
        make(Wanted(tmp_path))


def test_slurm_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no Slurm"):
        slurm_executor(Wanted(tmp_path))


def test_only_runs_that_are_at_work_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    moments: list[Moment] = []

    def counted(cell: Cell, folder: Path) -> Standing:
        read.append(cell.name)
        return standing_of(cell, folder)

    monkeypatch.setattr(running, "standing_of", counted)
    monkeypatch.setattr(running, "SECONDS_BETWEEN_SHOWS", 0.0)
    run(of("steady"), tmp_path, locally(tmp_path, slots=1), show=moments.append)
    at_work = sum(moment.count(running.RUNNING) for moment in moments)
    assert at_work > 2
    # Of each of the two, once before it runs and once when it is done.
    assert len(read) <= at_work + 4 < 2 * len(moments)
    assert all(shown.standing.state == "done" and shown.standing.env_steps for shown in moments[-1].cells)


def test_the_page_of_a_moment_asks_to_be_read_again_until_all_is_done(tmp_path: Path) -> None:
    pages: list[str] = []
    run(GRID, tmp_path, locally(tmp_path), show=lambda moment: pages.append(page_of(moment)))
    assert 'http-equiv="refresh"' in pages[0] and "Nothing runs now" not in pages[0]
    assert 'http-equiv="refresh"' not in pages[-1] and "Nothing runs now" in pages[-1]
    assert all("default-src 'none'" in page and "<script" not in page for page in pages)
    assert f'<progress max="6" value="{6}"' in pages[-1]


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    run(GRID, tmp_path, locally(tmp_path), show=lambda moment: write_page(moment, tmp_path))
    with browser(tmp_path / "profile") as tab:
        for width, dark in ((1000, False), (380, True)):
            tab.open(tmp_path / "live.html", width=width, dark=dark)
            assert tab.value("document.querySelectorAll('tbody tr.done').length") == 6
            assert tab.value("document.querySelector('progress').value") == 6
            assert tab.value("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
            assert tab.value("getComputedStyle(document.querySelector('td.state')).textAlign") == "left"


def test_threads_and_cores_reach_the_process(tmp_path: Path) -> None:
    script = tmp_path / "tell.py"
    script.write_text(
        "import json, os, sys, pathlib\n"
        "run = pathlib.Path(sys.argv[sys.argv.index('--out') + 1]); run.mkdir(parents=True)\n"
        "told = [os.environ['OMP_NUM_THREADS'], os.environ.get('CUDA_VISIBLE_DEVICES')]\n"
        "told += [sorted(os.sched_getaffinity(0))]\n"
        "(run / 'result.json').write_text(json.dumps(told))\n"
    )
    core = min(os.sched_getaffinity(0))
    cell = cells_of(of("steady", evaluation=None, seeds=(0,)))[0]
    job = work.job_of(cell, tmp_path, (sys.executable, str(script)))
    assert job is not None
    ended = work.carry_out(job, tmp_path, Share(3, (core,), (1, 2)), threading.Event().is_set)
    assert ended.code == 0, ended.reason
    assert json.loads((tmp_path / cell.name / "result.json").read_text()) == ["3", "1,2", [core]]


def test_the_executor_of_this_machine_has_the_slots_that_are_asked_for(tmp_path: Path) -> None:
    assert local_executor(Wanted(tmp_path, slots=3)).slots == 3
    assert local_executor(Wanted(tmp_path)).slots == 1
