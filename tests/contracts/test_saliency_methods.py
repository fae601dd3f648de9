"""What every saliency method promises: per sample, in any batch size, exact where that can be, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
from saccade.testing import check_saliency
from saccade.testing.saliency import Linear, weights_themselves
from saccade.types import Score

PER_CHANNEL = [name for name, method in METHODS.items() if method.gradient_based and name != "grad_cam"]


# ------------------------------------------------------------------------------------------- what comes back


@every_method
def test_a_map_has_a_value_per_channel_or_per_frame(name: str) -> None:
    obs = observations()
    found = explained(name, obs)
    assert found.shape == (BATCH, CHANNELS if name in PER_CHANNEL else 1, SIDE, SIDE)
    assert found.is_contiguous()
    by_frame = explained(name, obs, frames=2)
    if METHODS[name].gradient_based:
        assert torch.equal(by_frame, found)
    else:
        assert by_frame.shape == (BATCH, 2, SIDE, SIDE)
        assert not torch.allclose(by_frame[:, :1], by_frame[:, 1:])
    assert explained(name, obs.double(), network(torch.float64)).dtype == torch.float64


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
def test_another_seed_gives_another_map_where_there_is_one(name: str) -> None:
    obs = observations()
    first, other = (explained(name, obs, seed=seed) for seed in (1, 2))
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


@every_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_maps_are_found_where_gradients_are_off(name: str, mode: Callable[[], Any]) -> None:
    expected = explained(name, observations())
    net = network().requires_grad_(False)
    with mode():
        found = explained(name, observations(), net)
    torch.testing.assert_close(found, expected)


# ------------------------------------------------------------------------------------------- exact answers


@dataclass(frozen=True)
class Exact:
    """What ``check_saliency`` is told of a method: its answers where they are known, for some hyper-parameters."""

    linear: Linear | None = weights_themselves
    reach: int | None = 0
    hyperparameters: dict[str, Any] = field(default_factory=dict)


PROMISES = {
    **{name: Exact() for name in ("gradient", "guided_backpropagation", "smoothgrad", "guided_smoothgrad")},
    **{name: Exact(lambda w, x: 0 * x) for name in ("vargrad", "guided_vargrad")},
    "integrated_gradients": Exact(lambda w, x: w * x),
    "grad_cam": Exact(lambda w, x: (w * x).sum(1, keepdim=True).clamp(min=0), reach=None),
    "guided_grad_cam": Exact(lambda w, x: w * (w * x).sum(1, keepdim=True).clamp(min=0)),
    "occlusion": Exact(lambda w, x: (w * x).sum(1, keepdim=True), hyperparameters={"window": 1, "stride": 1}),
    "rise": Exact(None, None, FEW["rise"]),
    # A mask of standard deviation 0.5 ends 2 pixels from its disc of radius 1, and the next grid point is 1 pixel on.
    **{
        name: Exact(None, 3, {"radius": 0.5, "stride": 1})
        for name, method in METHODS.items()
        if "blur" in method.hyperparameters
    },
}
"""Of every method. Where neighbouring pixels mix, tests/equations/test_saliency_perturbations.py has linear cases."""
MIXED = {name for name, exact in PROMISES.items() if exact.linear is None}


@every_method
def test_it_keeps_the_promises_of_a_saliency_method(name: str) -> None:
    exact = PROMISES[name]
    check_saliency(METHODS[name], linear=exact.linear, reach=exact.reach, hyperparameters=exact.hyperparameters)


@pytest.mark.parametrize("name", [name for name, exact in PROMISES.items() if exact.hyperparameters])
def test_it_keeps_them_as_it_is_used(name: str) -> None:
    """With its own hyper-parameters, whose maps have no exact answer."""
    check_saliency(METHODS[name], linear=None, reach=None)


def test_windows_reach_as_far_as_they_are_wide() -> None:
    check_saliency(METHODS["occlusion"], linear=None, reach=1, hyperparameters={"window": 2, "stride": 2})


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
