"""What a saliency map costs: every method beside Captum's, and beside the loop of the original perturbation code.

    python benchmarks/saliency.py [--networks nature sgqn] [--methods gradient rise ...] [--frames 4] [--repeats 5]
                                  [--device auto|cpu|cuda] [--threads 2] [--out FILE]

All live in one process and take turns on the same random pixels, so that whatever else the machine does falls on all
alike. Times are medians in milliseconds per frame, of --frames frames together and of one on its own. Networks: the
84x84x4 Nature network of Mnih et al. (logit of the greedy action), and the critic of SGQN with its paper's sizes on
84x84x9 (Q1). Captum is given the frames together, with its defaults and with the fastest of several batch sizes. The
loop is what Greydanus et al. published: for each grid point SciPy blurs a mask and the observation, and the network
runs on that one picture. Needs Captum and SciPy.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from saccade.agents.methods import sac
from saccade.doctor.facts import processor_name
from saccade.nets.views.views import layers_of
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.policies.scores import has_score, make_score
from saccade.runs.device import device_of
from saccade.saliency import METHODS
from saccade.types import Continuous, Score, Spaces, UserError

SIDE = 84
ACTIONS = 6
SEED = 0
STEPS = {"n_steps": 50}
NOISE = 0.15
SAMPLES = {"nt_samples": 20}
WINDOW, STRIDE = 8, 4
RADIUS, BLUR, GRID = 5.0, 3.0, 5
BATCHINGS = (8, 32, 128, 512)  # that Captum's fastest is looked for in


@dataclass(frozen=True)
class Subject:
    """A policy, and what Captum needs to explain the same number."""

    policy: Policy
    score: str
    module: nn.Module
    """``(obs, action) -> score`` as Captum calls it."""
    convolution: nn.Module
    """The layer that Grad-CAM reads."""


@dataclass
class Timing:
    network: str
    method: str
    ours: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    captum_default: list[float] = field(default_factory=list)
    captum_best: list[float] = field(default_factory=list)
    captum_best_batching: int | None = None
    loop: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        names = ("ours", "alone", "captum_default", "captum_best", "loop")
        numbers = {name: statistics.median(times) if (times := getattr(self, name)) else None for name in names}
        ours, alone = numbers["ours"], numbers["alone"]
        assert ours is not None and alone is not None
        return {
            "network": self.network,
            "method": self.method,
            **numbers,
            "captum_best_batching": self.captum_best_batching,
            "captum_ratio": numbers["captum_best"] / ours if numbers["captum_best"] else None,
            "loop_ratio": numbers["loop"] / alone if numbers["loop"] else None,
        }


class Nature(nn.Module):
    """Three convolutions, 512 units, logits and a value: ``[batch, 4, 84, 84]`` in 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
        )  # fmt: skip
        self.actor, self.critic = nn.Linear(512, ACTIONS), nn.Linear(512, 1)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(obs / 255)
        return self.actor(features), self.critic(features).squeeze(-1)


class AsCaptumCalls(nn.Module):
    """A score's function as a module of the pixels and whatever else the score is given."""

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.network, self.function = score.network, score.function

    def forward(self, obs: Tensor, *given: Tensor) -> Tensor:
        return self.function(self.network, obs, *given)


def nature(device: torch.device) -> Subject:
    network = Nature().to(device)
    outputs = {
        "logits": lambda network, obs: network.actor(network.trunk(obs / 255)),
        "value": lambda network, obs: network.critic(network.trunk(obs / 255)).squeeze(-1),
    }
    pixels = Pixels((4, SIDE, SIDE), "uint8", 255.0, "channels_first", 1)
    return subject(Policy("nature", network, outputs, pixels, True, device), "logit", network.trunk[5])


def sgqn(device: torch.device) -> Subject:
    networks = sac.ActorCritic(Spaces((9, SIDE, SIDE), Continuous(ACTIONS)), sac.SAC()).to(device)
    pixels = Pixels((9, SIDE, SIDE), "uint8", 255.0, "channels_first", 3)
    policy = Policy("sgqn", networks, sac.squashed_gaussian_outputs(), pixels, False, device)
    return subject(policy, "q", networks.critic.convolutions.layers[-1])


def subject(policy: Policy, score: str, convolution: nn.Module) -> Subject:
    obs = torch.zeros(1, *policy.pixels.channels_first, device=policy.device)
    return Subject(policy, score, AsCaptumCalls(make_score(policy, score, obs)), convolution)


NETWORKS = {"nature": nature, "sgqn": sgqn}


def captum_call(method: str, subject: Subject, obs: Tensor, score: Score, batching: int | None) -> Callable[[], Tensor]:
    """Captum's version of a method; ``batching`` None is its default. KeyError where it has none."""
    attr, module, given = captum.attr, subject.module, {"additional_forward_args": score.given}
    shape = obs.shape[1:]
    window, strides = (shape[0], WINDOW, WINDOW), (shape[0], STRIDE, STRIDE)
    deviation = NOISE * float(obs.max() - obs.min())
    noisy = {
        **given,
        **SAMPLES,
        "stdevs": deviation,
        "nt_samples_batch_size": batching and max(1, batching // len(obs)),
    }

    def grad_cam() -> Tensor:
        small = attr.LayerGradCam(module, subject.convolution).attribute(obs, relu_attributions=True, **given)
        return attr.LayerAttribution.interpolate(small, (SIDE, SIDE), "bilinear")

    def tunnel(of: Any, kind: str, **further: Any) -> Callable[[], Tensor]:
        return functools.partial(attr.NoiseTunnel(of).attribute, obs, nt_type=kind, **noisy, **further)

    plain, guided = attr.Saliency(module), attr.GuidedBackprop(module)
    calls: dict[str, Callable[[], Tensor]] = {
        "gradient": functools.partial(plain.attribute, obs, abs=False, **given),
        "guided_backpropagation": functools.partial(guided.attribute, obs, **given),
        "grad_cam": grad_cam,
        "guided_grad_cam": functools.partial(attr.GuidedGradCam(module, subject.convolution).attribute, obs, **given),
        "integrated_gradients": functools.partial(
            attr.IntegratedGradients(module).attribute, obs, internal_batch_size=batching, **STEPS, **given
        ),
        "smoothgrad": tunnel(plain, "smoothgrad", abs=False),
        "guided_smoothgrad": tunnel(guided, "smoothgrad"),
        "vargrad": tunnel(plain, "vargrad", abs=False),
        "guided_vargrad": tunnel(guided, "vargrad"),
        "occlusion": functools.partial(
            attr.Occlusion(module).attribute, obs, window, strides, baselines=0.0,
            perturbations_per_eval=max(1, batching // len(obs)) if batching else 1, **given,
        ),
    }  # fmt: skip
    return calls[method]


BATCHED = ("integrated_gradients", "smoothgrad", "guided_smoothgrad", "vargrad", "guided_vargrad", "occlusion")
"""Methods for which Captum can be told how many pictures to run at once."""
IN_CAPTUM = ("gradient", "guided_backpropagation", "grad_cam", "guided_grad_cam", *BATCHED)


def original_loop(score: Score, obs: Tensor) -> np.ndarray:
    """The published algorithm for one observation: a mask, two blurs and one forward pass per grid point."""
    pixels = obs[0].cpu().numpy()
    found = np.zeros((len(range(0, SIDE, GRID)),) * 2)
    for row in range(0, SIDE, GRID):
        for column in range(0, SIDE, GRID):
            y, x = np.ogrid[-row : SIDE - row, -column : SIDE - column]
            mask = gaussian_filter((x * x + y * y <= 1).astype(np.float64), sigma=RADIUS)
            mask /= mask.max()
            mixed = pixels * (1 - mask) + gaussian_filter(pixels, sigma=(0, BLUR, BLUR)) * mask
            with torch.no_grad():
                value = score(torch.from_numpy(mixed).float()[None].to(obs.device))
            found[row // GRID, column // GRID] = float(value)
    return found


def milliseconds(call: Callable[[], object], device: torch.device, frames: int) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - began) / frames


def _told_layer(subject: Subject) -> dict[str, str]:
    """The layer that Captum must be told; ours looks for it where it is not, which takes 0.2 to 1 ms a call."""
    layers = layers_of(subject.policy.network)
    return {"layer": next(name for name, layer in layers.items() if layer is subject.convolution)}


def measure(network: str, name: str, subject: Subject, obs: Tensor, repeats: int) -> Timing:
    """One method on one network: its contenders in turns, so that other load falls on all alike."""
    device, frames = obs.device, len(obs)
    method, timing = METHODS[name], Timing(network, name)
    score = make_score(subject.policy, method.score or subject.score, obs)
    one = score.rows(torch.zeros(1, dtype=torch.long, device=device))
    told = _told_layer(subject) if name in ("grad_cam", "guided_grad_cam") else {}
    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (functools.partial(method, score, obs, **told), frames),
        "alone": (functools.partial(method, one, obs[:1], **told), 1),
    }
    if name in IN_CAPTUM:
        default = captum_call(name, subject, obs, score, None)
        timing.captum_best_batching, best = fastest_batching(name, subject, obs, score) or (None, default)
        contenders |= {"captum_default": (default, frames), "captum_best": (best, frames)}
    if "blur" in method.hyperparameters:
        contenders["loop"] = (functools.partial(original_loop, one, obs[:1]), 1)
        check_equal(method(one, obs[:1]), original_loop(one, obs[:1]))
    for call, _ in contenders.values():
        call()
    for _ in range(repeats):
        for kind, (call, count) in contenders.items():
            getattr(timing, kind).append(milliseconds(call, device, count))
    return timing


def fastest_batching(name: str, subject: Subject, obs: Tensor, score: Score) -> tuple[int, Callable[[], Tensor]] | None:
    """Captum's fastest batch size for a method, and the call; None where there is nothing to choose."""
    if name not in BATCHED:
        return None
    calls = {size: captum_call(name, subject, obs, score, size) for size in BATCHINGS}
    times = {size: min(milliseconds(call, obs.device, 1) for _ in range(2)) for size, call in calls.items()}
    best = min(times, key=times.__getitem__)
    return best, calls[best]


def check_equal(ours: Tensor, loop: np.ndarray) -> None:
    """Both give the same values at the grid points."""
    found = ours[0, 0, ::GRID, ::GRID].cpu().numpy()
    assert np.allclose(found, loop, rtol=1e-2, atol=1e-3 * np.abs(loop).max()), np.abs(found - loop).max()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--frames", type=int, default=4, help="that are explained together")
    parser.add_argument("--repeats", type=int, default=5, help="of every measurement, after one to warm up")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if min(options.frames, options.repeats) < 1:
        parser.error("--frames and --repeats must be at least 1")
    try:
        options.device = device_of(options.device)
    except UserError as error:
        parser.error(str(error))
    return options


def show(rows: list[dict[str, Any]], options: argparse.Namespace, machine: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"{machine['device']} ({machine['name']}), {machine['threads']} threads, torch {machine['torch']}, "
        f"Captum {machine['captum']}, {options.frames} frames together, median of {options.repeats}",
        highlight=False,
        soft_wrap=True,
    )
    headings = {
        "ours": "Saccade",
        "captum_default": "Captum",
        "captum_best": "Captum at best",
        "captum_ratio": "at best / Saccade",
        "alone": "Saccade, 1 frame",
        "loop": "loop, 1 frame",
        "loop_ratio": "loop / Saccade",
    }
    table = Table(title="Milliseconds per frame", title_justify="left", box=None, pad_edge=False)
    for heading in ("network", "method"):
        table.add_column(heading, no_wrap=True)
    for heading in headings.values():
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = ["-" if row[name] is None else f"{row[name]:.1f}" for name in headings]
        table.add_row(row["network"], row["method"], *numbers)
    console.print(table)


def main() -> None:
    options = parse_arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    # Captum says with every call that guided backpropagation sets hooks.
    warnings.filterwarnings("ignore", module="captum")
    torch.manual_seed(SEED)
    rows = []
    for network in options.networks:
        subject = NETWORKS[network](options.device)
        generator = torch.Generator().manual_seed(SEED)
        shape = (options.frames, *subject.policy.pixels.channels_first)
        obs = torch.randint(0, 256, shape, generator=generator).float().to(options.device)
        for name in options.methods:
            if has_score(subject.policy, METHODS[name].score or subject.score):
                print(f"{network}: {name}", file=sys.stderr)
                rows.append(measure(network, name, subject, obs, options.repeats).row())
    on_gpu = options.device.type == "cuda"
    machine = {
        "device": str(options.device),
        "name": torch.cuda.get_device_name(options.device) if on_gpu else processor_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "captum": captum.__version__,
    }
    show(rows, options, machine)
    if options.out:
        settings = {name: value for name, value in vars(options).items() if name not in ("out", "device")}
        options.out.write_text(json.dumps({"settings": settings, "machine": machine, "methods": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
