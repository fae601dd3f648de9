"""Who takes turns in ``benchmarks/updates.py``: methods ready to update, and how an update of theirs is timed."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from counting import OperationCount
from memory import BYTES_PER_MEGABYTE
from reference import ReferenceUpdate
from torch import Generator

from saccade.agents import METHODS
from saccade.agents import given as from_outside
from saccade.agents.agent import Agent, Sample, as_one_region, make_update, phases_due, sees_nothing, step
from saccade.agents.cuda_graphs import CUDAGraphs
from saccade.agents.methods.sgqn import SGQNNetworks
from saccade.agents.presets import preset
from saccade.agents.recorded_updates import WARM_UP, CapturedUpdate, Recorder
from saccade.data.banks.images import BANK_SIZE, ImageBank
from saccade.nets.precision import set_compute_dtype
from saccade.runs.torch_setup import compute_dtype
from saccade.types import Batch, Continuous, Spaces

TASK = "dmc/walker_walk"  # whose published settings are taken
FRAME_STACK, ACTION_DIM = 3, 6
BANK_COUNT = 256  # pictures to overlay; how many there are does not change the time
PERIOD = 2  # updates in a turn: every phase and every moving target has run once or twice by then
SEED = 0
PREPARE = "prepare"
BATCH_SIZES = ("batch_size", "soda_batch_size")
WHOLE = "whole"  # the one part of an update that is a graph
RESTATED, AUTHORS, GRAPHS = "sgqn", "(authors' passes)", "(graphs)"

Mark = Callable[[str], None]


class AgentUpdate:
    """An update of an agent of ours, one operation after the other."""

    turns_to_settle = 1

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.looks = {phase.name: phase.look for phase in agent.phases}
        self.totals: dict[str, Any] = {phase.name: phase.total for phase in agent.phases}

    def compile(self) -> None:
        self.looks = {name: as_one_region(look) for name, look in self.looks.items() if look is not sees_nothing}
        self.totals = {name: as_one_region(total) for name, total in self.totals.items()}

    def __call__(self, sample: Sample, generator: Generator, index: int, mark: Mark) -> None:
        batch = self.agent.prepare(sample(self.agent.batch_size), generator)
        mark(PREPARE)
        for phase, data in phases_due(self.agent, batch, sample, generator, index, self.looks):
            step(phase, data, index, self.totals[phase.name])
            mark(phase.name)


@dataclass(frozen=True)
class Given:
    """What a replay samples, known already."""

    known: Batch

    def batch(self) -> Batch:
        return self.known


class GraphUpdate:
    """An update of an agent of ours as CUDA graphs, as training on a GPU replays it; it has no parts."""

    turns_to_settle = WARM_UP + 1  # with the last one recorded

    def __init__(self, agent: Agent, recorder_of: Callable[[Generator], Recorder] = CUDAGraphs) -> None:
        self.agent, self.recorder_of = agent, recorder_of
        self.update = make_update(agent)
        self.captured: CapturedUpdate | None = None

    def compile(self) -> None:
        self.update, self.captured = make_update(self.agent, compile_losses=True), None

    def __call__(self, sample: Sample, generator: Generator, index: int, mark: Mark) -> None:
        if self.captured is None:
            recorder = self.recorder_of(generator)
            self.captured = CapturedUpdate(
                self.agent, self.update, lambda size: Given(sample(size)), generator, recorder
            )
        self.captured(index)
        mark(WHOLE)


class AuthorsUpdate:
    """The authors' update of SGQN, which nothing compiles."""

    turns_to_settle = 1

    def __init__(self, reference: ReferenceUpdate) -> None:
        self.reference = reference

    def compile(self) -> None:
        pass

    def __call__(self, sample: Sample, generator: Generator, index: int, mark: Mark) -> None:
        batch = self.reference.prepare(sample(self.reference.config.sac.batch_size), generator)
        mark(PREPARE)
        self.reference.update(batch, index, mark)


@dataclass(frozen=True)
class Turn:
    """What some updates of one method took, per update."""

    milliseconds: dict[str, float]  # of each part
    processor_seconds: float


@dataclass
class Contender:
    """One method, ready to update, and what was measured of it.

    ``method`` is one of the table of methods; after it may stand how it is updated, such as ``(graphs)``.
    """

    method: str
    update: AgentUpdate | GraphUpdate | AuthorsUpdate
    obs_size: int
    batch_size: int  # the largest that it samples
    generator: torch.Generator
    gigaflop: float = 0.0
    gigabytes: float = 0.0  # read and written
    peak_bytes: int = 0  # beyond the batch and the pictures; on a CPU not counted
    compile_seconds: float | None = None
    turns: list[Turn] = field(default_factory=list)

    def milliseconds(self) -> list[float]:
        return [sum(turn.milliseconds.values()) for turn in self.turns]

    def row(self, reference: Contender) -> dict[str, Any]:
        median = statistics.median(self.milliseconds())
        return {
            "method": self.method,
            "milliseconds": median,
            "best_milliseconds": min(self.milliseconds()),
            "updates_per_second": 1000 / median,
            "processor_seconds": statistics.median(turn.processor_seconds for turn in self.turns),
            "time_ratio": median / statistics.median(reference.milliseconds()),
            "gigaflop": self.gigaflop,
            "gigaflop_ratio": self.gigaflop / reference.gigaflop,
            "gigaflops": 1000 * self.gigaflop / median,
            "gigabytes": self.gigabytes,
            "peak_megabytes": self.peak_bytes / BYTES_PER_MEGABYTE or None,
            "compile_seconds": self.compile_seconds,
            "milliseconds_by_part": {
                part: statistics.median(turn.milliseconds[part] for turn in self.turns)
                for part in self.turns[0].milliseconds
            },
            "turn_milliseconds": self.milliseconds(),
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


def random_bank(device: torch.device) -> ImageBank:
    images = torch.randint(0, 256, (BANK_COUNT, 3, BANK_SIZE, BANK_SIZE), dtype=torch.uint8, device=device)
    return ImageBank(images, "random")


def build(name: str, options: argparse.Namespace, bank: ImageBank) -> Contender:
    """A method, updated as its name says, with the weights that the seed gives."""
    device, (method, _, way) = options.device, name.partition(" ")
    config = preset(method, TASK, options.preset).agent
    if options.batch_size is not None:
        config = scaled(config, options.batch_size / dict(batch_sizes(config))["batch_size"])
    size = METHODS[method].rendered_size(config)
    spaces = Spaces((FRAME_STACK * 3, size, size), Continuous(ACTION_DIM))
    before = allocated_bytes(device)
    torch.manual_seed(SEED)
    agent = METHODS[method].make(config, spaces, device, from_outside.Given(bank.sample))
    set_compute_dtype(agent.networks, compute_dtype(options.precision, device))
    generator = torch.Generator(device).manual_seed(SEED)
    own = [phase.own_batch.size for phase in agent.phases if phase.own_batch is not None]
    largest = max([agent.batch_size, *own])
    update: AgentUpdate | GraphUpdate | AuthorsUpdate
    if way == AUTHORS:
        assert isinstance(agent.networks, SGQNNetworks)
        pictures = bank.sample(largest, size, generator)
        update = AuthorsUpdate(ReferenceUpdate(config, spaces, agent.networks, pictures))
    else:
        update = GraphUpdate(agent) if way == GRAPHS else AgentUpdate(agent)
    del agent  # or the authors' update would be charged with its memory
    return Contender(name, update, size, largest, generator, peak_bytes=allocated_bytes(device) - before)


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
    count = max(contender.batch_size for contender in contenders)
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
    with OperationCount() as count:
        take_turn(contender, pixels, device)
    contender.gigaflop, contender.gigabytes = count.flop / PERIOD / 1e9, count.bytes / PERIOD / 1e9
    if compiled:
        began = time.perf_counter()
        contender.update.compile()
        take_turn(contender, pixels, device)
        contender.compile_seconds = time.perf_counter() - began
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(contender.update.turns_to_settle):
        take_turn(contender, pixels, device)
    if device.type == "cuda":
        contender.peak_bytes += torch.cuda.max_memory_allocated(device) - before


def allocated_bytes(device: torch.device) -> int:
    """What lies on the GPU; 0 on a CPU, where nobody counts."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def take_turn(contender: Contender, pixels: Batch, device: torch.device) -> Turn:
    """Time of each part of an update, over ``PERIOD`` updates."""
    watch, began = Stopwatch(device), time.process_time()

    def sample(count: int) -> Batch:
        return take(pixels, contender, count)

    for index in range(PERIOD):
        contender.update(sample, contender.generator, index, watch.mark)
    parts = {part: milliseconds / PERIOD for part, milliseconds in watch.milliseconds().items()}
    return Turn(parts, (time.process_time() - began) / PERIOD)


def take(pixels: Batch, contender: Contender, count: int) -> Batch:
    """The first transitions, seen as large as the method renders them."""
    size = contender.obs_size
    obs, next_obs = (value[:count, :, :size, :size] for value in (pixels.obs, pixels.next_obs))
    return Batch(obs, pixels.action[:count], pixels.reward[:count], pixels.discount[:count], next_obs)
