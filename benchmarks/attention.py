"""What attention costs: an update of every architecture of FLS beside the Nature network's, and its arithmetic.

    python benchmarks/attention.py [--architectures none sparse ...] [--minibatch 256] [--turns 3] [--threads 1]
                                   [--precision auto|float32|bfloat16] [--accumulate 8] [--out FILE]

An update is one minibatch forward and backward, the cut of its gradient and a step of Adam, as ``saccade train fls``
makes it on Atari; all take turns. Milliseconds are the median processor time of a turn on a CPU, and the time until a
GPU is done. MFLOP are counted as operations are called: of one frame forward, and of an update per sample. Dense
networks, with a hundred times the arithmetic, learn from a minibatch in ``--accumulate`` parts, and have to be named.

``plain, contiguous`` is the Nature network as most ports have it: float32 divided by 255, channels first.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from counting import OperationCount
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, make_update
from saccade.agents.configs_on_policy import FLS
from saccade.agents.methods.fls import make_fls
from saccade.nets.attention_architectures import ARCHITECTURES
from saccade.nets.precision import set_compute_dtype
from saccade.runs.device import device_of
from saccade.runs.torch_setup import compute_dtype
from saccade.testing.batches import decisions
from saccade.types import Decisions, Discrete, Spaces

SPACES = Spaces((4, 84, 84), Discrete(4), colours=1)
REFERENCE, PLAIN = "none", "plain, contiguous"
QUICK = [name for name, row in ARCHITECTURES.items() if not row.dense]
MEGA = 1e6
COUNTED = 8  # samples, when operations are counted

Turn = Callable[[], object]


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    dtype = compute_dtype(options.precision, options.device)
    minibatch = on_device(decisions(SPACES, options.minibatch, seed=0), options.device)
    names = [REFERENCE, *(name for name in options.architectures if name != REFERENCE)]
    agents = {name: agent_of(name, dtype, options) for name in names}
    turns: dict[str, Turn] = {name: turn_of(agent, minibatch) for name, agent in agents.items()}
    if options.device.type == "cpu":
        turns[PLAIN] = plain_turn(minibatch)
    for turn in turns.values():
        turn()  # chooses algorithms, makes the optimizer's state
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(options.turns):
        for name, turn in turns.items():
            seconds[name].append(timed(turn, options.device))
    medians = {name: 1000 * statistics.median(values) for name, values in seconds.items()}
    rows = [row_of(name, agents.get(name), medians, options.device) for name in turns]
    reference = next(row for row in rows if row["architecture"] == REFERENCE)
    print(f"{'':24} {'parameters':>12} {'MFLOP':>8} {'update':>8} {'ms':>8} {'FLOP/none':>10} {'ms/none':>8}")
    for row in rows:
        if "update_megaflop" in row:
            row["arithmetic_ratio"] = row["update_megaflop"] / reference["update_megaflop"]
        row["time_ratio"] = row["milliseconds"] / reference["milliseconds"]
        show(row)
    if options.out:
        machine = {"device": str(options.device), "processor": platform.processor(), "torch": torch.__version__}
        told = {"minibatch": options.minibatch, "threads": options.threads, "dtype": str(dtype), "turns": options.turns}
        options.out.write_text(json.dumps({**told, **machine, "rows": rows}, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", nargs="+", default=QUICK, choices=list(ARCHITECTURES), metavar="NAME")
    parser.add_argument("--minibatch", type=int, default=256)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--accumulate", type=int, default=8, help="parts of a minibatch of dense networks")
    parser.add_argument("--device", type=device_of, default="auto")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def on_device(batch: Decisions, device: torch.device) -> Decisions:
    """The same decisions there, their pixels in the order in which a rollout keeps them."""
    moved = Decisions(*(value.to(device) for value in batch[:6]))
    return moved._replace(obs=moved.obs.contiguous(memory_format=torch.channels_last))


def agent_of(name: str, dtype: torch.dtype, options: argparse.Namespace) -> Agent[Decisions]:
    accumulate = options.accumulate if ARCHITECTURES[name].dense else 1
    agent = make_fls(FLS(attention=name, accumulate=accumulate), SPACES, options.device)  # type: ignore[arg-type]
    set_compute_dtype(agent.networks, dtype)
    return agent


def turn_of(agent: Agent[Decisions], minibatch: Decisions) -> Turn:
    update, generator = make_update(agent), Generator(minibatch.obs.device)
    return lambda: update(lambda size: minibatch, generator, 0)


def plain_turn(minibatch: Decisions) -> Turn:
    """Forward and backward of the Nature network alone, in float32 and channel after channel."""
    network = nn.Sequential(
        nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 5),
    )  # fmt: skip
    obs = minibatch.obs.contiguous()

    def turn() -> tuple[Tensor, ...]:
        return torch.autograd.grad(network(obs.float() / 255).square().mean(), list(network.parameters()))

    return turn


def timed(turn: Turn, device: torch.device) -> float:
    if device.type == "cpu":
        began = time.process_time()
        turn()
        return time.process_time() - began
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    turn()
    torch.cuda.synchronize(device)
    return time.perf_counter() - began


def row_of(
    name: str, agent: Agent[Decisions] | None, medians: dict[str, float], device: torch.device
) -> dict[str, Any]:
    row: dict[str, Any] = {"architecture": name, "milliseconds": medians[name]}
    if agent is None:
        return row
    few = on_device(decisions(SPACES, COUNTED, seed=0), device)
    with OperationCount() as forward, torch.no_grad():
        agent.networks(few.obs)
    with OperationCount() as update:
        turn_of(agent, few)()
    parameters = sum(weight.numel() for weight in agent.networks.parameters())
    per_sample = {"forward_megaflop": forward.flop, "update_megaflop": update.flop}
    return row | {"parameters": parameters} | {key: flop / COUNTED / MEGA for key, flop in per_sample.items()}


def show(row: dict[str, Any]) -> None:
    def cell(name: str, form: str, width: int) -> str:
        return format(format(row[name], form) if name in row else "", f">{width}")

    cells = [cell("parameters", ",", 12), cell("forward_megaflop", ".1f", 8), cell("update_megaflop", ".1f", 8)]
    cells += [cell("milliseconds", ".0f", 8), cell("arithmetic_ratio", ".2f", 10), cell("time_ratio", ".2f", 8)]
    print(f"{row['architecture']:24} {' '.join(cells)}")


if __name__ == "__main__":
    main()
