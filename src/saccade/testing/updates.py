"""Check what updates do to a method: everything that is owned learns, and a seeded run repeats bit for bit."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from saccade.agents.agent import Agent, make_update
from saccade.testing.cases import MethodCase
from saccade.testing.conformance import first_few, require
from saccade.testing.random_states import other_random_states, untouched


def check_updates(case: MethodCase, updates: int) -> None:
    """Check that two runs with the same seeds end with the same bits, and have changed everything that is owned."""
    agent = case.agent()
    before = {name: weight.clone() for name, weight in agent.networks.named_parameters()}
    with untouched("An update"):
        first = trained(case, agent, updates)
    with other_random_states():
        again = trained(case, case.agent(), updates)
    different = [name for name, value in first.items() if not torch.equal(again[name], value)]
    require(
        different == [],
        f"Two runs with the same seeds differ after {updates} updates, in {first_few(different)}: draw from the "
        "generator that prepare and draw are given, and from nothing else.",
    )
    learned = {id(weight) for phase in agent.phases if phase.terms.keys() == phase.begun(0) for weight in phase.owned()}
    still = [
        name
        for name, weight in agent.networks.named_parameters()
        if id(weight) in learned and weight.ndim > 1 and torch.equal(weight, before[name])
    ]
    require(
        still == [],
        f"After {updates} updates {first_few(still)} is unchanged, although an optimizer steps it: its gradient "
        "is always zero, or its learning rate is.",
    )


def trained(case: MethodCase, agent: Agent, updates: int) -> dict[str, Tensor]:
    """Return the agent's weights after several updates, each on another batch."""
    update, generator = make_update(agent), torch.Generator().manual_seed(0)
    for index in range(updates):
        metrics = update(functools.partial(case.batch, seed=index), generator, index)
        broken = [f"{key} is {value.item()}" for key, value in metrics.items() if not bool(value.isfinite())]
        require(broken == [], f"In update {index} {first_few(broken)}: earlier losses have broken a weight.")
    return agent.networks.state_dict()
