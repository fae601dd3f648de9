"""What every saliency method refuses, in one sentence, instead of giving a map that is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from saliency_cases import (
    FEW,
    Network,
    distance_score,
    entry_score,
    every_method,
    explained,
    network,
    observations,
    score_for,
)
from torch import Tensor, nn

from saccade.saliency import METHODS
from saccade.types import Score, UserError

GUIDED = [name for name in METHODS if name.startswith("guided")]


class Functional(Network):
    def forward(self, obs: Tensor) -> Tensor:
        return self.head[2](F.relu(self.head[0](self.convolutions(obs))))


class Compiled(Network):
    """Its forward pass calls a compiled function, which no module tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.run = [torch.compile(lambda obs: self.head(self.convolutions(obs)), backend="aot_eager")]

    def forward(self, obs: Tensor) -> Tensor:
        return self.run[0](obs)


@pytest.mark.parametrize("name", GUIDED)
def test_guided_methods_refuse_what_they_cannot_see(name: str) -> None:
    obs = observations()
    with pytest.raises(UserError, match="calls ReLU as a function"):
        explained(name, obs, Functional())
    for compiled in (
        torch.compile(network(), backend="eager"),
        nn.Sequential(torch.compile(network(), backend="eager")),
    ):
        with pytest.raises(UserError, match="is compiled"):
            explained(name, obs, compiled)
    if name != "guided_grad_cam":  # whose Grad-CAM already finds that no convolution is called
        with pytest.raises(UserError, match="compiled or scripted"):
            explained(name, obs, Compiled())


@pytest.mark.parametrize("name", ["guided_backpropagation", "guided_smoothgrad", "guided_vargrad"])
def test_without_any_relu_guided_is_plain(name: str) -> None:
    net, obs = nn.Sequential(nn.Flatten(), nn.Linear(576, 8), nn.Tanh(), nn.Linear(8, 3)), observations()
    plain = {"guided_backpropagation": "gradient"}.get(name, name.removeprefix("guided_"))
    torch.testing.assert_close(explained(name, obs, net), explained(plain, obs, net))


@pytest.mark.parametrize("name", ["grad_cam", "guided_grad_cam"])
def test_grad_cam_refuses_what_has_no_convolution_to_read(name: str) -> None:
    obs = observations()
    with pytest.raises(UserError, match="needs a convolution"):
        explained(name, obs, nn.Sequential(nn.Flatten(), nn.Linear(576, 3)))
    with pytest.raises(UserError, match=r"choose one such as convolutions\.0"):
        explained(name, obs, layer="nowhere")
    with pytest.raises(UserError, match="is compiled"):
        explained(name, obs, torch.compile(network(), backend="eager"))
    with pytest.raises(UserError, match="does not run through any"):
        explained(name, obs, Compiled())


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].gradient_based])
def test_gradients_refuse_distances(name: str) -> None:
    net, obs = network(), observations()
    with pytest.raises(UserError, match="its gradient there is zero"):
        METHODS[name](distance_score(net, obs), obs)


def constant(net: nn.Module, obs: Tensor) -> Tensor:
    return net(torch.ones_like(obs))[:, 0]


def no_graph(net: nn.Module, obs: Tensor) -> Tensor:
    return torch.ones(len(obs))


@pytest.mark.parametrize(
    ("name", "function"),
    [(name, no_graph) for name in METHODS]
    # Grad-CAM reads what the convolution gives, whatever it was given.
    + [(name, constant) for name in METHODS if "grad_cam" not in name],
)
def test_a_score_that_does_not_depend_on_the_observation_is_refused(name: str, function: Callable[..., Tensor]) -> None:
    with pytest.raises(UserError, match="does not depend on the observation"):
        METHODS[name](Score(network(), function), observations(), **FEW.get(name, {}))


def test_perturbations_explain_scores_without_a_gradient_as_long_as_they_change() -> None:
    def counted(net: nn.Module, obs: Tensor) -> Tensor:
        return (net(obs)[:, 0] > 0.2).float() + obs.detach()[:, 0, 0, 0]

    obs = observations()
    assert METHODS["occlusion"](Score(network(), counted), obs).abs().max() > 0
    with pytest.raises(UserError, match="does not depend on the observation"):
        METHODS["gradient"](Score(network(), counted), obs)


@every_method
def test_scores_must_give_one_number_per_sample(name: str) -> None:
    def wide(net: nn.Module, obs: Tensor) -> Tensor:
        return net(obs)

    def total(net: nn.Module, obs: Tensor) -> Tensor:
        return net(obs).sum()

    def number(net: nn.Module, obs: Tensor) -> float:
        return 1.0

    for function, given in ((wide, r"shape \[.*3\]"), (total, r"shape \[\]"), (number, "a float")):
        with pytest.raises(UserError, match=f"gave {given} for"):
            METHODS[name](Score(network(), function), observations())


@every_method
def test_observations_must_be_float_pictures(name: str) -> None:
    score, obs = entry_score(network()), observations()
    for wrong in (obs[0], obs[:, :, 0], obs.byte(), obs[:0]):
        with pytest.raises(UserError, match="cannot be explained: give floats"):
            METHODS[name](score, wrong)
    for value in (float("nan"), float("inf")):
        broken = obs.clone()
        broken[0, 0, 0, 0] = value
        with pytest.raises(UserError, match="observations hold NaN or infinity"):
            METHODS[name](score, broken)


@every_method
@pytest.mark.parametrize("parameter", ["convolutions.0.weight", "head.2.bias"])
def test_a_network_with_nan_in_it_is_refused(name: str, parameter: str) -> None:
    net, obs = network(), observations()
    score = score_for(name, net, obs)
    with torch.no_grad():  # of the bias no gradient tells
        net.get_parameter(parameter)[:] = float("nan")
    with pytest.raises(UserError, match=f"the network's weights '{parameter}' hold NaN"):
        METHODS[name](score, obs, **FEW.get(name, {}))


@every_method
def test_numbers_out_of_range_are_refused(name: str) -> None:
    score, obs = score_for(name, network(), observations()), observations()
    with pytest.raises(UserError, match="max_batch 0 is too small"):
        METHODS[name](score, obs, max_batch=0)
    with pytest.raises(UserError, match="4 channels are not 3 frames"):
        METHODS[name](score, obs, frames=3)
    with pytest.raises(UserError, match=r"no hyper-parameter 'speed': it has .*max_batch"):
        METHODS[name](score, obs, speed=3)
    for option, value in (("steps", 0), ("samples", 1 if "vargrad" in name else 0), ("noise", -0.1)):
        if option in METHODS[name].hyperparameters:
            with pytest.raises(UserError, match=f"{option} {value} is too small"):
                METHODS[name](score, obs, **{option: value})
