"""How long the update of a training run takes, sampling included, and which kernels it is made of.

    python benchmarks/whole_update.py METHOD [--preset paper|small] [--device auto|cpu|cuda] [--compile auto|on|off]
                                      [--precision auto|float32|bfloat16] [--updates 400] [--out FILE]

The update is put together as training does it: a replay on the device, pictures in a bank, CUDA graphs on a GPU.
Nothing else runs, so that this is the least that an agent step can cost. "on the processor" is how long Python needs to
launch an update, as long as the GPU's queue has room. Kernels are taken by PyTorch's profiler over further updates.

Two versions of Saccade are compared by running this file twice, the second time with PYTHONPATH=OTHER/src. So it takes
from Saccade only what has been there for long, and nothing from the other benchmarks, which change with the code.
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

import saccade
from saccade import types
from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.presets import SIZES, preset
from saccade.data.replay import ReplayBuffer
from saccade.nets.precision import set_compute_dtype

try:
    from saccade.agents.recorded_updates import WholeUpdate, make_whole_update
    from saccade.data.banks.images import BANK_SIZE, ImageBank
    from saccade.runs.device import device_of
    from saccade.runs.torch_setup import compute_dtype, is_compiled, prepare_torch
    from saccade.runs.training import Training
except ModuleNotFoundError:  # a version from before these rooms were made
    from saccade.policies.device import device_of  # type: ignore[no-redef]
    from saccade.policies.run import (  # type: ignore[no-redef]
        Training,
        compute_dtype,
        is_compiled,
        prepare_torch,
    )

    from saccade.agents.recorded_updates import WholeUpdate, make_whole_update  # type: ignore[no-redef]
    from saccade.data.banks.images import BANK_SIZE, ImageBank  # type: ignore[no-redef]

try:
    from saccade.agents.given import Given
except ModuleNotFoundError:  # a version whose methods were given pictures alone

    def Given(images: Any) -> Any:  # type: ignore[no-redef]  # noqa: N802
        return images


TASK = "dmc/walker_walk"  # whose published settings are taken
FRAME_STACK, ACTION_DIM = 3, 6
REMEMBERED = 1000  # transitions in the replay
PICTURES = 256  # to overlay
SEED = 0
SETTLED = 10  # updates by which every kind of update is recorded
LAUNCHES, PROFILED = 40, 20  # updates
SHOWN_KERNELS, NAME_WIDTH = 40, 120


def main() -> None:
    options = parse_arguments()
    device = options.device
    update = training_update(options, device)
    first_seconds = seconds_of(update, SETTLED, device)
    seconds = seconds_of(update, options.updates, device)
    row: dict[str, Any] = {
        "method": options.method,
        "version": str(Path(saccade.__file__).parents[1]),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "compiled": is_compiled(Training(compile=options.compile), device),
        "path": update.path,
        "milliseconds": 1000 * seconds / options.updates,
        "launch_milliseconds": 1000 * launch_seconds(update, min(LAUNCHES, options.updates)),
        "first_seconds": first_seconds,
        "metrics": {key: float(value) for key, value in update(0).items()},
    }
    if device.type == "cuda":
        row["allocated_gigabytes"] = torch.cuda.max_memory_allocated(device) / 1e9
        row["reserved_gigabytes"] = torch.cuda.memory_reserved(device) / 1e9
    row["kernels"] = kernels_of(update, min(PROFILED, options.updates), device)
    show(row)
    if options.out:
        options.out.write_text(json.dumps(row, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--preset", default="paper", choices=SIZES)
    parser.add_argument("--device", type=device_of, default="auto")
    parser.add_argument("--compile", default="auto", choices=("auto", "on", "off"))
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of convolutions")
    parser.add_argument("--updates", type=int, default=400, help="that are timed, after the first ones")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if options.updates < 1:
        parser.error("--updates must be at least 1")
    return options


def training_update(options: argparse.Namespace, device: torch.device) -> WholeUpdate:
    settings = Training(compile=options.compile, precision=options.precision)
    prepare_torch(settings, device)
    config = preset(options.method, TASK, options.preset).agent
    side = METHODS[options.method].rendered_size(config)
    shape = (PICTURES, 3, BANK_SIZE, BANK_SIZE)
    bank = ImageBank(torch.randint(0, 256, shape, dtype=torch.uint8, device=device), "random")
    torch.manual_seed(SEED)
    actions = types.Continuous(ACTION_DIM) if hasattr(types, "Continuous") else ACTION_DIM  # older ones have a width
    spaces = types.Spaces((FRAME_STACK * 3, side, side), actions)
    agent = METHODS[options.method].make(config, spaces, device, Given(bank.sample))
    set_compute_dtype(agent.networks, compute_dtype(options.precision, device))
    generators = torch.Generator(device).manual_seed(SEED), torch.Generator().manual_seed(SEED)
    losses = make_update(agent, compile_losses=is_compiled(settings, device))
    return make_whole_update(agent, losses, filled_replay(side, device), *generators)


def filled_replay(side: int, device: torch.device) -> ReplayBuffer:
    """One long episode of random pictures."""
    ours = "actions" in inspect.signature(ReplayBuffer).parameters
    wanted: Any = types.Continuous(ACTION_DIM) if ours else ACTION_DIM  # older ones have a width
    replay = ReplayBuffer(REMEMBERED, (3, side, side), wanted, frame_stack=FRAME_STACK, device=device)
    random = np.random.default_rng(SEED)
    replay.start_episode(0, random.integers(0, 256, (3, side, side), dtype=np.uint8))
    for _ in range(REMEMBERED):
        frame = random.integers(0, 256, (3, side, side), dtype=np.uint8)
        replay.add(0, random.uniform(-1, 1, ACTION_DIM), random.uniform(), 1.0, frame)
    return replay


def seconds_of(update: WholeUpdate, count: int, device: torch.device) -> float:
    """Of some updates, until the device has done them."""
    began = time.perf_counter()
    for index in range(count):
        update(index)
    wait_for(device)
    return time.perf_counter() - began


def launch_seconds(update: WholeUpdate, count: int) -> float:
    """Of one update, until Python has handed it over."""
    began = time.perf_counter()
    for index in range(count):
        update(index)
    return (time.perf_counter() - began) / count


def kernels_of(update: WholeUpdate, count: int, device: torch.device) -> list[dict[str, Any]]:
    """What the device did in some updates, per update, the longest first; on a CPU operations in place of kernels."""
    cuda = device.type == "cuda"
    wait_for(device)
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiled:
        seconds_of(update, count, device)
    own = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows = [row for row in profiled.key_averages() if getattr(row, own) > 0]
    return [
        {"name": row.key, "calls": row.count / count, "microseconds": getattr(row, own) / row.count}
        for row in sorted(rows, key=lambda row: -getattr(row, own))
    ]


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def show(row: dict[str, Any]) -> None:
    kernels = row["kernels"]
    total = sum(kernel["calls"] * kernel["microseconds"] for kernel in kernels)
    print(", ".join(f"{key} {value:.4f}" for key, value in row["metrics"].items()))
    compiled = "compiled" if row["compiled"] else "not compiled"
    print(
        f"{row['method']}, {compiled}: {row['milliseconds']:.3f} ms an update, "
        f"{row['launch_milliseconds']:.3f} ms of it on the processor, {row['first_seconds']:.0f} s for the first "
        f"{SETTLED}; {row['path']}"
    )
    if "allocated_gigabytes" in row:
        print(f"memory: {row['allocated_gigabytes']:.2f} GB at most, {row['reserved_gigabytes']:.2f} GB reserved")
    print(f"kernels: {sum(one['calls'] for one in kernels):.0f} an update, {total / 1000:.3f} ms of them")
    for kernel in kernels[:SHOWN_KERNELS]:
        share = kernel["calls"] * kernel["microseconds"] / total
        print(f"{share:6.1%} {kernel['calls']:7.1f} x {kernel['microseconds']:8.1f} us  {kernel['name'][:NAME_WIDTH]}")


if __name__ == "__main__":
    main()
