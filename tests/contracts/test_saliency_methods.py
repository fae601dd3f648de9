"""What every saliency method promises: per sample, in any batch size, exact where that can be, nothing left behind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from method_cases import build, sample
from saliency_cases import (
    BATCH,
    CHANNELS,
    FEW,
    SIDE,
    Network,
    every_method,
    explained,
    named_for,
    network,
    observations,
    output,
    score_for,
)
from torch import Tensor, nn

from saccade.agents.parts.attribution import attribution_of_q1
from saccade.saliency import METHODS
from saccade.types import Score

PER_CHANNEL = [name for name, method in METHODS.items() if method.gradient_based and name != "grad_cam"]


# ------------------------------------------------------------------------------------------- what comes back


@every_method
def test_a_map_has_a_value_per_channel_or_per_frame(name: str) -> None:
    obs = observations()
    found = explained(name, obs)
    assert found.shape == (BATCH, CHANNELS if name in PER_CHANNEL else 1, SIDE, SIDE)
    assert found.dtype == obs.dtype and found.is_contiguous() and not found.requires_grad
    assert all(float(one.abs().max()) > 0 for one in found)
    by_frame = explained(name, obs, frames=2)
    if METHODS[name].gradient_based:
        assert torch.equal(by_frame, found)
    else:
        assert by_frame.shape == (BATCH, 2, SIDE, SIDE)
        assert not torch.allclose(by_frame[:, :1], by_frame[:, 1:])
    assert explained(name, obs.double(), network(torch.float64)).dtype == torch.float64


@every_method
def test_samples_do_not_influence_each_other(name: str) -> None:
    net, obs, others = network(), observations(), observations(seed=1)
    others[1] = obs[1]
    # Both batches ask for output 1 of sample 1, and of different pictures besides.
    torch.testing.assert_close(explained(name, obs, net)[1], explained(name, others, net)[1])
    score = score_for(name, net, obs)
    alone = METHODS[name](score.rows(torch.tensor([1])), obs[1:2], **FEW.get(name, {}))
    torch.testing.assert_close(explained(name, obs, net)[1:2], alone)


@every_method
@pytest.mark.parametrize("frames", [1, 2])
def test_maps_do_not_depend_on_how_many_pictures_run_at_once(name: str, frames: int) -> None:
    net, obs = network(torch.float64), observations(dtype=torch.float64)
    counts: list[int] = []
    net.register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    score = score_for(name, net, obs)
    found = {}
    for max_batch in (1, 3, 7, 256):
        counts.clear()
        found[max_batch] = METHODS[name](score, obs, max_batch=max_batch, frames=frames, **FEW.get(name, {}))
        assert max(counts) <= max_batch
    for other in (1, 3, 7):
        torch.testing.assert_close(found[other], found[256])


@every_method
def test_the_same_seed_gives_the_same_map(name: str) -> None:
    obs = observations()
    first, again, other = (explained(name, obs, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == ("seed" not in METHODS[name].hyperparameters)


@every_method
def test_networks_that_read_memory_order_are_explained_too(name: str) -> None:
    class Viewing(Network):
        def forward(self, obs: Tensor) -> Tensor:
            maps = self.convolutions[:4](obs)
            return self.head(maps.view(len(maps), -1))

    obs, viewing = observations(), Viewing()
    viewing.load_state_dict(network().state_dict())
    torch.testing.assert_close(explained(name, obs, viewing), explained(name, obs))


# --------------------------------------------------------------------------------------- what is left behind


def state_of(net: nn.Module) -> list[Any]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        (type(module), module.training, sorted(vars(module)), [len(getattr(module, hook)) for hook in hooks])
        for module in net.modules()
    ]


@every_method
def test_nothing_is_left_on_the_network_or_the_observations(name: str) -> None:
    net, obs = network(), observations()
    net.head.eval()
    gradients = [torch.full_like(parameter, 7.0) for parameter in net.parameters()]
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        parameter.grad = gradient
    weights, pixels = copy.deepcopy(net.state_dict()), obs.clone()
    before, random = state_of(net), torch.get_rng_state()
    explained(name, obs, net)
    assert state_of(net) == before and not net.head.training and net.convolutions.training
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        assert parameter.grad is gradient and bool((gradient == 7).all()) and parameter.requires_grad
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())
    assert torch.equal(obs, pixels) and not obs.requires_grad and obs.grad is None
    assert torch.equal(torch.get_rng_state(), random)


@every_method
def test_nothing_is_left_after_an_exception(name: str) -> None:
    class Broken(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            raise ZeroDivisionError

    net, obs = network(), observations()
    score = score_for(name, net, obs)
    net.head[2] = Broken()
    before = state_of(net)
    with pytest.raises(ZeroDivisionError):
        METHODS[name](score, obs)
    assert state_of(net) == before and torch.is_grad_enabled()


@every_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_maps_are_found_where_gradients_are_off(name: str, mode: Callable[[], Any]) -> None:
    expected = explained(name, observations())
    net = network().requires_grad_(False)
    with mode():
        found = explained(name, observations(), net)
    torch.testing.assert_close(found, expected)


# ------------------------------------------------------------------------------------------- exact answers


class Plus(nn.Module):
    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, value: Tensor) -> Tensor:
        return value + self.number


def weighted_sum(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs).sum((1, 2, 3))


CONVOLUTION_WEIGHTS = torch.tensor([0.5, -1.0, 2.0, 0.25], dtype=torch.float64)[:, None, None]
LINEAR: dict[str, tuple[dict[str, Any], Callable[[Tensor, Tensor], Tensor]]] = {
    **dict.fromkeys(
        ("gradient", "guided_backpropagation", "smoothgrad", "guided_smoothgrad"), ({}, lambda w, x: w + 0 * x)
    ),
    **dict.fromkeys(("vargrad", "guided_vargrad"), ({}, lambda w, x: 0 * x)),
    "integrated_gradients": ({}, lambda w, x: w * x),
    "grad_cam": ({}, lambda w, x: (w * x).sum(1, keepdim=True).clamp(min=0)),
    "guided_grad_cam": ({}, lambda w, x: w * (w * x).sum(1, keepdim=True).clamp(min=0)),
    "occlusion": ({"window": 1, "stride": 1}, lambda w, x: (w * x).sum(1, keepdim=True)),
}
"""What each method gives for the sum of w x, with which hyper-parameters."""
MIXED = {"rise"} | {name for name, method in METHODS.items() if "blur" in method.hyperparameters}
"""Those whose maps mix neighbouring pixels: tests/equations/test_saliency_perturbations.py has their linear cases."""


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_score_gives_its_weights(name: str) -> None:
    assert set(LINEAR) | MIXED == set(METHODS) and not set(LINEAR) & MIXED
    net = nn.Conv2d(CHANNELS, 1, 1, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(CONVOLUTION_WEIGHTS[None])
    obs = observations(dtype=torch.float64) - 0.3
    changes, expected = LINEAR[name]
    # A ReLU that is always on, without which guided methods refuse: moved so far, no unit is below 0.
    always_on = nn.Sequential(net, Plus(100.0), nn.ReLU(), Plus(-100.0))
    found = METHODS[name](Score(always_on, weighted_sum), obs, **changes)
    torch.testing.assert_close(found, expected(CONVOLUTION_WEIGHTS, obs))


@pytest.mark.parametrize("name", sorted(MIXED))
def test_maps_of_a_sum_are_the_sum_of_the_maps(name: str) -> None:
    class Both(nn.Module):
        def __init__(self, first: bool, second: bool) -> None:
            super().__init__()
            self.net, self.first, self.second = network(torch.float64), first, second

        def forward(self, obs: Tensor) -> Tensor:
            return (self.first * self.net(obs)[:, 0] + self.second * self.net(obs)[:, 1])[:, None]

    obs = observations(dtype=torch.float64)
    first, second, both = (
        METHODS[name](named_for(name, Score(Both(*which), output)), obs, **FEW.get(name, {}))
        for which in ((1, 0), (0, 1), (1, 1))
    )
    torch.testing.assert_close(first + second, both)


def corner(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs)[:, :, 0, 0].sum(1)


IGNORING = {
    **{name: ({}, 1) for name, method in METHODS.items() if method.gradient_based and name != "grad_cam"},
    "occlusion": ({"window": 2, "stride": 2}, 2),
    # A mask of standard deviation 0.5 ends 2 pixels from its disc of radius 1, and the next grid point is 1 pixel on.
    **{name: ({"radius": 0.5, "stride": 1}, 1 + 3) for name in sorted(MIXED - {"rise"})},
}
"""Hyper-parameters, and how many pixels from a pixel that alone matters the map may be other than zero.

Grad-CAM is as coarse as the last convolution's maps, and RISE's masks are open somewhere else too.
"""


@pytest.mark.parametrize("name", IGNORING)
def test_a_pixel_that_the_score_ignores_gets_zero(name: str) -> None:
    assert set(METHODS) - set(IGNORING) == {"grad_cam", "rise"}
    net = nn.Sequential(nn.Conv2d(CHANNELS, 3, 1), nn.ReLU(), nn.Tanh())
    with torch.no_grad():
        net[0].weight.copy_(torch.linspace(0.1, 1, 3 * CHANNELS).view(3, CHANNELS, 1, 1))
        net[0].bias.zero_()
    obs = observations()
    changes, reach = IGNORING[name]
    found = METHODS[name](named_for(name, Score(net, corner)), obs, **changes)
    assert found[:, :, 0, 0].abs().max() > 0
    found[:, :, :reach, :reach] = 0
    assert found.abs().max() == 0


class Listed(nn.Module):
    """As Stable-Baselines3's critic: its networks are registered, and called through a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.q_networks = []
        for index in range(2):
            self.add_module(f"q{index}", network())
            self.q_networks.append(self.get_submodule(f"q{index}"))

    def forward(self, obs: Tensor) -> Tensor:
        return self.q_networks[0](obs)


@every_method
def test_networks_in_plain_lists_are_explained_as_any_other(name: str) -> None:
    obs = observations()
    found = explained(name, obs, Listed())
    torch.testing.assert_close(found, explained(name, obs))
    if name == "guided_backpropagation":
        assert not torch.allclose(found, explained("gradient", obs))


# Dynamo itself makes an instance of autograd functions while it traces them.
@pytest.mark.parametrize("method", ["gradient", "guided_backpropagation", "integrated_gradients"])
def test_attribution_inside_losses_compiles_whole(method: str) -> None:
    attribute = attribution_of_q1(build("sgqn").networks.actor_critic.critic, method)
    batch = sample("sgqn")
    compiled = torch.compile(attribute, fullgraph=True, backend="aot_eager")
    found = compiled(batch.obs.float(), batch.action)
    torch.testing.assert_close(found, attribute(batch.obs.float(), batch.action))
