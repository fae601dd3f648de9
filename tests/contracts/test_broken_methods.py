"""``saccade.testing.check_method`` finds every fault of a method that it says it finds."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_conformance import broken
from torch import Generator, Tensor, nn
from toy_methods import CHOICES, CHOOSER, SPACES, Change, Toy, faulty, make_chooser, make_toy

from saccade.agents.agent import Agent, Shared, Term
from saccade.testing import check_method
from saccade.testing.acting import check_acts
from saccade.testing.cases import case_of
from saccade.testing.random_states import OTHER_SEED
from saccade.types import Batch, Spaces, UserError

# --------------------------------------------------------------------------------------------------- acting


def acting(change: Callable[[Tensor, Generator | None], Tensor]) -> Change:
    """Agents whose actions are changed, ``(action, generator) -> action``, and that compute no outputs."""

    def changed(agent: Agent) -> Agent:
        def act(obs: Tensor, generator: Generator | None) -> Tensor:
            return change(agent.act(obs, generator), generator)

        return dataclasses.replace(agent, act=act, outputs={})

    return changed


def of_the_seed_of_the_process(action: Tensor, generator: Generator | None) -> Tensor:
    return action / 2 if torch.initial_seed() == OTHER_SEED else action


def darkens(agent: Agent) -> Agent:
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        action = agent.act(obs, generator)
        obs.clamp_(max=200)
        return action

    return dataclasses.replace(agent, act=act)


class Thresholds(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return F.relu(value)


class MethodThresholds(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value.relu()


def thresholding_by(module: nn.Module) -> Change:
    def changed(agent: Agent) -> Agent:
        agent.networks.encoder[1] = module
        return agent

    return changed


def output(name: str, compute: Callable[..., Tensor]) -> Change:
    return lambda agent: dataclasses.replace(agent, outputs={**agent.outputs, name: compute})


def output_of_itself(agent: Agent) -> Agent:
    nets = agent.networks
    return dataclasses.replace(agent, outputs={"action": lambda networks, obs: nets.mean(obs)})


def drawing_map(name: str, find: Callable[[Tensor, Tensor], Tensor]) -> Change:
    return lambda agent: dataclasses.replace(agent, maps={name: find})


def picture(draw: Callable[[Tensor], Tensor]) -> Change:
    return lambda agent: dataclasses.replace(agent, pictures={"own": draw})


def backward_picture(agent: Agent) -> Agent:
    def draw(obs: Tensor) -> Tensor:
        agent.networks.mean(obs).sum().backward()
        return obs

    return dataclasses.replace(agent, pictures={"own": draw})


def weight_elsewhere(agent: Agent) -> Agent:
    scale = torch.rand(())
    return acting(lambda action, _: action * scale)(agent)


def weight_twice(agent: Agent) -> Agent:
    agent.networks.again = agent.networks.policy.weight
    return agent


ACTING: dict[str, tuple[Change, str]] = {
    "out of range": (
        acting(lambda action, _: action * 99),
        r"act\(obs, None\) returned actions in .*: they must be -1..1",
    ),
    "drawn out of range": (
        acting(lambda action, generator: action * (9 if generator else 1)),
        r"act\(obs, generator\) returned actions in",
    ),
    "one number short": (
        acting(lambda action, _: action[:, :1]),
        r"act\(obs, None\) returned torch.float32 of shape \[4, 1\]: return float \[4, 2\]",
    ),
    "whole numbers": (acting(lambda action, _: action.long()), "returned torch.int64 of shape"),
    "a gradient": (acting(lambda action, _: action.clone().requires_grad_()), "with a gradient: return"),
    "global numbers": (
        acting(lambda action, _: action * torch.rand(())),
        "Agent.act drew from PyTorch's global random numbers",
    ),
    "Python's numbers": (
        acting(lambda action, _: action * random.random()),
        "Agent.act drew from Python's global random numbers",
    ),
    "the process's seed": (acting(of_the_seed_of_the_process), r"act\(obs, None\) gave two different actions"),
    "the process's seed when drawing": (
        acting(lambda action, generator: of_the_seed_of_the_process(action, generator) if generator else action),
        "act returned different actions with generators of the same seed",
    ),
    "nothing drawn": (
        lambda agent: dataclasses.replace(agent, act=lambda obs, _: agent.act(obs, None)),
        "act returned the same action with generators of 8 seeds",
    ),
    "other observations": (darkens, "act changed the observations"),
    "an output of no name": (output("policy", lambda nets, obs: nets.mean(obs)), "The output 'policy' is unknown"),
    "an output of choices": (
        output("logits", lambda nets, obs: nets.mean(obs)),
        r"The output 'logits' is for the other kind of action: .*Continuous\(dims=2\) has none",
    ),
    "an output's shape": (
        output("value", lambda nets, obs: nets.mean(obs)),
        r"The output 'value' has the shape \[4, 2\]: return \[4\]",
    ),
    "an infinite output": (
        output("mean", lambda nets, obs: nets.mean(obs) / 0),
        "The output 'mean' is NaN or infinite",
    ),
    "an output of other weights": (output_of_itself, "The output 'action' does not use the networks"),
    "an output of another action": (
        output("action", lambda nets, obs: nets.mean(obs) / 2),
        r"The outputs disagree with act\(obs, None\)",
    ),
    "ReLU as a function": (thresholding_by(Thresholds()), "The networks call ReLU as a function, 3 times"),
    "ReLU as a method": (thresholding_by(MethodThresholds()), "The networks call ReLU as a function"),
    "a map of channels": (
        drawing_map("own", lambda obs, _: obs.float()),
        r"'own' has the shape .*: return \[4, 1, 12, 12\]",
    ),
    "an empty map": (drawing_map("own", lambda obs, _: 0.0 * obs[:, :1]), "The map 'own' is zero everywhere"),
    "an infinite map": (drawing_map("own", lambda obs, _: 1 / (obs[:, :1] * 0.0)), "The map 'own' is NaN or infinite"),
    "a map with a gradient": (
        drawing_map("own", lambda obs, _: obs[:, :1].float().requires_grad_()),
        "The map 'own' has a gradient",
    ),
    "a mask of pixels": (drawing_map("own_mask", lambda obs, _: obs[:, :1].float()), "'own_mask' lies in .* 0..1"),
    "a larger picture": (picture(lambda obs: F.pad(obs, (1, 1, 1, 1))), r"The picture 'own' has the shape .*14, 14"),
    "a brighter picture": (picture(lambda obs: obs + 200), "The picture 'own' lies in .* 0..255"),
    "a black picture": (picture(lambda obs: obs * 0), "The picture 'own' lies in 0..0"),
    "a picture of all": (picture(lambda obs: obs / 2 + obs.mean(0) / 2), "The picture 'own' of a sample depends on"),
    "a picture with a gradient": (picture(lambda obs: obs.requires_grad_()), "The picture 'own' has a gradient"),
    "a picture that differentiates": (
        backward_picture,
        "left a gradient on encoder.0.weight, encoder.0.bias, policy.weight and 1 more",
    ),
    "a weight elsewhere": (weight_elsewhere, "The action differs after the networks were saved and loaded"),
    "a weight twice": (weight_twice, r"The networks cannot be saved as safetensors \(.*share memory"),
}

# -------------------------------------------------------------------------------------------------- learning


def loss(change: Callable[[Tensor, Batch, Agent], Any]) -> Change:
    """Agents whose first loss is changed: ``(loss, batch, agent) -> loss``."""

    def changed(agent: Agent) -> Agent:
        critic, actor = agent.phases
        (term,) = critic.terms.values()

        def other(batch: Batch, shared: Shared) -> Tensor:
            return change(term.loss(batch, shared), batch, agent)

        return dataclasses.replace(agent, phases=(dataclasses.replace(critic, terms={"error": Term(other)}), actor))

    return changed


def optimizer(make: Callable[[Agent], torch.optim.Optimizer]) -> Change:
    def changed(agent: Agent) -> Agent:
        critic, actor = agent.phases
        return dataclasses.replace(agent, phases=(dataclasses.replace(critic, optimizer=make(agent)), actor))

    return changed


def preparing(change: Callable[[Batch, Generator], Batch]) -> Change:
    def changed(agent: Agent) -> Agent:
        def prepare(batch: Batch, generator: Generator) -> Batch:
            return change(agent.prepare(batch, generator), generator)

        return dataclasses.replace(agent, prepare=prepare)

    return changed


def looking(agent: Agent) -> Agent:
    critic, actor = agent.phases

    def look(batch: Batch) -> dict[str, Tensor]:
        return {"features": actor.look(batch)["features"] + torch.rand(())}

    return dataclasses.replace(agent, phases=(critic, dataclasses.replace(actor, look=look)))


def looking_otherwise_compiled(agent: Agent) -> Agent:
    critic, actor = agent.phases

    def look(batch: Batch) -> dict[str, Tensor]:
        return {"features": actor.look(batch)["features"] * (2 if torch.compiler.is_compiling() else 1)}

    return dataclasses.replace(agent, phases=(critic, dataclasses.replace(actor, look=look)))


def as_the_compiler_sees_it(value: Tensor, batch: Batch, agent: Agent) -> Tensor:
    return value * 2 if torch.compiler.is_compiling() else value


def in_two_regions(value: Tensor, batch: Batch, agent: Agent) -> Tensor:
    torch._dynamo.graph_break()
    return value


def drawn_elsewhere(batch: Batch, generator: Generator) -> Batch:
    own = Generator()
    own.seed()
    return batch._replace(reward=torch.rand(batch.reward.shape, generator=own))


LEARNING: dict[str, tuple[Change, str]] = {
    "one name for two": (
        lambda agent: dataclasses.replace(agent, phases=(agent.phases[0], agent.phases[0])),
        "Two phases are called critic:",
    ),
    "a loss for each sample": (loss(lambda value, batch, _: value + batch.reward), r"critic/error has shape \[4\]"),
    "a loss of Python": (loss(lambda value, *_: 1.0), "The loss critic/error has type float"),
    "no number": (loss(lambda value, *_: (value * 0 - 1).log()), "The loss critic/error is nan"),
    "weights of nobody": (
        optimizer(lambda agent: torch.optim.Adam([nn.Parameter(torch.ones(7))])),
        r"The optimizer of phase 'critic' steps a parameter of shape \[7\] that is not in Agent.networks",
    ),
    "no weight": (loss(lambda value, *_: value.detach()), "The loss of phase 'critic' depends on no parameter"),
    "weights out of reach": (
        optimizer(lambda agent: torch.optim.Adam(agent.networks.parameters())),
        "The loss of phase 'critic' does not reach policy.weight, policy.bias, which its optimizer steps",
    ),
    "a root of zero": (
        loss(lambda value, _, agent: value + (0 * agent.networks.value.weight).sum().sqrt()),
        "The gradient of phase 'critic' for value.weight is not finite",
    ),
    "times zero": (loss(lambda value, *_: value * 0), "The gradient of phase 'critic' is zero for everything"),
    "drawn in the loss": (
        loss(lambda value, *_: value + torch.rand(())),
        "The look or a loss of phase 'critic' drew from PyTorch's global random numbers",
    ),
    "drawn in the look": (looking, "The look or a loss of phase 'actor' drew from PyTorch's global"),
    "the process's seed": (
        loss(lambda value, *_: value / 2 if torch.initial_seed() == OTHER_SEED else value),
        "The look or a loss of phase 'critic' returned something else for the same batch",
    ),
    "in place": (
        loss(lambda value, batch, _: value + batch.obs.clamp_(max=9).mean()),
        "Phase 'critic' changed batch.obs",
    ),
    "a number read": (
        loss(lambda value, *_: value * (1 + 0 * value.item())),
        "Phase 'critic' waits for the device .*_local_scalar_dense",
    ),
    "chosen by a mask": (
        loss(lambda value, batch, _: value + batch.reward[batch.reward > 0].mean()),
        "Phase 'critic' waits for the device .*index",
    ),
    "in two regions": (loss(in_two_regions), r"Phase 'critic' does not compile as a whole \("),
    "another loss compiled": (
        loss(as_the_compiler_sees_it),
        "Phase 'critic' compiled gives other values of its loss and a gradient",
    ),
    "another look compiled": (looking_otherwise_compiled, "Phase 'actor' compiled gives other values of features"),
    "drawn in an update": (
        preparing(lambda batch, _: batch._replace(reward=torch.rand_like(batch.reward))),
        "An update drew from PyTorch's global random numbers",
    ),
    "drawn elsewhere": (
        preparing(drawn_elsewhere),
        r"Two runs with the same seeds differ after 4 updates, in encoder.0.weight, ",
    ),
    "standing still": (
        optimizer(
            lambda agent: torch.optim.SGD(
                [
                    {"params": agent.networks.encoder.parameters(), "lr": 0.0},
                    {"params": agent.networks.value.parameters()},
                ]
            )
        ),
        "After 4 updates encoder.0.weight is unchanged, although an optimizer steps it",
    ),
    "exploding": (
        optimizer(lambda agent: torch.optim.SGD(agent.networks.value.parameters(), lr=1e30)),
        r"In update 1 critic/error is (inf|nan)",
    ),
}

# ------------------------------------------------------------------------------------- choices and rollouts


CHOOSING: dict[str, tuple[Change, str]] = {
    "numbers": (
        acting(lambda action, _: action.float()),
        r"act\(obs, None\) returned torch.float32 of shape \[4\]: return long \[4\]",
    ),
    "from one": (acting(lambda action, _: action + 1), r"act\(obs, .*\) returned actions in .*: they must be 0..2"),
    "another preference": (
        output("logits", lambda nets, obs: -nets.policy(nets.features(obs))),
        r"The outputs disagree with act\(obs, None\)",
    ),
}


@pytest.mark.parametrize("fault", ACTING)
def test_a_fault_in_acting_is_told(fault: str) -> None:
    change, says = ACTING[fault]
    broken(check_method, faulty(change), SPACES, config=Toy(), says=says)


@pytest.mark.parametrize("fault", LEARNING)
def test_a_fault_in_learning_is_told(fault: str) -> None:
    change, says = LEARNING[fault]
    broken(check_method, faulty(change), SPACES, config=Toy(), says=says)


@pytest.mark.parametrize("fault", CHOOSING)
def test_a_fault_in_choosing_is_told(fault: str) -> None:
    change, says = CHOOSING[fault]
    broken(check_method, dataclasses.replace(CHOOSER, make=faulty(change, make_chooser)), CHOICES, says=says)


def test_sound_methods_pass() -> None:
    check_method(make_toy, SPACES, config=Toy())
    check_method(CHOOSER, CHOICES)


def test_actions_of_rollouts_may_leave_the_range() -> None:
    def make(config: Toy, spaces: Spaces, *rest: Any) -> Agent:
        return acting(lambda action, _: action * 3)(make_toy(config, spaces, *rest))

    broken(check_method, make, SPACES, config=Toy(), says="they must be -1..1")
    check_acts(case_of(dataclasses.replace(CHOOSER, make=make), SPACES, None))


@pytest.mark.parametrize(("given", "missing"), [({"config": Toy()}, "spaces"), ({"spaces": SPACES}, "config")])
def test_a_function_alone_is_too_little(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(UserError, match=f"says nothing about its {missing}: give {missing}="):
        check_method(make_toy, **given)
