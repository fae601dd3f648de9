"""How long the interval of an interquartile mean takes, beside a loop that draws one repetition at a time.

    python benchmarks/intervals.py [--runs 10] [--tasks 6] [--repetitions 50000] [--naive-repetitions 2000] [--out FILE]

The loop makes fewer repetitions, and its time is told for as many. Both intervals are shown: they are estimates of the
same one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from saccade.bench import statistics
from saccade.doctor.facts import environment_facts


def main() -> None:
    options = parse_arguments()
    scores = np.random.default_rng(0).normal(size=(options.runs, options.tasks))
    statistics.estimate(scores, repetitions=10)
    begun = time.perf_counter()
    found = statistics.estimate(scores, repetitions=options.repetitions)
    vectorised = time.perf_counter() - begun
    begun = time.perf_counter()
    low, high = naive_interval(scores, options.naive_repetitions)
    loop = (time.perf_counter() - begun) * options.repetitions / options.naive_repetitions
    Console().print(
        f"{options.repetitions} repetitions for {options.runs} runs of {options.tasks} tasks: {vectorised:.3f} s "
        f"[{found.low:.3f}, {found.high:.3f}], the loop {loop:.2f} s [{low:.3f}, {high:.3f}]: {loop / vectorised:.0f} "
        "times as long.",
        highlight=False,
        markup=False,
    )
    if options.out is not None:
        row = {"runs": options.runs, "tasks": options.tasks, "repetitions": options.repetitions}
        seconds = {"vectorised": vectorised, "loop": loop, "ratio": loop / vectorised}
        options.out.write_text(json.dumps({**row, **seconds, "environment": environment_facts()}, indent=1))


def naive_interval(scores: np.ndarray, repetitions: int) -> tuple[float, float]:
    """The same interval as rliable draws it: a repetition at a time, a task at a time."""
    generator = np.random.default_rng(0)
    count, drawn = len(scores), []
    cut = scores.size // 4
    for _ in range(repetitions):
        columns = [column[generator.integers(count, size=count)] for column in scores.T]
        drawn.append(np.sort(np.concatenate(columns))[cut : scores.size - cut].mean())
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--repetitions", type=int, default=50_000)
    parser.add_argument("--naive-repetitions", type=int, default=2_000)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
