"""What every method's update costs beside SAC's at the paper's size: time, arithmetic, memory, and what was published.

    python benchmarks/methods.py [--methods sac smg ...] [--batch-size 64] [--updates 4] [--threads 2]
                                 [--device auto|cpu|cuda] [--preset paper|small] [--out FILE]

Time: all methods in one process, in turns (see benchmarks/updates.py). Memory: on a CPU the largest resident size of a
process of its own that makes two updates, less what the same process holds before it makes the agent; on a GPU the most
that the device held. Every method has the same batch, so that costs compare; GFLOP are counted, not timed. "published"
is the arithmetic of the authors' code over SAC's, per transition. Ours may need less: passes are shared between terms,
and a doubling followed by a convolution takes 4/9 of the multiplications.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import contenders
import torch
import updates
from memory import BYTES_PER_MEGABYTE, answer_of, peak_resident_bytes
from rich.console import Console

from saccade.agents import METHODS
from saccade.agents.presets import SIZES
from saccade.runs.device import device_of

PUBLISHED = {
    "sac": 1.0, "rad": 1.0, "drq": 1.0, "srm": 1.0, "simgrl": 1.45, "svea": 1.49, "soda": 1.64, "curl": 1.64,
    "sgqn": 2.89, "madi": 4.37, "smg": 9.3,
}  # fmt: skip
"""GFLOP of an update of the authors' code over SAC's, per transition; odd and even updates averaged."""
REFERENCE = "sac"
BATCH_SIZE = 64


def main() -> None:
    options = parse_arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of, options)))
        return
    entrants = [contenders.build(method, options, contenders.random_bank(options.device)) for method in options.methods]
    pixels = contenders.random_pixels(entrants, options.device)
    for contender in entrants:
        print(f"warming up {contender.method}", file=sys.stderr)
        contenders.warm_up(contender, pixels, options.device, compiled=False)
    for _ in range(options.updates // contenders.PERIOD):
        for contender in entrants:
            contender.turns.append(contenders.take_turn(contender, pixels, options.device))
    reference = next((each for each in entrants if each.method == REFERENCE), entrants[0])
    rows = [contender.row(reference) for contender in entrants]
    if options.device.type == "cpu":
        for row in rows:
            print(f"memory of {row['method']}", file=sys.stderr)
            row["peak_megabytes"] = in_own_process(row["method"], options)
    least = next(row["peak_megabytes"] for row in rows if row["method"] == reference.method)
    for row in rows:
        row["memory_ratio"] = row["peak_megabytes"] / least if least else None  # too small a batch to be seen
        row["published_gigaflop_ratio"] = PUBLISHED.get(row["method"])
    machine = updates.describe_machine(options.device)
    show(rows, reference.method, options, machine)
    if options.out:
        settings = {name: value for name, value in vars(options).items() if name not in ("out", "device", "memory_of")}
        told = {"settings": settings, "machine": machine, "reference": reference.method, "methods": rows}
        options.out.write_text(json.dumps(told, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--updates", type=int, default=4, help="of each method, after the warm-up")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--device", type=device_of, default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of convolutions")
    parser.add_argument("--preset", default="paper", choices=SIZES)
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    parser.add_argument("--memory-of", choices=list(METHODS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.updates < 1 or options.batch_size < 1:
        parser.error("--updates and --batch-size must be at least 1")
    options.updates = -(-options.updates // contenders.PERIOD) * contenders.PERIOD
    return options


def memory_of(method: str, options: argparse.Namespace) -> float:
    """Megabytes that two updates of one method need at most, its agent included. In a process of its own."""
    bank = contenders.random_bank(options.device)
    before = peak_resident_bytes()
    contender = contenders.build(method, options, bank)
    contenders.take_turn(contender, contenders.random_pixels([contender], options.device), options.device)
    return (peak_resident_bytes() - before) / BYTES_PER_MEGABYTE


def in_own_process(method: str, options: argparse.Namespace) -> float:
    words = ["--memory-of", method, "--device", str(options.device), "--preset", options.preset]
    words += ["--batch-size", str(options.batch_size), "--threads", str(torch.get_num_threads())]
    words += ["--precision", options.precision]
    return answer_of(__file__, words)


def show(rows: list[dict[str, Any]], reference: str, options: argparse.Namespace, machine: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"{machine['device']} ({machine['name']}), {machine['threads']} threads, torch {machine['torch']}, "
        f"preset {options.preset}, batch {options.batch_size}, {options.updates} updates each",
        highlight=False,
        soft_wrap=True,
    )

    def ratio(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    columns = {
        "ms": [f"{row['milliseconds']:.0f}" for row in rows],
        f"time/{reference}": [f"{row['time_ratio']:.2f}" for row in rows],
        "GFLOP": [f"{row['gigaflop']:.1f}" for row in rows],
        f"GFLOP/{reference}": [f"{row['gigaflop_ratio']:.2f}" for row in rows],
        "published": [ratio(row["published_gigaflop_ratio"]) for row in rows],
        "peak MB": [f"{row['peak_megabytes']:.0f}" for row in rows],
        f"MB/{reference}": [ratio(row["memory_ratio"]) for row in rows],
    }
    updates.print_columns(console, "An update: median milliseconds, arithmetic, memory", rows, columns)


if __name__ == "__main__":
    main()
