"""How long sampling a batch takes: replay by index, against a list of objects that share frames.

    python benchmarks/replay.py [--batch 128] [--capacity 20000] [--image-size 84] [--out FILE]
    python benchmarks/replay.py --measure-memory [--capacity 500000]

The reference keeps what the published code of the DMControl Generalization Benchmark keeps: for every
transition two Python objects, each with references to three single frames, concatenated one by one for
each batch. Both hold the same frames in one process, take turns, and are checked to give the same batch.

With ``--measure-memory`` nothing is timed: a buffer is filled until every frame it has room for was written, and what
the process has then come to hold in memory is compared with what the buffer announces. Linux only.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from saccade.data.replay import SEGMENT_FRAMES, ReplayBuffer, ring_frames
from saccade.types import Continuous

FRAME_STACK = 3
EPISODE_STEPS = 250  # of the benchmark with action repeat 4
ACTION_DIM = 6
WARM_UP = 5  # batches

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class StackedFrames:
    """An observation as three references; its pixels exist only once it is asked for them."""

    frames: tuple[Pixels, ...]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> Pixels:
        return np.concatenate(self.frames, axis=0)


class ObjectReplay:
    """A list of transitions whose stacks are concatenated one sample at a time."""

    def __init__(self, capacity: int) -> None:
        self.obs: list[tuple[StackedFrames, StackedFrames]] = []
        self.action = np.empty((capacity, ACTION_DIM), np.float32)
        self.reward = np.empty((capacity, 1), np.float32)
        self.discount = np.empty((capacity, 1), np.float32)

    def add(self, obs: StackedFrames, action: NDArray[np.float64], reward: float, next_obs: StackedFrames) -> None:
        row = len(self.obs)
        self.obs.append((obs, next_obs))
        self.action[row], self.reward[row], self.discount[row] = action, reward, 1.0

    def sample(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        obs, next_obs = [], []
        for row in rows:
            first, second = self.obs[row]
            obs.append(np.array(first))
            next_obs.append(np.array(second))
        arrays = (
            np.array(obs),
            self.action[rows],
            self.reward[rows],
            self.discount[rows],
            np.array(next_obs),
        )
        return tuple(torch.as_tensor(array) for array in arrays)


@dataclass(frozen=True)
class Timing:
    name: str
    wall_median: float  # milliseconds a batch
    wall_best: float
    cpu_mean: float


def fill(capacity: int, image_size: int, device: str) -> tuple[ReplayBuffer, ObjectReplay]:
    random = np.random.default_rng(0)
    shape = (3, image_size, image_size)
    ours, reference = ReplayBuffer(capacity, shape, Continuous(ACTION_DIM), device=device), ObjectReplay(capacity)
    for step in range(capacity):
        if step % EPISODE_STEPS == 0:
            first = random.integers(0, 256, shape, dtype=np.uint8)
            stack = StackedFrames((first,) * FRAME_STACK)
            ours.start_episode(0, first)
        action, frame = random.uniform(-1, 1, ACTION_DIM), random.integers(0, 256, shape, dtype=np.uint8)
        next_stack = StackedFrames((*stack.frames[1:], frame))
        ours.add(0, action, float(step), 1.0, frame)
        reference.add(stack, action, float(step), next_stack)
        stack = next_stack
    return ours, reference


def check_equal(ours: ReplayBuffer, reference: ObjectReplay, batch_size: int) -> None:
    batch = ours.sample(batch_size, torch.Generator().manual_seed(1))
    obs, action, _, _, next_obs = reference.sample(batch.reward.long().cpu().numpy())
    assert torch.equal(batch.obs.cpu(), obs) and torch.equal(batch.next_obs.cpu(), next_obs)
    assert torch.equal(batch.action.cpu(), action)


def measure(contenders: Mapping[str, Callable[[], object]], batches: int, synchronize: bool) -> list[Timing]:
    """Time them in turns, so that whatever else the machine does falls on all alike."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(WARM_UP + batches):
        for name, sample in contenders.items():
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            sample()
            if synchronize:
                torch.cuda.synchronize()
            wall[name].append(1e3 * (time.perf_counter() - wall_began))
            cpu[name].append(1e3 * (time.process_time() - cpu_began))
    return [
        Timing(
            name,
            statistics.median(wall[name][WARM_UP:]),
            min(wall[name][WARM_UP:]),
            statistics.fmean(cpu[name][WARM_UP:]),
        )
        for name in contenders
    ]


@dataclass(frozen=True)
class Memory:
    """Gigabytes (1e9 bytes) of a full buffer."""

    announced: float
    resident: float


def resident_bytes() -> int:
    """What of this process is in memory (VmRSS)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kilobytes) * 1024


def measure_memory(capacity: int, image_size: int) -> Memory:
    """Fill a buffer beyond its capacity, episode after episode, with frames that are all written in full."""
    shape = (3, image_size, image_size)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (EPISODE_STEPS, *shape), dtype=np.uint8)
    action = random.uniform(-1, 1, ACTION_DIM)
    before = resident_bytes()
    replay = ReplayBuffer(capacity, shape, Continuous(ACTION_DIM))
    num_frames = ring_frames(capacity, FRAME_STACK, 1, SEGMENT_FRAMES)
    for step in range(num_frames):
        if step % EPISODE_STEPS == 0:
            replay.start_episode(0, frames[0])
        replay.add(0, action, 0.0, 1.0, frames[step % EPISODE_STEPS])
    assert len(replay) == capacity
    resident = resident_bytes() - before
    return Memory(ReplayBuffer.bytes_needed(capacity, shape, Continuous(ACTION_DIM)) / 1e9, resident / 1e9)


def show(timings: list[Timing], title: str) -> None:
    table = Table(title=title)
    for heading in ("replay", "wall ms", "best wall ms", "CPU ms", "ratio"):
        table.add_column(heading, justify="left" if heading == "replay" else "right")
    slowest = timings[-1]
    for timing in timings:
        numbers = (timing.wall_median, timing.wall_best, timing.cpu_mean)
        ratio = slowest.wall_median / timing.wall_median
        table.add_row(timing.name, *(f"{number:.2f}" for number in numbers), f"{ratio:.1f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--capacity", type=int, help="transitions: 20,000, or 500,000 to measure memory")
    parser.add_argument("--image-size", type=int, default=84)
    parser.add_argument("--batches", type=int, default=100, help="how many to time")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--measure-memory", action="store_true", help="what a full buffer takes, in place of times")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    options.capacity = options.capacity or (500_000 if options.measure_memory else 20_000)
    torch.set_num_threads(options.threads)
    if options.measure_memory:
        memory = measure_memory(options.capacity, options.image_size)
        print(
            f"{options.capacity} transitions of {options.image_size}x{options.image_size} pixels:"
            f" {memory.resident:.2f} GB resident, {memory.announced:.2f} GB announced"
        )
        write(options, {"gigabytes": asdict(memory)})
        return
    ours, reference = fill(options.capacity, options.image_size, options.device)
    check_equal(ours, reference, options.batch)
    device = torch.device(options.device)
    generator = torch.Generator(device).manual_seed(0)
    random = np.random.default_rng(0)

    def sample_reference() -> list[Tensor]:
        batch = reference.sample(random.integers(options.capacity, size=options.batch))
        return [tensor.to(device) for tensor in batch]

    contenders = {
        "Saccade, by index": lambda: ours.sample(options.batch, generator),
        "list of shared frames": sample_reference,
    }
    timings = measure(contenders, options.batches, synchronize=device.type == "cuda")
    size, threads = options.image_size, options.threads
    show(
        timings,
        f"{options.batch} of {options.capacity} transitions, {size}x{size}, {device}, {threads} thread(s)",
    )
    write(options, {"milliseconds": [asdict(timing) for timing in timings]})


def write(options: argparse.Namespace, measured: Mapping[str, object]) -> None:
    """The numbers with what they depend on, as JSON, where that is wanted."""
    if options.out is not None:
        settings = {name: value for name, value in vars(options).items() if name != "out"}
        versions = {"torch": torch.__version__, "numpy": np.__version__, "machine": platform.processor()}
        options.out.write_text(json.dumps({**settings, **versions, **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
