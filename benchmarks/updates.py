"""How long an update takes: every method side by side, phase by phase, and the authors' own update of SGQN.

    python benchmarks/updates.py [--methods sac sgqn ...] [--no-reference] [--preset paper|small]
                                 [--device auto|cpu|cuda] [--precision auto|float32|bfloat16] [--compile on|off]
                                 [--no-graphs] [--batch-size 128] [--updates 20] [--threads 2] [--no-memory]
                                 [--out FILE]

All methods live in one process and take turns, two updates at a time, on the same random uint8 pixels (those that
render less see a part of them), so that whatever else the machine does falls on all alike. An update is prepared and
stepped as in training, pictures for overlays included; sampling the replay is not in it (see benchmarks/replay.py).
On a GPU, times are taken by events in its own queue, and read when that has run empty; ``(graphs)`` is the whole
update as CUDA graphs, as training replays it. On a CPU that other programs
use too, give --threads 1: PyTorch's threads wait for each other actively, and times then say little. "cpu s" is the
processor time of an update, which a busy machine changes less. A phase of every second update counts half.

``sgqn (authors' passes)`` is the update of SGQN's authors, restated with their passes (benchmarks/reference.py). It
begins with the same weights as ours and learns from the same pixels; "speed-up" is its median time over ours, "of
processor time" the same of "cpu s". Nothing compiles it, and it computes in float32 whatever --precision says of ours.

GFLOP are those of convolutions and matrix products, counted as they are called, and do not depend on the machine. "GB"
is what all operations of an update would read and write if nothing stayed in a cache from one to the next: every tensor
that goes into an operation or comes out of it, once; it is counted without compilation, which fuses operations. The
shares are of this machine's fastest matrix products and of its copies (benchmarks/ceilings.py), measured first. A share
of the copies above 100 % says that caches helped. Memory on a CPU is that of a process of its own, with two updates.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from ceilings import Ceilings, ceilings, highest, in_words
from contenders import (
    AUTHORS,
    GRAPHS,
    PERIOD,
    RESTATED,
    Contender,
    build,
    random_bank,
    random_pixels,
    take_turn,
    warm_up,
)
from memory import BYTES_PER_MEGABYTE, answer_of, peak_resident_bytes
from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS
from saccade.agents.presets import SIZES
from saccade.doctor.facts import processor_name
from saccade.runs.device import device_of
from saccade.runs.torch_setup import compute_dtype, prepare_torch
from saccade.runs.training import Training
from saccade.types import UserError


def main() -> None:
    options = parse_arguments()
    settings = Training(precision=options.precision, compile=options.compile, threads=options.threads)
    prepare_torch(settings, options.device)  # as training does; the authors' passes run under the same settings
    if options.memory_of:
        print(json.dumps(own_memory(options.memory_of, options)))
        return
    device = options.device
    say("measuring the machine's ceilings")
    found = ceilings(device)
    contenders = [build(name, options, random_bank(device)) for name in entrants(options)]
    pixels = random_pixels(contenders, device)
    for contender in contenders:
        say(f"warming up {contender.method}")
        warm_up(contender, pixels, device, compiled=options.compile == "on")
    for done in range(0, options.updates, PERIOD):
        for contender in contenders:
            say(f"{contender.method}: update {done + 1} of {options.updates}")
            contender.turns.append(take_turn(contender, pixels, device))
    rows = evaluated(contenders, found, compiled=options.compile == "on")
    if device.type == "cpu" and options.memory:
        for row in rows:
            say(f"memory of {row['method']}")
            row["peak_megabytes"] = memory_in_own_process(row["method"], options)
    precision = str(compute_dtype(options.precision, device)).removeprefix("torch.")
    machine = describe_machine(device) | {"ceilings": dataclasses.asdict(found), "precision": precision}
    show(rows, baseline(contenders).method, options, machine, found)
    if options.out:
        hidden = ("out", "device", "memory_of")
        settings = {name: value for name, value in vars(options).items() if name not in hidden}
        told = {"settings": settings, "machine": machine, "baseline": baseline(contenders).method, "methods": rows}
        options.out.write_text(json.dumps(told, indent=2) + "\n")


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument(
        "--reference",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the authors' SGQN too, where --methods has sgqn",
    )
    parser.add_argument(
        "--graphs", action=argparse.BooleanOptionalAction, default=True, help="on a GPU, each method as CUDA graphs too"
    )
    parser.add_argument("--preset", default="paper", choices=SIZES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of convolutions")
    parser.add_argument("--compile", default="off", choices=("on", "off"))
    parser.add_argument("--batch-size", type=int, help="transitions; a batch of SODA's grows alike")
    parser.add_argument("--updates", type=int, default=20, help="of each method, after the warm-up")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument(
        "--memory", action=argparse.BooleanOptionalAction, default=True, help="on a CPU, by a process for each method"
    )
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.updates < 1:
        parser.error("--updates must be at least 1")
    options.updates = -(-options.updates // PERIOD) * PERIOD
    try:
        options.device = device_of(options.device)
    except UserError as error:
        parser.error(str(error))
    return options


def entrants(options: argparse.Namespace) -> list[str]:
    """Who takes turns: the methods, on a GPU their graphs too, and after SGQN its authors' update."""
    names = []
    for method in options.methods:
        names.append(method)
        if options.graphs and options.device.type == "cuda":
            names.append(f"{method} {GRAPHS}")
        if options.reference and method == RESTATED:
            names.append(f"{method} {AUTHORS}")
    return names


def baseline(contenders: list[Contender]) -> Contender:
    """Whose time and arithmetic those of the others are compared with."""
    return next((each for each in contenders if each.method == "sac"), contenders[0])


def evaluated(contenders: list[Contender], found: Ceilings, *, compiled: bool) -> list[dict[str, Any]]:
    """The contenders' rows with what needs others: the authors' time, and the machine's ceilings."""
    rows = [contender.row(baseline(contenders)) for contender in contenders]
    authors = next((row for row in rows if row["method"] == f"{RESTATED} {AUTHORS}"), None)
    for row in rows:
        same = row["method"].partition(" ")[0] == RESTATED
        for name, key in (("speedup", "milliseconds"), ("processor_speedup", "processor_seconds")):
            row[f"{name}_over_reference"] = authors[key] / row[key] if authors and same else None
        row["matmul_share"] = row["gigaflops"] / highest(found)[1]
        touched = 1000 * row["gigabytes"] / row["milliseconds"]
        fused = compiled and row is not authors  # and touches less than was counted
        row["copy_share"] = None if fused else touched / found.copy_gigabytes
    return rows


def own_memory(name: str, options: argparse.Namespace) -> float:
    """Megabytes that two updates of one method need at most, its agent included. In a process of its own."""
    bank = random_bank(options.device)
    before = peak_resident_bytes()
    contender = build(name, options, bank)
    take_turn(contender, random_pixels([contender], options.device), options.device)
    return (peak_resident_bytes() - before) / BYTES_PER_MEGABYTE


def memory_in_own_process(name: str, options: argparse.Namespace) -> float:
    words = ["--memory-of", name, "--device", str(options.device), "--preset", options.preset]
    words += ["--threads", str(torch.get_num_threads()), "--precision", options.precision]
    words += [] if options.batch_size is None else ["--batch-size", str(options.batch_size)]
    return answer_of(__file__, words)


def describe_machine(device: torch.device) -> dict[str, Any]:
    return {
        "device": str(device),
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "process_peak_megabytes": peak_resident_bytes() / BYTES_PER_MEGABYTE,
    }


def show(
    rows: list[dict[str, Any]], base: str, options: argparse.Namespace, machine: dict[str, Any], found: Ceilings
) -> None:
    console = Console()
    console.print(
        f"{machine['device']} ({machine['name']}), {machine['threads']} threads, torch {machine['torch']}, "
        f"preset {options.preset}, batch {options.batch_size or 'of the preset'}, compile {options.compile}, "
        f"convolutions in {machine['precision']}, "
        f"{options.updates} updates each\n{in_words(found)}",
        highlight=False,
        soft_wrap=True,
    )
    print_columns(console, "An update, in milliseconds and processor seconds", rows, columns_of_time(rows))
    print_columns(console, f"Beside {base} and the authors'", rows, columns_of_ratios(rows, base))
    title = f"Shares of the ceilings (products in {highest(found)[0]}), memory"
    print_columns(console, title, rows, columns_of_shares(rows))
    parts = list(dict.fromkeys(part for row in rows for part in row["milliseconds_by_part"]))
    split = {part: [number(row["milliseconds_by_part"].get(part), 1) for row in rows] for part in parts}
    print_columns(console, "Milliseconds by phase, of every update", rows, split)


def columns_of_time(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    columns = {
        "ms": [number(row["milliseconds"], 1) for row in rows],
        "best": [number(row["best_milliseconds"], 1) for row in rows],
        "cpu s": [number(row["processor_seconds"], 3) for row in rows],
        "updates/s": [number(row["updates_per_second"], 2) for row in rows],
    }
    if any(row["compile_seconds"] for row in rows):
        columns["compile s"] = [number(row["compile_seconds"], 0) for row in rows]
    return columns


def columns_of_ratios(rows: list[dict[str, Any]], base: str) -> dict[str, list[str]]:
    columns = {
        f"time/{base}": [number(row["time_ratio"], 2) for row in rows],
        f"GFLOP/{base}": [number(row["gigaflop_ratio"], 2) for row in rows],
    }
    if any(row["speedup_over_reference"] for row in rows):
        columns["speed-up"] = [number(row["speedup_over_reference"], 2) for row in rows]
        columns["of processor time"] = [number(row["processor_speedup_over_reference"], 2) for row in rows]
    return columns


def columns_of_shares(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    columns = {
        "GFLOP": [number(row["gigaflop"], 2) for row in rows],
        "GFLOP/s": [number(row["gigaflops"], 0) for row in rows],
        "of products": [percent(row["matmul_share"]) for row in rows],
        "GB": [number(row["gigabytes"], 2) for row in rows],
        "of copies": [percent(row["copy_share"]) for row in rows],
    }
    if any(row["peak_megabytes"] for row in rows):
        columns["peak MB"] = [number(row["peak_megabytes"], 0) for row in rows]
    return columns


def number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def print_columns(console: Console, title: str, rows: list[dict[str, Any]], columns: dict[str, list[str]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("method", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row, *cells in zip(rows, *columns.values(), strict=True):
        table.add_row(row["method"], *cells)
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
