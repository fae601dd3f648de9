"""Views of networks: the same parameters in other hands, wherever a network keeps its parts."""

from __future__ import annotations

import copy
import functools
from typing import Any, NamedTuple

import pytest
import torch
from saliency_cases import network, observations
from torch import Tensor, nn

from saccade.nets.views.guided import GuidedReLU, guided_view
from saccade.nets.views.views import layers_of, randomised, replaced, tapped
from saccade.types import UserError


class Pair(NamedTuple):
    first: Any
    second: Any


class Scattered(nn.Module):
    """Keeps its ReLU in every place where people keep modules."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU()
        head = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.registered = relu
        self.head = head
        self.heads = [head, [nn.ReLU()]]  # a plain list, of a registered module and of one that is not
        self.by_name = {"relu": relu}
        self.pair = Pair(relu, (nn.ReLU(), "text"))
        self.method = head.forward
        self.partial = functools.partial(self.add, relu)
        self.children_know = [self]
        self.optimizer = torch.optim.SGD(self.parameters(), 0.1)
        self.shapes = [1, 2]
        self.register_buffer("scale", torch.ones(1))

    def add(self, relu: nn.Module, value: Tensor) -> Tensor:
        return relu(value) + self.scale

    def forward(self, obs: Tensor) -> Tensor:
        return self.registered(obs)


def test_parts_are_replaced_wherever_they_are_held() -> None:
    net = Scattered()
    before = dict(vars(net))
    view = guided_view(net)
    relus = [view.registered, view.head[1], view.heads[0][1], view.heads[1][0], view.by_name["relu"], view.pair.first]
    relus += [view.pair.second[0], view.method.__self__[1], view.partial.args[0]]
    assert all(type(relu) is GuidedReLU for relu in relus)
    assert view.registered is view.by_name["relu"] is view.pair.first is view.partial.args[0]
    assert view.heads[0] is view.head is view.method.__self__
    assert view.children_know[0] is view and view.partial.func.__self__ is view
    assert isinstance(view.pair, Pair)
    kept = ("optimizer", "shapes", "_buffers", "_parameters")
    assert all(vars(view)[name] is before[name] for name in kept)
    assert vars(net) == before and type(net.heads[1][0]) is nn.ReLU
    assert all(ours is theirs for ours, theirs in zip(view.parameters(), net.parameters(), strict=True))


def test_modules_that_lead_to_nothing_replaced_stay_the_same_objects() -> None:
    net = network()
    view = replaced(net, {id(net.head[1]): nn.Tanh()})
    assert view.convolutions is net.convolutions and view.head[0] is net.head[0]
    assert isinstance(view.head[1], nn.Tanh) and isinstance(net.head[1], nn.ReLU)


def test_later_changes_to_the_parameters_show_in_the_view() -> None:
    net = network()
    view = guided_view(net)
    with torch.no_grad():
        net.convolutions[0].weight.mul_(2)
    obs = observations()
    assert torch.equal(view(obs), net(obs))


def test_a_guided_view_keeps_relus_of_other_kinds() -> None:
    class Doubled(nn.ReLU):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    view = guided_view(nn.Sequential(Doubled(), nn.LeakyReLU(), nn.ReLU6()))
    assert [type(layer) for layer in view] == [Doubled, nn.LeakyReLU, nn.ReLU6]


def test_a_tap_sees_every_call_and_keeps_what_the_layer_is() -> None:
    net, obs = network(), observations()
    view, tape = tapped(net, ["convolutions.0", "head.1"])
    assert torch.equal(view(obs), net(obs)) and [call.layer for call in tape] == ["convolutions.0", "head.1"]
    convolution = view.convolutions[0]
    assert type(convolution) is nn.Conv2d and convolution.weight is net.convolutions[0].weight
    assert torch.equal(tape[0].output, net.convolutions[0](obs)) and tape[0].inputs[0] is obs
    assert torch.equal(tape[1].output, tape[1].inputs[0].clamp(min=0))
    assert "forward" not in vars(net.convolutions[0])
    net(obs)
    assert len(tape) == 2, "the network itself is tapped"


def test_a_tapped_module_and_its_tapped_child_are_both_seen() -> None:
    net, obs = network(), observations()
    view, tape = tapped(net, ["head", "head.0"])
    view(obs)
    assert [call.layer for call in tape] == ["head.0", "head"]


def test_names_are_those_that_the_network_registers() -> None:
    net = network()
    assert list(layers_of(net)) == [name for name, _ in net.named_modules()]
    assert "heads.1.0" in layers_of(Scattered())


def test_randomisation_cascades_from_the_end() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    views = randomised(net, seed=0)
    assert [name for name, _ in views] == ["head.2", "head.0", "convolutions.2", "convolutions.0"]
    for index, (_, view) in enumerate(views):
        for place, (name, _) in enumerate(views):
            layer, original = view.get_submodule(name), net.get_submodule(name)
            assert (layer.weight is original.weight) == (place > index)
            assert layer.weight.shape == original.weight.shape
            assert torch.equal(layer.weight, original.weight) == (place > index)
        assert views[-1][1].get_submodule(views[index][0]).weight is view.get_submodule(views[index][0]).weight
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not torch.equal(views[-1][1](observations()), net(observations()))


def test_a_layer_is_drawn_as_it_draws_itself() -> None:
    net = network()
    again = dict(randomised(net, seed=3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = nn.Linear(16, 3)  # nothing but reset_parameters draws when a layer is made
    assert torch.equal(again["head.2"].head[2].weight, expected.weight)
    assert torch.equal(again["head.2"].head[2].bias, expected.bias)
    other = dict(randomised(net, seed=4))
    assert not torch.equal(again["head.2"].head[2].weight, other["head.2"].head[2].weight)


def test_only_the_named_layers_are_randomised_in_their_order() -> None:
    net = network()
    views = randomised(net, 0, ["head.2", "convolutions.0"])
    assert [name for name, _ in views] == ["convolutions.0", "head.2"]
    assert views[-1][1].head[0] is net.head[0]
    with pytest.raises(UserError, match="no layer 'tail'"):
        randomised(net, 0, ["tail"])


def test_tied_weights_stay_tied_and_a_reset_that_reaches_into_children_does_no_harm() -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Linear(2, 2)
            self.own = nn.Parameter(torch.ones(3))
            self.tied = nn.Linear(2, 2)
            self.tied.weight = self.child.weight

        def reset_parameters(self) -> None:
            nn.init.zeros_(self.own)
            nn.init.zeros_(self.child.weight)

    net = Greedy()
    weight = net.child.weight.clone()
    (_, tied), (_, child), (name, whole) = randomised(net, 0)
    assert name == "Greedy" and whole.own.abs().sum() == 0 and net.own.sum() == 3
    assert torch.equal(net.child.weight, weight)
    assert tied.child.weight is tied.tied.weight is whole.child.weight
    assert child.child.bias is not net.child.bias


def test_statistics_are_reset_with_their_layer_and_others_are_shuffled() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.arange(100.0))

    net = nn.Sequential(nn.BatchNorm1d(2), Plain())
    net[0].running_mean.fill_(7.0)
    (_, last), (_, both) = randomised(net, 0)
    assert last[0].running_mean[0] == 7 and both[0].running_mean.abs().sum() == 0 and net[0].running_mean[0] == 7
    assert not torch.equal(last[1].weight, net[1].weight)
    assert torch.equal(last[1].weight.sort().values, net[1].weight)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_and_scripted_modules_are_refused() -> None:
    called = network()
    called.head.compile(backend="eager")
    wrapped = nn.Sequential(torch.compile(network(), backend="eager"))
    for net in (called, wrapped):
        for view in (guided_view, layers_of, lambda net: randomised(net, 0), lambda net: tapped(net, [])):
            with pytest.raises(UserError, match="is compiled"):
                view(net)
    traced = torch.jit.trace(network(), observations())
    for net in (traced, nn.Sequential(traced)):
        with pytest.raises(UserError, match="is scripted or traced"):
            guided_view(net)
