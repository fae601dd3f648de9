"""An update of this code beside that of another version of it, in turns and in one process.

    git worktree add ../before COMMIT
    python benchmarks/beside.py ../before/src [--method sgqn] [--task TASK] [--preset small|paper] [--threads 1]
                                              [--precision auto|float32|bfloat16] [--turns 40] [--out FILE]

Each version samples its own replay of the same random frames, prepares and steps as its training does. They take turns,
two updates at a time, so that whatever else the machine does falls on both. Times are the processor's: with --threads 1
a busy machine changes them little. The ratio is the median over turns of the other version's time over this one's.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

FRAME_STACK, ACTION_DIM = 3, 6  # where a preset does not say; how many actions there are hardly matters
PERIOD = 2  # updates in a turn: every phase has run once or twice by then
FRAMES, BANK_COUNT = 500, 256
WARM_TURNS = 3


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    versions = {"other": load(options.other, options), "this": load(Path(__file__).parents[1] / "src", options)}
    turns: dict[str, list[float]] = {name: [] for name in versions}
    for turn in range(options.turns + WARM_TURNS):
        for name, update in versions.items():
            began = time.process_time()
            for index in range(PERIOD):
                update(index)
            if turn >= WARM_TURNS:
                turns[name].append(1000 * (time.process_time() - began) / PERIOD)
    ratio = statistics.median(other / this for other, this in zip(turns["other"], turns["this"], strict=True))
    found = {name: statistics.median(values) for name, values in turns.items()}
    found |= {f"best_{name}": min(values) for name, values in turns.items()}
    print(
        f"{options.method}, {options.task}, {options.preset}, {options.precision}, {options.threads} threads: "
        f"other {found['other']:.1f} ms, this {found['this']:.1f} ms of processor time an update; "
        f"{ratio:.2f} times as fast (best turns {found['best_other'] / found['best_this']:.2f})"
    )
    if options.out:
        settings = {key: str(value) for key, value in vars(options).items() if key not in ("out", "other")}
        options.out.write_text(json.dumps({"settings": settings, "ratio": ratio, **found}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the src folder of the other version")
    parser.add_argument("--method", default="sgqn")
    parser.add_argument("--task", default="dmc/walker_walk", help="whose preset it is")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if not (options.other / "saccade").is_dir():
        parser.error(f"{options.other} holds no folder saccade: give the src folder of a checkout")
    return options


def load(source: Path, options: argparse.Namespace) -> Callable[[int], Any]:
    """An update of the package in a folder, imported as if it were the only one."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "saccade"]:
        del sys.modules[name]
    sys.path.insert(0, os.fspath(source.resolve()))
    try:
        return make(options)
    finally:
        sys.path.pop(0)


def make(options: argparse.Namespace) -> Callable[[int], Any]:
    """The update of whichever version is imported now."""

    def module(name: str, former: str | None = None) -> Any:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:  # a version from before these rooms were made
            if former is None:
                raise
            return importlib.import_module(former)

    methods = module("saccade.agents").METHODS
    preset = module("saccade.agents.presets").preset(options.method, options.task, options.preset)
    config, frames = preset.agent, preset.environment.get("frame_stack", FRAME_STACK)
    side = methods[options.method].rendered_size(config)
    device, random = torch.device("cpu"), np.random.default_rng(0)
    images = module("saccade.data.banks.images", "saccade.data.banks.images")
    bank_side = images.bank_size(side) if hasattr(images, "bank_size") else images.BANK_SIZE  # older ones have one size
    pictures = torch.randint(0, 256, (BANK_COUNT, 3, bank_side, bank_side), dtype=torch.uint8)
    bank = images.ImageBank(pictures, "random")
    torch.manual_seed(0)
    types = module("saccade.types")
    actions = types.Continuous(ACTION_DIM) if hasattr(types, "Continuous") else ACTION_DIM  # older ones have a width
    spaces = types.Spaces((frames * 3, side, side), actions)
    try:  # older ones are given pictures alone
        given = module("saccade.agents.given", "saccade.agents.given").Given(bank.sample)
    except ImportError:
        given = bank.sample
    agent = methods[options.method].make(config, spaces, device, given)
    dtype = module("saccade.runs.torch_setup", "saccade.policies.run").compute_dtype(options.precision, device)
    module("saccade.nets.precision").set_compute_dtype(agent.networks, dtype)
    replays = module("saccade.data.replay").ReplayBuffer
    wanted = actions if "actions" in inspect.signature(replays).parameters else ACTION_DIM
    replay = replays(FRAMES + 1, (3, side, side), wanted, frame_stack=frames)
    for step in range(FRAMES):
        frame = random.integers(0, 256, (3, side, side), dtype=np.uint8)
        if step % 100 == 0:
            replay.start_episode(0, frame)
        replay.add(0, random.uniform(-1, 1, ACTION_DIM).astype(np.float32), random.normal(), 1.0, frame)
    generator = torch.Generator().manual_seed(0)
    update = module("saccade.agents.agent").make_update(agent)
    return lambda index: update(lambda size: replay.sample(size, generator), generator, index)


if __name__ == "__main__":
    main()
