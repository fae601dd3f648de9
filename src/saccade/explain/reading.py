"""What a policy makes of one observation: what it does, what it likes, and what it expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from saccade.data.user_code import running
from saccade.explain.preferences import PROBABILITIES, VALUES, preferences
from saccade.policies.policy import Policy


@final
@dataclass(frozen=True)
class Reading:
    """What a policy makes of one observation.

    Attributes:
        action: as the environment takes it.
        preferences: of a discrete policy, for each action; else None.
        kind: what they are: ``probabilities`` or ``action_values``.
        value: of the state, or of the action; None where the policy has none.
    """

    action: np.ndarray
    preferences: np.ndarray | None
    kind: str
    value: float | None


def read(policy: Policy, obs: np.ndarray, allowed: np.ndarray | None = None) -> Reading:
    """Of one observation as the environment gives it. Raises UserError where the policy fails.

    allowed: the actions to choose from, as ``Policy.act`` takes them.
    """
    with running(f"The policy {policy.name}"):
        greedy = policy.greedy(policy.tensor(obs.copy()), allowed)
        action = np.array(policy.to_env(greedy.cpu().numpy())[0])
        liked = preferences(policy, obs[None], 1)
        value = _value(policy, obs, greedy, liked)
    kind = next(iter(liked), PROBABILITIES)
    return Reading(action, liked[kind][0] if liked else None, kind, value)


@torch.no_grad()
def values_of(policy: Policy, obs: np.ndarray, liked: Mapping[str, np.ndarray], max_batch: int) -> np.ndarray | None:
    """What the policy expects in some moments, float32 ``[moments]``: of the state, or else of its best action there.

    None of policies that expect nothing, and where what they compute is not finite.

    Args:
        liked: what ``preferences`` found in the same moments.
    """
    find: Callable[..., torch.Tensor] | None = policy.outputs.get("value")
    if find is None and VALUES in liked:
        return liked[VALUES].max(axis=1)
    if find is None and "q" not in policy.outputs:
        return None
    found = []
    with running(f"The policy {policy.name}"):
        for start in range(0, len(obs), max_batch):
            pixels = policy.tensor(obs[start : start + max_batch])
            if find is not None:
                values = find(policy.network, pixels)
            else:
                values = policy.outputs["q"](policy.network, pixels, policy.greedy(pixels))
            found.append(values.float().cpu().reshape(len(pixels)))
    values = torch.cat(found)
    return values.numpy() if bool(values.isfinite().all()) else None


@torch.no_grad()
def _value(policy: Policy, obs: np.ndarray, greedy: torch.Tensor, liked: Mapping[str, np.ndarray]) -> float | None:
    """Of the state where the policy tells it, else of its own action there."""
    find: Callable[..., torch.Tensor] | None = policy.outputs.get("value")
    if find is not None:
        value = float(find(policy.network, policy.tensor(obs)))
    elif VALUES in liked:
        value = float(liked[VALUES][0][int(greedy)])
    elif "q" in policy.outputs:
        value = float(policy.outputs["q"](policy.network, policy.tensor(obs), greedy))
    else:
        return None
    return value if np.isfinite(value) else None
