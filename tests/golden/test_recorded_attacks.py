"""The attacks as they were recorded, pixel by pixel, in float64.

``SACCADE_GOLDEN`` names the folder of recordings; this one is ``digr/attacks.npz`` in it. Every number is taken from
the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np
import pytest
import torch
from digr_rules import made_parameter, uniform
from torch import Tensor, nn

from saccade.attacks import ATTACKS
from saccade.attacks.ascent import gradient
from saccade.attacks.box import box_around
from saccade.types import Score

RELATIVE, ABSOLUTE = 1e-6, 1e-9
TIES = {1.0: 1e-4, 255.0: 1e-3}  # the share of pixels at .5 that may round the other way; more where units differ
LANGEVIN_STREAM = 40_000
WIDTHS, HIDDEN, SIDES, STRIDES = (32, 64, 64), 512, (8, 4, 3), (4, 2, 1)

Recording = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def recording(recorded: Callable[[str], Recording]) -> Recording:
    return recorded("digr/attacks.npz")


def network_of(seed: int, number: int, channels: int, side: int, actions: int) -> nn.Module:
    """The recordings' network, whose weights are a rule."""
    layers: list[nn.Module] = []
    for width, kernel, stride in zip(WIDTHS, SIDES, STRIDES, strict=True):
        layers += [nn.Conv2d(channels, width, kernel, stride), nn.ReLU()]
        channels, side = width, (side - kernel) // stride + 1
    layers += [nn.Flatten(), nn.Linear(channels * side * side, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, actions)]
    net = nn.Sequential(*layers).double()
    parameters = list(net.parameters())
    with torch.no_grad():
        for place, weight in enumerate(parameters):
            last = place == len(parameters) - 2
            weight.copy_(torch.from_numpy(made_parameter(seed, number, place, tuple(weight.shape), last=last)))
    return net


@pytest.fixture(scope="module")
def policy(recording: Recording) -> nn.Module:
    _, channels, side, _ = recording["states"].shape
    actions = recording["probabilities"].shape[1]
    return network_of(int(recording["seed"]), int(recording["network"]), channels, side, actions)


@final
class Recorded:
    """The random numbers that were recorded."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._drawn = recording, 0

    def uniform(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self._recording["pgd_start"] / 127).to(like.dtype)

    def signs(self, like: Tensor) -> Tensor:
        return torch.from_numpy(np.sign(self._recording["mad_start"])).to(like.dtype)

    def normal(self, like: Tensor) -> Tensor:
        count, stream = like.numel(), LANGEVIN_STREAM + self._drawn
        self._drawn += 1
        first, second = (uniform(int(self._recording["seed"]), stream, np.arange(count) + at) for at in (0, count))
        return torch.from_numpy(np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)).view_as(like)


def surprise(net: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
    return -net(obs).log_softmax(-1).gather(-1, action[:, None])[:, 0]


def divergence(net: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    return (clean.exp() * (clean - net(obs).log_softmax(-1))).sum(-1)


def scores(recording: Recording, net: nn.Module) -> tuple[Tensor, Score, Score]:
    states = torch.from_numpy(recording["states"] / 255)
    with torch.no_grad():
        clean = net(states).log_softmax(-1)
    greedy = torch.from_numpy(recording["greedy"])
    assert torch.equal(clean.argmax(-1), greedy)
    return states, Score(net, surprise, (greedy,)), Score(net, divergence, (clean,), distance=True)


def test_the_clean_policy(recording: Recording, policy: nn.Module) -> None:
    states, lost, _ = scores(recording, policy)
    np.testing.assert_allclose(policy(states).softmax(-1).detach(), recording["probabilities"], RELATIVE, ABSOLUTE)
    np.testing.assert_allclose(lost(states).detach(), recording["nll_clean"], RELATIVE, ABSOLUTE)
    found, told = gradient(lost, states).numpy(), recording["gradient"]
    np.testing.assert_allclose(found, told, RELATIVE, RELATIVE * np.abs(told).max())


HYPERPARAMETERS = {
    "fgsm": ("fgsm", {}),
    "pgd": ("pgd", {"step_share": 0.25}),
    "mi_fgsm_mean": ("mi_fgsm", {"momentum": 1.0}),
    "mad": ("mad", {"langevin": False}),
    "mad_sgld": ("mad", {"langevin": True}),
}


@pytest.mark.parametrize("name", HYPERPARAMETERS)
@pytest.mark.parametrize("unit", TIES)
def test_attacks_at_every_budget(name: str, unit: float, recording: Recording, policy: nn.Module) -> None:
    """In pixels 0..1 as recorded, and in 0..255, whose network divides: the attack is the same."""
    table, changes = HYPERPARAMETERS[name]
    attack = ATTACKS[table]
    if "steps" in attack.hyperparameters:
        changes = {**changes, "steps": int(recording["steps"])}
    states, lost, far = scores(recording, policy)
    score = far if attack.distance else lost
    scaled = Score(policy, lambda net, obs, given: score.function(net, obs / unit, given), score.given, score.distance)
    for budget in map(int, recording["eps"]):
        box = box_around(states * unit, budget, high=unit)
        found = attack.find(scaled, box, Recorded(recording), **changes)
        whole = np.rint((box.whole(found) * (255 / unit)).numpy()).astype(np.int64)
        differ = np.abs(whole - recording[f"{name}/{budget}/uint8"].astype(np.int64))
        assert differ.max() <= 1 and (differ > 0).mean() <= TIES[unit]
        for kind, one in (("nll", lost), ("kl", far)):
            at_end, at_whole = one(found / unit).detach(), one(box.whole(found) / unit).detach()
            np.testing.assert_allclose(at_end, recording[f"{name}/{budget}/{kind}_float"], RELATIVE, ABSOLUTE)
            if not (differ > 0).any():
                np.testing.assert_allclose(at_whole, recording[f"{name}/{budget}/{kind}_uint8"], RELATIVE, ABSOLUTE)
        greedy = policy(box.whole(found) / unit).argmax(-1).numpy()
        np.testing.assert_array_equal(greedy, recording[f"{name}/{budget}/greedy_uint8"])
        for key, samples in (("delta_255", slice(None)), ("delta_255_first", slice(1))):
            if f"{name}/{budget}/{key}" in recording:
                delta = ((found - box.clean) * (255 / unit)).numpy()[samples]
                np.testing.assert_allclose(delta, recording[f"{name}/{budget}/{key}"], atol=1e-5)


def test_the_other_size_of_step(recording: Recording, policy: nn.Module) -> None:
    states, lost, _ = scores(recording, policy)
    steps = int(recording["steps"])
    for key in recording:
        if key.startswith("pgd_step_eps_over_k/") and key.endswith("/nll_float"):
            box = box_around(states, float(key.split("/")[1]), high=1.0)
            found = ATTACKS["pgd"].find(lost, box, Recorded(recording), steps=steps, step_share=1 / steps)
            np.testing.assert_allclose(lost(found).detach(), recording[key], RELATIVE)
            assert not np.allclose(lost(found).detach(), recording[key.replace("_step_eps_over_k", "")], 1e-3)


def test_mad_in_float32_is_as_strong(recording: Recording, policy: nn.Module) -> None:
    """Near the clean state the gradient of KL is a difference of almost equal probabilities: only its end is alike."""
    states, _, far = scores(recording, policy)
    _, channels, side, _ = recording["states"].shape
    single = network_of(
        int(recording["seed"]), int(recording["network"]), channels, side, recording["probabilities"].shape[1]
    ).float()
    score = Score(single, divergence, (far.given[0].float(),), distance=True)
    for budget in map(int, recording["eps"]):
        box = box_around(states.float(), budget, high=1.0)
        found = ATTACKS["mad"].find(score, box, Recorded(recording), steps=int(recording["steps"]))
        reached = far(box.whole(found).double()).detach()
        np.testing.assert_allclose(reached, recording[f"mad/{budget}/kl_uint8"], rtol=0.01)
