"""What every saliency method refuses, in one sentence, instead of giving a map that is wrong."""

from __future__ import annotations

import dataclasses
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
    named_for,
    network,
    observations,
    score_for,
)
from torch import Tensor, nn

from saccade.saliency import METHODS
from saccade.saliency.blur_perturbation import blur_perturbation
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


class By(nn.Module):
    """A function of one's own in the place of an activation."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, value: Tensor) -> Tensor:
        return self.function(value)


class OwnReLU(nn.ReLU):
    def forward(self, value: Tensor) -> Tensor:
        return value.clamp(min=0)


AS_A_FUNCTION = "ReLU as a function, or as a clamp at 0"
ACTIVATIONS: dict[str, tuple[nn.Module, str]] = {
    "F.relu": (By(F.relu), AS_A_FUNCTION),
    "clamp": (By(lambda x: x.clamp(min=0)), AS_A_FUNCTION),
    "clamp_min": (By(lambda x: x.clamp_min(0.0)), AS_A_FUNCTION),
    "clamp from a tensor": (By(lambda x: x.clamp(min=torch.zeros(()))), AS_A_FUNCTION),
    "clamp 0 to 6": (By(lambda x: x.clamp(0, 6)), AS_A_FUNCTION),
    "maximum": (By(lambda x: torch.maximum(x, torch.zeros(()))), AS_A_FUNCTION),
    "turned maximum": (By(lambda x: torch.maximum(torch.zeros(()), x)), AS_A_FUNCTION),
    "fmax": (By(lambda x: torch.fmax(x, torch.zeros(()))), AS_A_FUNCTION),
    "threshold": (nn.Threshold(0, 0), AS_A_FUNCTION),
    "a subclass": (OwnReLU(), AS_A_FUNCTION),
    "ReLU6": (nn.ReLU6(), "calls ReLU6"),
    "F.relu6": (By(F.relu6), "calls ReLU6"),
    "hardtanh from 0": (nn.Hardtanh(0, 1), "calls ReLU6 or a Hardtanh from 0"),
    "LeakyReLU": (nn.LeakyReLU(), "calls LeakyReLU"),
    "PReLU": (nn.PReLU(), "calls PReLU"),
    "RReLU": (nn.RReLU(), "calls (RReLU|LeakyReLU)"),
    "ELU": (nn.ELU(), "calls ELU"),
    "SELU": (nn.SELU(), "calls ELU or SELU"),
    "CELU": (nn.CELU(), "calls CELU"),
    "SiLU": (nn.SiLU(), "calls SiLU"),
    "GELU": (nn.GELU(), "calls GELU"),
    "Mish": (nn.Mish(), "calls Mish"),
    "Hardswish": (nn.Hardswish(), "calls Hardswish"),
    "Tanh": (nn.Tanh(), "through no nn.ReLU"),
    "Sigmoid": (nn.Sigmoid(), "through no nn.ReLU"),
    "Softplus": (nn.Softplus(), "through no nn.ReLU"),
    "where": (By(lambda x: torch.where(x > 0, x, 0)), "through no nn.ReLU"),
    "product": (By(lambda x: x * (x > 0)), "through no nn.ReLU"),
    "none": (nn.Identity(), "through no nn.ReLU"),
}
"""What stands where a ReLU would, and how the guided methods refuse a network that has nothing else."""
BESIDE_RELU = frozenset(name for name, (_, why) in ACTIVATIONS.items() if "no nn.ReLU" not in why)


def activated(activation: nn.Module, head: nn.Module | None = None) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Linear(6 * 25, 8)
    return nn.Sequential(network().convolutions[0], activation, nn.Flatten(), linear, head or nn.Identity())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", GUIDED)
def test_where_guided_would_be_the_plain_gradient_it_is_refused(name: str, activation: str) -> None:
    layer, why = ACTIVATIONS[activation]
    with pytest.raises(UserError, match=why):
        explained(name, observations(), activated(layer))


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU", "ignore:Input Tensor.*did not already require")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_beside_a_relu_only_what_could_be_one_is_refused(activation: str) -> None:
    captum = pytest.importorskip("captum.attr")
    layer, why = ACTIVATIONS[activation]
    obs, nets = observations(), (activated(nn.ReLU(), layer), activated(layer, nn.ReLU()))
    for net in nets:
        if activation in BESIDE_RELU:
            with pytest.raises(UserError, match=why):
                explained("guided_backpropagation", obs, net)
        else:
            found = explained("guided_backpropagation", obs, net)
            expected = captum.GuidedBackprop(net).attribute(obs, torch.arange(len(obs)) % 3)
            torch.testing.assert_close(found, expected)
            # Of a ReLU at the very end, whose gradient is 1, there is nothing to clip.
            assert net is nets[1] or not torch.allclose(found, explained("gradient", obs, net))


@pytest.mark.parametrize("function", [lambda x: x.clamp(-1, 1), lambda x: torch.minimum(x, 2 * x), F.hardtanh])
def test_bounds_of_an_action_and_the_smaller_critic_are_no_relus(function: Callable[[Tensor], Tensor]) -> None:
    assert explained("guided_backpropagation", observations(), activated(nn.ReLU(), By(function))).any()


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].score])
def test_a_method_takes_no_other_score_under_its_name(name: str) -> None:
    """With any other score the four perturbation methods would give the same map, bit for bit."""
    net, obs = network(), observations()
    own = METHODS[name].score
    others = [method.score for method in METHODS.values() if method.score not in (None, own)]
    for other in ("q", *others):
        with pytest.raises(UserError, match=rf"defined with the score '{own}', but was given the score '{other}'"):
            METHODS[name](dataclasses.replace(distance_score(net, obs), name=other), obs)
    with pytest.raises(UserError, match=r"a score that has no name.*call blur_perturbation of saccade\.saliency"):
        METHODS[name](entry_score(net), obs)
    found = METHODS[name](named_for(name, distance_score(net, obs)), obs)
    torch.testing.assert_close(found, blur_perturbation(distance_score(net, obs), obs))


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
        METHODS[name](named_for(name, Score(network(), function)), observations(), **FEW.get(name, {}))


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
            METHODS[name](named_for(name, Score(network(), function)), observations())


@every_method
def test_observations_must_be_float_pictures(name: str) -> None:
    score, obs = named_for(name, entry_score(network())), observations()
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
