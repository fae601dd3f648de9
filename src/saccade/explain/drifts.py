"""How far another view of the same state changes what a policy does."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saccade.explain.maps import groups
from saccade.metrics import METRICS
from saccade.metrics.stability import Kind
from saccade.policies.policy import Policy

UNITS: dict[Kind, str] = {
    "logits": "KL, in nats",
    "gaussian": "KL, in nats",
    "action": "squared distance of actions",
}
"""The unit of ``policy_drift``, by the kind of the policy's outputs."""


def kind_of(policy: Policy) -> Kind:
    """Return what ``policy_drift`` compares: distributions if the network outputs any."""
    if policy.discrete:
        return "logits"
    return "gaussian" if "gaussian" in policy.outputs or {"mean", "log_std"} <= set(policy.outputs) else "action"


def policy_drifts(policy: Policy, clean: np.ndarray, seen: np.ndarray, max_batch: int = 256) -> Tensor:
    """Return ``policy_drift`` of the same states, float64 ``[moments]``; observations as the policy takes them."""
    kind = kind_of(policy)
    given = (_numbers(policy, kind, obs, max_batch) for obs in (clean, seen))
    return METRICS["policy_drift"].function(*given, kind)


def action_drifts(policy: Policy, clean: np.ndarray, seen: np.ndarray, max_batch: int = 256) -> Tensor:
    """Return ``action_drift`` of the same states, float64 ``[moments]``."""
    actions = (
        torch.cat(
            [policy.greedy(policy.tensor(obs[some])).cpu() for some in groups(len(obs), max_batch, policy.device)]
        )
        for obs in (clean, seen)
    )
    return METRICS["action_drift"].function(*actions)


@torch.no_grad()
def _numbers(policy: Policy, kind: Kind, obs: np.ndarray, max_batch: int) -> Tensor:
    parts = []
    for some in groups(len(obs), max_batch, policy.device):
        parts.append(_of_batch(policy, kind, policy.tensor(obs[some])).double().cpu())
    return torch.cat(parts)


def _of_batch(policy: Policy, kind: Kind, obs: Tensor) -> Tensor:
    outputs, network = policy.outputs, policy.network
    if kind == "logits":
        return policy.preferences(network, obs)
    if kind == "action":
        return outputs["action"](network, obs)
    if "gaussian" in outputs:
        return outputs["gaussian"](network, obs)
    mean = outputs["mean"](network, obs)
    return torch.stack([mean, outputs["log_std"](network, obs).expand_as(mean)], 1)
