"""Targets of an attack: a policy's action, its value, or its whole distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from saccade.policies.policy import Policy
from saccade.policies.score_kinds import SCORES
from saccade.policies.scores import make_score
from saccade.types import Score, UserError

MAKE = Callable[[Policy, Tensor, Tensor], Score]
"""``(policy, obs, action) -> Score`` that an attack increases."""


@final
@dataclass(frozen=True)
class Target:
    """One row of ``TARGETS``."""

    make: MAKE
    summary: str


def _action(policy: Policy, obs: Tensor, action: Tensor) -> Score:
    """For discrete actions the negative log-probability of the action; for vectors half their squared distance."""
    if not policy.discrete:
        return make_score(policy, "action_distance", obs, action)
    preferences = policy.preferences

    def surprise(network: nn.Module, pixels: Tensor, action: Tensor) -> Tensor:
        return -preferences(network, pixels).log_softmax(-1).gather(-1, action[:, None])[:, 0]

    return Score(policy.network, surprise, (action,))


def _value(policy: Policy, obs: Tensor, action: Tensor) -> Score:
    """The negated value of the state, or of the action if a policy has no other."""
    if "value" not in policy.outputs and not {"q", "q_values"} & set(policy.outputs):
        raise UserError(f"{policy.name} computes no value: attack its action or its policy.")
    return lowered(make_score(policy, "value" if "value" in policy.outputs else "q", obs, action))


def _divergence(policy: Policy, obs: Tensor, action: Tensor) -> Score:
    """KL from the clean policy; for a Gaussian the squared shift of its mean in standard deviations (SA-PPO).

    A policy that has neither is attacked through its action.
    """
    if policy.discrete:
        return make_score(policy, "kl", obs, action)
    if not {"mean", "log_std"} <= set(policy.outputs):
        return make_score(policy, "action_distance", obs, action)
    mean = policy.outputs["mean"]
    with torch.no_grad():
        clean = mean(policy.network, obs)
        precision = torch.exp(-policy.outputs["log_std"](policy.network, obs))

    def shift(network: nn.Module, pixels: Tensor, clean: Tensor, precision: Tensor) -> Tensor:
        return ((mean(network, pixels) - clean) * precision).square().sum(-1)

    return Score(policy.network, shift, (clean, precision.expand_as(clean)), distance=True)


TARGETS = {
    "action": Target(_action, "the action: its surprise if it is discrete, else the squared distance"),
    "value": Target(_value, "the value that the policy expects, lowered"),
    "policy": Target(_divergence, "the whole policy: KL, or the squared shift of a Gaussian's mean"),
}
"""Targets of attacks by name. Every name in ``SCORES`` is one too: distances are increased, others lowered."""


def lowered(score: Score) -> Score:
    """Return the score whose increase lowers the given one."""
    function = score.function

    def negative(network: nn.Module, pixels: Tensor, *given: Tensor) -> Tensor:
        return -function(network, pixels, *given)

    return dataclasses.replace(score, function=negative)


def check_target(name: str) -> None:
    """Raise UserError for a name that is no target."""
    if name not in TARGETS and name.partition(":")[0] not in SCORES:
        raise UserError(f"There is no target {name!r}: choose from {', '.join(TARGETS)} and the scores of a policy.")


def target_score(policy: Policy, name: str, obs: Tensor, action: Tensor) -> Score:
    """Return the score that an attack increases.

    Args:
        name: a name in ``TARGETS`` or ``SCORES``.
        obs: as ``policy.tensor`` returns it.
        action: the policy's action there, as ``policy.greedy`` returns it.

    Raises:
        UserError: there is no such target, or this policy does not compute it.
    """
    check_target(name)
    if name in TARGETS:
        return dataclasses.replace(TARGETS[name].make(policy, obs, action), name=name)
    score = make_score(policy, name, obs, action)
    return score if score.distance else lowered(score)
