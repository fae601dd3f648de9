"""What each executor of grids costs: time per run of a grid of empty runs, and how busy its slots are with short ones.

    python benchmarks/grid.py [--executors local ray slurm] [--runs 100] [--slots 2] [--busy-seconds 0.5] [--out FILE]

An empty run is a program that writes the files of a finished one and ends; alone it takes what Python takes to start.
Slurm is submitit's stand-in on this machine, and Ray a cluster that begins here: neither has another machine's network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from saccade.bench.cells import cells_of
from saccade.bench.executors import Executor, Wanted
from saccade.bench.executors.local import local_executor
from saccade.bench.executors.on_ray import ray_executor
from saccade.bench.executors.on_slurm import slurm_executor
from saccade.bench.grids import Arm, Grid
from saccade.bench.running import planned, run_grid
from saccade.doctor.facts import environment_facts

EMPTY = """
import pathlib, sys, time
time.sleep(float(sys.argv[1]))
run = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
run.mkdir(parents=True)
(run / "result.json").write_text("{}")
"""
MAKE: dict[str, Callable[[Wanted], Executor]] = {
    "local": local_executor,
    "ray": ray_executor,
    "slurm": lambda wanted: slurm_executor(wanted, cluster="local"),
}
ALONE = 10  # empty programs that are timed without any grid


def main() -> None:
    options = parse_arguments()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY)
        alone = seconds_alone(script)
        rows = [measured(name, options, script, Path(folder), alone) for name in options.executors]
    table = Table("executor", "start s", "runs", "s", "ms a run and slot", "of it overhead", "slots busy")
    for row in rows:
        table.add_row(
            row["executor"],
            f"{row['start_seconds']:.2f}",
            str(row["runs"]),
            f"{row['seconds']:.2f}",
            f"{1000 * row['seconds_per_run']:.0f}",
            f"{1000 * row['overhead_per_run']:.0f}",
            f"{100 * row['utilisation']:.0f} %",
        )
    console.print(table)
    console.print(f"An empty program alone: {1000 * alone:.0f} ms.")
    if options.out is not None:
        found = {
            "settings": vars(options) | {"out": None},
            "machine": environment_facts(),
            "alone": alone,
            "rows": rows,
        }
        options.out.write_text(json.dumps(found, indent=1, default=str))


def seconds_alone(script: Path) -> float:
    """Of an empty program, the mean of some."""
    start = time.perf_counter()
    for number in range(ALONE):
        subprocess.run([sys.executable, script, "0", "--out", script.parent / f"alone-{number}"], check=True)
    return (time.perf_counter() - start) / ALONE


def measured(name: str, options: argparse.Namespace, script: Path, folder: Path, alone: float) -> dict[str, Any]:
    """One executor: a grid of empty runs, then one of runs that wait."""
    empty, start_seconds = grid_seconds(name, options, script, folder / f"{name}-empty", options.runs, 0.0)
    per_run = empty * options.slots / options.runs
    few = max(options.slots, options.runs // 10)
    busy, _ = grid_seconds(name, options, script, folder / f"{name}-busy", few, options.busy_seconds)
    return {
        "executor": name,
        "start_seconds": start_seconds,
        "runs": options.runs,
        "slots": options.slots,
        "seconds": empty,
        "seconds_per_run": per_run,
        "overhead_per_run": per_run - alone,
        "busy_runs": few,
        "utilisation": few * (options.busy_seconds + alone) / (busy * options.slots),
    }


def grid_seconds(
    name: str, options: argparse.Namespace, script: Path, folder: Path, runs: int, seconds: float
) -> tuple[float, float]:
    """How long a grid takes, and how long its executor took to be there."""
    grid = Grid("empty", "empty runs", (Arm("empty", "empty"),), ("none/none",), tuple(range(runs)))
    program = (sys.executable, str(script), str(seconds))
    begun = time.perf_counter()
    executor = MAKE[name](Wanted(folder, options.slots, threads=1))
    start_seconds = time.perf_counter() - begun
    with planned(grid, folder):
        finished = run_grid(grid, folder, executor, program=program)
    assert finished.done == len(cells_of(grid)), finished.failed
    return finished.seconds, start_seconds


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executors", nargs="+", choices=list(MAKE), default=list(MAKE))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--busy-seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
