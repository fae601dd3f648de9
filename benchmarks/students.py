"""DIGR's costs, side by side in one process: maps beside one forward pass a place, updates beside distillation.

    OMP_NUM_THREADS=1 python benchmarks/students.py --out results/students_cpu.json

Maps are of the teacher, with a grid of every fourth pixel. ``published`` makes them as published code for Atari does:
for every place a mask by SciPy's Gaussian filter, and a forward pass of one picture. ``one_at_a_time`` has the masks
ready, and makes a pass for every place. FLOP of updates are counted beside their times.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from saccade.agents.agent import make_update
from saccade.agents.given import Given, SaliencyData
from saccade.agents.methods.digr import make_digr
from saccade.agents.presets import preset
from saccade.envs.config import EnvConfig
from saccade.policies.load import load_any
from saccade.policies.played import play_states, seen_by
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score
from saccade.policies.teachers import as_teacher
from saccade.runs.device import device_of
from saccade.saliency.blur_perturbation import blur_perturbation
from saccade.testing.batches import noise_saliency, transitions
from saccade.types import Discrete, Spaces

STRIDE, RADIUS, BLUR = 4, 4.0, 3.0
TASK = "minigrid/red_fetch_green"


class Counted(TorchDispatchMode):
    """Adds up the arithmetic of convolutions and matrices, second derivatives included."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="zoo:ppo-red-fetch-green")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--states", type=int, default=8, help="of maps, in every turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--updates", type=int, default=10, help="in every turn")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = device_of(options.device)
    policy = load_any(options.teacher, device=str(device))
    told = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "maps": maps(policy, options.states, options.turns),
        "updates": updates(policy, device, options.updates, options.turns),
    }
    print(json.dumps(told, indent=1))
    if options.out:
        options.out.write_text(json.dumps(told, indent=1) + "\n")


def seconds_of(ways: dict[str, Callable[[], object]], turns: int, device: torch.device) -> dict[str, float]:
    """Seconds of each way, the least of some turns in which all of them come one after the other.

    Processor seconds of one thread on a CPU, which programs that run beside it do not lengthen as much.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = clock()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first is for warming up
                found[name].append(clock() - began)
    return {name: min(seconds) for name, seconds in found.items()}


def maps(policy: Policy, states: int, turns: int) -> dict[str, float]:
    """Milliseconds of a map in each way, and how many times faster the batched way is."""
    env = policy.config.env if policy.config is not None else EnvConfig(TASK)
    played = play_states(policy, env, states, seed=0).states
    obs = seen_by(policy, torch.from_numpy(played))
    logits, network = policy.outputs["logits"], policy.network
    side = obs.shape[-1]
    places = [(row, column) for row in range(0, side, STRIDE) for column in range(0, side, STRIDE)]

    def mask(row: int, column: int) -> np.ndarray:
        disc = np.zeros((side, side))
        for down, right in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= row + down < side and 0 <= column + right < side:
                disc[row + down, column + right] = 1.0
        spot = gaussian_filter(disc, RADIUS)
        return spot / spot.max()

    ready = [torch.from_numpy(mask(*place)).to(obs) for place in places]

    @torch.no_grad()
    def one_pass_a_place(masks: Callable[[], object]) -> torch.Tensor:
        picture = obs[:1]
        blurred = torch.from_numpy(gaussian_filter(picture.cpu().numpy(), (0, 0, BLUR, BLUR))).to(picture)
        clean = logits(network, picture).log_softmax(-1)
        kept = []
        for spot in masks():  # type: ignore[attr-defined]
            moved = logits(network, picture * (1 - spot) + blurred * spot).log_softmax(-1)
            kept.append((clean.exp() * (clean - moved)).sum())
        return torch.stack(kept).cpu()

    def batched() -> torch.Tensor:
        score = make_score(policy, "kl", obs)
        return blur_perturbation(score, obs, radius=RADIUS, blur=BLUR, stride=STRIDE).cpu()

    ways: dict[str, Callable[[], object]] = {
        "batched": batched,
        "one_at_a_time": lambda: one_pass_a_place(lambda: ready),
        "published": lambda: one_pass_a_place(lambda: (torch.from_numpy(mask(*place)).to(obs) for place in places)),
    }
    seconds = seconds_of(ways, turns, obs.device)
    seconds["batched"] /= states
    told = {f"{name}_ms": 1000 * value for name, value in seconds.items()}
    return told | {
        f"{name}_over_batched": seconds[name] / seconds["batched"] for name in ("one_at_a_time", "published")
    }


def updates(policy: Policy, device: torch.device, count: int, turns: int) -> dict[str, float]:
    """Milliseconds of an update of each kind, and how many times distillation's."""
    start = preset("digr", TASK, "small").agent
    spaces = Spaces((3, 64, 64), Discrete(4))
    data = noise_saliency(spaces, 64)
    data = SaliencyData(data.states.to(device), data.maps.to(device))
    given = Given(None, as_teacher(policy, 1.0), data)
    batch = transitions(spaces, start.batch_size, 0)
    batch = batch._replace(obs=batch.obs.to(device))
    ways: dict[str, Callable[[], object]] = {}
    flop: dict[str, int] = {}
    for name, changes in {
        "distillation": {"regularised": False},
        "digr_maximum": {"normalisation": "maximum"},
        "digr_mass": {"normalisation": "mass"},
    }.items():
        agent = make_digr(dataclasses.replace(start, **changes), spaces, device, given)
        update, generator = make_update(agent), torch.Generator(device).manual_seed(0)

        def some(update: Callable[..., object] = update, generator: torch.Generator = generator) -> None:
            for index in range(count):
                update(lambda size: batch, generator, index)

        ways[name] = some
        with Counted() as counter:
            update(lambda size: batch, generator, 0)
        flop[name] = counter.total
    seconds = {name: value / count for name, value in seconds_of(ways, turns, device).items()}
    told = {f"{name}_ms": 1000 * value for name, value in seconds.items()}
    return told | {
        f"{name}_over_distillation{what}": values[name] / values["distillation"]
        for name in ("digr_maximum", "digr_mass")
        for what, values in (("", seconds), ("_in_flop", flop))
    }


if __name__ == "__main__":
    main()
