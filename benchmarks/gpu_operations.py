"""How long the single operations of an update at the papers' size take on a GPU: what mending one of them could give.

    python benchmarks/gpu_operations.py [--only WORDS] [--batch-size 128] [--repeats 20] [--matrix-side 4096]
                                        [--copied-megabytes 256] [--device auto|cpu|cuda] [--out FILE]

On a GPU an operation is recorded some times in a CUDA graph, as updates are: what is timed has no gaps of a processor
that launches too slowly. The median of five replays counts. Repeats read the same operands, which a GPU's second-level
cache may hold, as it may in an update. On a CPU they are called one after the other, which shows that they can be, and
little else. An operation that cannot be done says why, and the rest go on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saccade.runs.device import device_of

TIMES = 5  # of which the median counts
WARM_UP = 3
ENCODED = 14112  # features that the projection reads, of 21 pixels and 32 channels
PASSES = {"dgrad": (True, False, False), "wgrad": (False, True, False)}  # which gradients of a convolution are made
NONE = [0, 0]


@dataclass(frozen=True)
class Operation:
    """One thing to time. ``flop`` and ``bytes``: of one call, where a rate says something."""

    name: str
    work: Callable[[], object]
    flop: int = 0
    bytes: int = 0
    tf32: bool = False


def main() -> None:
    options = parse_arguments()
    device, rows = options.device, []
    torch.backends.cudnn.benchmark = True
    for operation in operations(options, device):
        if options.only not in operation.name:
            continue
        row: dict[str, Any] = {"name": operation.name}
        try:
            with with_tf32(operation.tf32):
                row["microseconds"] = 1e6 * seconds_of(operation.work, options.repeats, device)
        except RuntimeError as error:
            row["error"] = str(error).splitlines()[0]
        else:
            row |= rates(operation, row["microseconds"])
        rows.append(row)
        print(in_words(row), flush=True)
    if options.out:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        told = {"device": name, "torch": torch.__version__, "operations": rows}
        options.out.write_text(json.dumps(told, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=20, help="of an operation in one graph")
    parser.add_argument("--matrix-side", type=int, default=4096)
    parser.add_argument("--copied-megabytes", type=int, default=256)
    parser.add_argument("--device", type=device_of, default="auto")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    return parser.parse_args()


def operations(options: argparse.Namespace, device: torch.device) -> Iterator[Operation]:
    """All of them; operands are made when their operation is due and given up after it."""
    batch = options.batch_size
    for side in (41, 21):  # of the encoder's first and last pictures
        for size in (batch, 2 * batch):
            yield from convolution(f"convolution 32 to 32, {side} pixels", (size, 32, side), 32, device)
    for channels in (9, 16):
        yield from convolution(f"first convolution {channels} to 32", (batch, channels, 84), 32, device, stride=2)
        yield from doubling(f"last doubling 64 to {channels}", (batch, 64, 42), channels, device)
    yield from doubling("first doubling 128 to 64", (batch, 128, 21), 64, device)
    for features in ((ENCODED, 100), (106, 1024), (1024, 1024), (1024, 1)):
        yield from linear(batch, *features, device)
    yield from selections(batch, device)
    yield from conversions(batch, device)
    yield from whole_device(options, device)
    yield from optimizer(device)


def channels_last(*shape: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)


def convolution(
    name: str, shape: tuple[int, int, int], out: int, device: torch.device, stride: int = 1
) -> Iterator[Operation]:
    """A 3x3 convolution forward and both ways back; backward to its input is also the way of a guided gradient."""
    batch, channels, side = shape
    for kind, dtype, tf32 in (
        ("bfloat16", torch.bfloat16, False),
        ("tf32", torch.float32, True),
        ("float32", torch.float32, False),
    ):
        if kind != "bfloat16" and batch > 128:
            continue
        pixels = channels_last(batch, channels, side, side, device=device, dtype=dtype)
        weights = channels_last(out, channels, 3, 3, device=device, dtype=dtype)
        result = F.conv2d(pixels, weights, stride=stride)
        flop = 2 * result.numel() * channels * 9
        label = f"{name}, batch {batch}, {kind}"
        yield Operation(f"{label}, forward", lambda p=pixels, w=weights: F.conv2d(p, w, stride=stride), flop, tf32=tf32)
        for way, mask in PASSES.items():
            arguments = (torch.randn_like(result), pixels, weights, None, [stride] * 2, NONE, [1, 1], False, NONE, 1)
            work = backward(arguments, mask)
            yield Operation(f"{label}, {way}", work, flop, tf32=tf32)


def doubling(name: str, shape: tuple[int, int, int], out: int, device: torch.device) -> Iterator[Operation]:
    """A transposed convolution of a decoder, in bfloat16."""
    batch, channels, side = shape
    pixels = channels_last(batch, channels, side, side, device=device, dtype=torch.bfloat16)
    weights = channels_last(channels, out, 4, 4, device=device, dtype=torch.bfloat16)
    result = F.conv_transpose2d(pixels, weights, stride=2, padding=1)
    flop = 2 * result.numel() * channels * 4  # of 16 weights a pixel meets 4
    yield Operation(f"{name}, forward", lambda: F.conv_transpose2d(pixels, weights, stride=2, padding=1), flop)
    gradient = torch.randn_like(result).contiguous(memory_format=torch.channels_last)
    for way, mask in PASSES.items():
        arguments = (gradient, pixels, weights, None, [2, 2], [1, 1], [1, 1], True, NONE, 1)
        yield Operation(f"{name}, {way}", backward(arguments, mask), flop)


def backward(arguments: tuple[Any, ...], mask: tuple[bool, bool, bool]) -> Callable[[], object]:
    return lambda: torch.ops.aten.convolution_backward(*arguments, mask)


def linear(batch: int, inputs: int, outputs: int, device: torch.device) -> Iterator[Operation]:
    """A layer of the projection or of a head."""
    flop = 2 * batch * inputs * outputs
    for kind, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        features, weights, gradient = (
            torch.randn(shape, device=device, dtype=dtype)
            for shape in ((batch, inputs), (outputs, inputs), (batch, outputs))
        )
        ways: dict[str, Callable[[], object]] = {
            "forward": lambda f=features, w=weights: F.linear(f, w),
            "to the weights": lambda f=features, g=gradient: g.t() @ f,
            "to the input": lambda w=weights, g=gradient: g @ w,
        }
        for way, work in ways.items():
            yield Operation(f"linear {inputs} to {outputs}, {kind}, {way}", work, flop, tf32=tf32)


def selections(batch: int, device: torch.device) -> Iterator[Operation]:
    """Ways to the 5 % largest attributions of each frame."""
    maps = torch.rand(batch, 3, 84 * 84, device=device)
    kept = round(0.05 * maps.shape[-1])
    yield Operation(f"sort of {batch} x 3 maps", lambda: maps.sort(-1))
    yield Operation(f"topk {kept} of {batch} x 3 maps", lambda: maps.topk(kept, -1))
    yield Operation(f"kthvalue of {batch} x 3 maps", lambda: maps.kthvalue(maps.shape[-1] - kept, -1))


def conversions(batch: int, device: torch.device) -> Iterator[Operation]:
    """Pixels as the replay has them to pixels as convolutions want them, and weights to bfloat16."""
    pixels = torch.randint(0, 256, (batch, 9, 84, 84), device=device, dtype=torch.uint8)
    yield Operation(
        "uint8 to channels-last float32",
        lambda: pixels.to(torch.float32, memory_format=torch.channels_last),
        bytes=5 * pixels.numel(),
    )
    yield Operation(
        "uint8 to channels-last bfloat16, padded to 16",
        lambda: F.pad(pixels.to(torch.bfloat16), (0, 0, 0, 0, 0, 7)).contiguous(memory_format=torch.channels_last),
        bytes=pixels.numel() + 2 * pixels.numel() * 16 // 9,
    )
    weights = [torch.randn(32, 32, 3, 3, device=device) for _ in range(10)]
    yield Operation("10 casts of weights to bfloat16", lambda: [weight.to(torch.bfloat16) for weight in weights])
    one = torch.zeros(1, device=device)
    yield Operation("smallest kernel", lambda: one.add_(1))


def whole_device(options: argparse.Namespace, device: torch.device) -> Iterator[Operation]:
    """What nothing can exceed."""
    source = torch.ones(options.copied_megabytes * 1_000_000, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    yield Operation(f"copy of {options.copied_megabytes} MB", lambda: target.copy_(source), bytes=2 * source.numel())
    side = options.matrix_side
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    yield Operation(f"matrix product {side}, bfloat16", lambda: matrix @ matrix, 2 * side**3)


def optimizer(device: torch.device) -> Iterator[Operation]:
    parameters = [torch.randn(1024, 1024, device=device, requires_grad=True) for _ in range(6)]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    adam = torch.optim.Adam(parameters, fused=True, capturable=device.type == "cuda")
    count = sum(parameter.numel() for parameter in parameters)
    yield Operation("fused Adam of 6.3 million", adam.step, bytes=count * 28)  # reads 4 numbers of each, writes 3


@contextmanager
def with_tf32(allowed: bool) -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def seconds_of(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Of one call: the median of some times, each over ``repeats`` calls."""
    return statistics.median(graph_seconds(work, repeats) if device.type == "cuda" else call_seconds(work, repeats))


def call_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    work()
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter() - began) / repeats)
    return times


def graph_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # libraries choose their algorithms and make their workspaces here
        for _ in range(WARM_UP):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(repeats):
            work()
    graph.replay()
    times = []
    for _ in range(TIMES):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        graph.replay()
        ended.record()
        torch.cuda.synchronize()
        times.append(began.elapsed_time(ended) / 1000 / repeats)
    return times


def rates(operation: Operation, microseconds: float) -> dict[str, float]:
    found = {
        "teraflops": operation.flop / microseconds / 1e6,
        "gigabytes_per_second": operation.bytes / microseconds / 1e3,
    }
    return {name: value for name, value in found.items() if value}


def in_words(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['name']:60s} cannot be done: {row['error']}"
    words = f"{row['name']:60s} {row['microseconds']:9.1f} us"
    words += f" {row['teraflops']:8.2f} TFLOP/s" if "teraflops" in row else ""
    return words + (f" {row['gigabytes_per_second']:8.1f} GB/s" if "gigabytes_per_second" in row else "")


if __name__ == "__main__":
    main()
