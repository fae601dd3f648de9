"""How long an update takes: every method side by side, phase by phase, with its arithmetic and memory.

    python benchmarks/updates.py [--methods sac sgqn ...] [--preset paper|small] [--device auto|cpu|cuda]
                                 [--compile on|off] [--batch-size 128] [--updates 20] [--threads 2] [--out FILE]

All methods live in one process and take turns, two updates at a time, on the same random uint8 pixels (those that
render less see a part of them), so that whatever else the machine does falls on all alike. An update is prepared and
stepped as in training, pictures for overlays included; sampling the replay is not in it (see benchmarks/replay.py).
On a GPU, times are taken by events in its own queue, and read when that has run empty. GFLOP are those of
convolutions and matrix products, counted as they are called, and do not depend on the machine. On a CPU that other
programs use too, give --threads 1: PyTorch's threads wait for each other actively, and times then say little.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from saccade.agents import METHODS
from saccade.agents.agent import Agent, Phase, step
from saccade.agents.presets import SIZES, preset
from saccade.data.images import BANK_SIZE, ImageBank
from saccade.machine.facts import processor_name
from saccade.policies.run import device_of
from saccade.types import Batch, Spaces, UserError

TASK = "dmc/walker_walk"  # whose published settings are taken
FRAME_STACK, ACTION_DIM = 3, 6
BANK_COUNT = 256  # pictures to overlay; how many there are does not change the time
PERIOD = 2  # updates in a turn: every phase and every moving target has run once or twice by then
SEED = 0
PREPARE = "prepare"
BATCH_SIZES = ("batch_size", "soda_batch_size")
BYTES_PER_MEGABYTE = 1e6
KIBIBYTES = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss


@dataclass
class Contender:
    """One method, ready to update, and what was measured of it."""

    method: str
    agent: Agent
    obs_size: int
    totals: Mapping[str, Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]]
    generator: torch.Generator
    gigaflop: float = 0.0
    peak_bytes: int = 0  # beyond the batch and the pictures; on a CPU not counted
    compile_seconds: float | None = None
    turns: list[dict[str, float]] = field(default_factory=list)  # milliseconds of each part, per update

    def milliseconds(self) -> list[float]:
        return [sum(parts.values()) for parts in self.turns]

    def row(self, reference: Contender) -> dict[str, Any]:
        median = statistics.median(self.milliseconds())
        return {
            "method": self.method,
            "milliseconds": median,
            "best_milliseconds": min(self.milliseconds()),
            "updates_per_second": 1000 / median,
            "time_ratio": median / statistics.median(reference.milliseconds()),
            "gigaflop": self.gigaflop,
            "gigaflop_ratio": self.gigaflop / reference.gigaflop,
            "peak_megabytes": self.peak_bytes / BYTES_PER_MEGABYTE or None,
            "compile_seconds": self.compile_seconds,
            "milliseconds_by_part": {
                part: statistics.median(parts[part] for parts in self.turns) for part in self.turns[0]
            },
        }


class Stopwatch:
    """Moments between pieces of work: on a GPU events in its queue, which cost no waiting."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._names: list[str] = []
        self._moments: list[Any] = []
        if self._cuda:
            torch.cuda.synchronize(device)
        self.mark("")

    def mark(self, name: str) -> None:
        """The work since the last mark is called ``name``."""
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._moments.append(event)
        else:
            self._moments.append(time.perf_counter())
        self._names.append(name)

    def milliseconds(self) -> dict[str, float]:
        """The sum over all pieces of work of a name, by name. Waits for the GPU."""
        if self._cuda:
            torch.cuda.synchronize()
        parts = dict.fromkeys(self._names[1:], 0.0)
        for name, before, after in zip(self._names[1:], self._moments, self._moments[1:], strict=False):
            parts[name] += before.elapsed_time(after) if self._cuda else 1000 * (after - before)
        return parts


class FlopCount(TorchDispatchMode):
    """Counts floating-point operations of convolutions and matrix products, by torch's own formulas."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def main() -> None:
    options = parse_arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device
    bank = torch.randint(0, 256, (BANK_COUNT, 3, BANK_SIZE, BANK_SIZE), dtype=torch.uint8, device=device)
    contenders = [build(method, options, ImageBank(bank, "random")) for method in options.methods]
    pixels = random_pixels(contenders, device)
    for contender in contenders:
        print(f"warming up {contender.method}", file=sys.stderr)
        warm_up(contender, pixels, device, compiled=options.compile == "on")
    for _ in range(options.updates // PERIOD):
        for contender in contenders:
            contender.turns.append(take_turn(contender, pixels, device))
    reference = next((each for each in contenders if each.method == "sac"), contenders[0])
    rows = [contender.row(reference) for contender in contenders]
    machine = describe_machine(device)
    show(rows, reference.method, options, machine)
    if options.out:
        settings = {name: value for name, value in vars(options).items() if name not in ("out", "device")}
        told = {"settings": settings, "machine": machine, "reference": reference.method, "methods": rows}
        options.out.write_text(json.dumps(told, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--preset", default="paper", choices=SIZES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", default="off", choices=("on", "off"))
    parser.add_argument("--batch-size", type=int, help="transitions; a batch of SODA's grows alike")
    parser.add_argument("--updates", type=int, default=20, help="of each method, behind the warm-up")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if options.updates < 1:
        parser.error("--updates must be at least 1")
    options.updates = -(-options.updates // PERIOD) * PERIOD
    try:
        options.device = device_of(options.device)
    except UserError as error:
        parser.error(str(error))
    return options


def build(method: str, options: argparse.Namespace, bank: ImageBank) -> Contender:
    device, config = options.device, preset(method, TASK, options.preset).agent
    if options.batch_size is not None:
        config = scaled(config, options.batch_size / dict(batch_sizes(config))["batch_size"])
    size = METHODS[method].rendered_size(config)
    before = allocated_bytes(device)
    torch.manual_seed(SEED)
    agent = METHODS[method].make(config, Spaces((FRAME_STACK * 3, size, size), ACTION_DIM), device, bank.sample)
    totals = {phase.name: phase.total for phase in agent.phases}
    generator = torch.Generator(device).manual_seed(SEED)
    return Contender(method, agent, size, totals, generator, peak_bytes=allocated_bytes(device) - before)


def batch_sizes(config: Any) -> Iterator[tuple[str, int]]:
    """Name and value of every batch size inside a method's configuration."""
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if entry.name in BATCH_SIZES:
            yield entry.name, value
        elif dataclasses.is_dataclass(value):
            yield from batch_sizes(value)


def scaled(config: Any, factor: float) -> Any:
    """The configuration with every batch size multiplied."""
    changes: dict[str, Any] = {}
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if entry.name in BATCH_SIZES:
            changes[entry.name] = round(value * factor)
        elif dataclasses.is_dataclass(value):
            changes[entry.name] = scaled(value, factor)
    return dataclasses.replace(config, **changes)


def random_pixels(contenders: list[Contender], device: torch.device) -> Batch:
    """As many transitions, of as large a picture, as any of the methods asks for."""
    size = max(contender.obs_size for contender in contenders)
    agents = [contender.agent for contender in contenders]
    own = [phase.own_batch.size for agent in agents for phase in agent.phases if phase.own_batch is not None]
    count = max([*own, *(agent.batch_size for agent in agents)])
    generator = torch.Generator().manual_seed(SEED)
    shape = (count, FRAME_STACK * 3, size, size)
    obs, next_obs = (torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8) for _ in range(2))
    action = torch.rand((count, ACTION_DIM), generator=generator) * 2 - 1
    reward = torch.rand(count, generator=generator)
    obs, action, reward, discount, next_obs = (
        value.to(device) for value in (obs, action, reward, torch.ones(count), next_obs)
    )
    return Batch(obs, action, reward, discount, next_obs)


def warm_up(contender: Contender, pixels: Batch, device: torch.device, *, compiled: bool) -> None:
    """Run a method until it is as fast as it gets; its arithmetic and memory are taken on the way."""
    before = allocated_bytes(device)
    with FlopCount() as count:
        take_turn(contender, pixels, device)
    contender.gigaflop = count.total / PERIOD / 1e9
    if compiled:
        began = time.perf_counter()
        contender.totals = {name: torch.compile(total, fullgraph=True) for name, total in contender.totals.items()}
        take_turn(contender, pixels, device)
        contender.compile_seconds = time.perf_counter() - began
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    take_turn(contender, pixels, device)
    if device.type == "cuda":
        contender.peak_bytes += torch.cuda.max_memory_allocated(device) - before


def allocated_bytes(device: torch.device) -> int:
    """What lies on the GPU; 0 on a CPU, where nobody counts."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def take_turn(contender: Contender, pixels: Batch, device: torch.device) -> dict[str, float]:
    """Milliseconds per update of each part of an update, over ``PERIOD`` updates."""
    watch = Stopwatch(device)
    for index in range(PERIOD):
        batch = contender.agent.prepare(take(pixels, contender, contender.agent.batch_size), contender.generator)
        watch.mark(PREPARE)
        for phase in contender.agent.phases:
            if index % phase.every == 0:
                step(phase, batch_of(phase, batch, contender, pixels), index, contender.totals[phase.name])
                watch.mark(phase.name)
    return {part: milliseconds / PERIOD for part, milliseconds in watch.milliseconds().items()}


def batch_of(phase: Phase, batch: Batch, contender: Contender, pixels: Batch) -> Batch:
    if phase.own_batch is None:
        return batch
    return phase.own_batch.prepare(take(pixels, contender, phase.own_batch.size), contender.generator)


def take(pixels: Batch, contender: Contender, count: int) -> Batch:
    """The first transitions, seen as large as the method renders them."""
    size = contender.obs_size
    obs, next_obs = (value[:count, :, :size, :size] for value in (pixels.obs, pixels.next_obs))
    return Batch(obs, pixels.action[:count], pixels.reward[:count], pixels.discount[:count], next_obs)


def describe_machine(device: torch.device) -> dict[str, Any]:
    return {
        "device": str(device),
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "process_peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTES / BYTES_PER_MEGABYTE,
    }


def show(rows: list[dict[str, Any]], reference: str, options: argparse.Namespace, machine: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"{machine['device']} ({machine['name']}), {machine['threads']} threads, torch {machine['torch']}, "
        f"preset {options.preset}, batch {options.batch_size or 'of the preset'}, compile {options.compile}, "
        f"{options.updates} updates each",
        highlight=False,
        soft_wrap=True,
    )
    columns = {
        "ms": [f"{row['milliseconds']:.1f}" for row in rows],
        "best": [f"{row['best_milliseconds']:.1f}" for row in rows],
        "updates/s": [f"{row['updates_per_second']:.2f}" for row in rows],
        f"time/{reference}": [f"{row['time_ratio']:.2f}" for row in rows],
        "GFLOP": [f"{row['gigaflop']:.2f}" for row in rows],
        f"GFLOP/{reference}": [f"{row['gigaflop_ratio']:.2f}" for row in rows],
    }
    if machine["device"] != "cpu":
        columns["peak MB"] = [f"{row['peak_megabytes']:.0f}" for row in rows]
    if options.compile == "on":
        columns["compile s"] = [f"{row['compile_seconds']:.0f}" for row in rows]
    print_columns(console, "An update: median and best milliseconds, arithmetic", rows, columns)
    parts = list(dict.fromkeys(part for row in rows for part in row["milliseconds_by_part"]))
    split = {
        part: [
            f"{row['milliseconds_by_part'][part]:.1f}" if part in row["milliseconds_by_part"] else "-" for row in rows
        ]
        for part in parts
    }
    print_columns(console, "Milliseconds by phase; one of every second update counts half", rows, split)
    if machine["device"] == "cpu":
        console.print(
            f"\nPeak memory of the whole process: {machine['process_peak_megabytes']:.0f} MB.", highlight=False
        )


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
