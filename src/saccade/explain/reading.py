"""What a policy computes from one observation: its action, its preferences and its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from saccade.data.user_code import running
from saccade.explain.preferences import PROBABILITIES, VALUES, as_tensor, preferences
from saccade.policies.policy import Policy


@final
@dataclass(frozen=True)
class Reading:
    """What a policy computes from one observation.

    Attributes:
        action: as the environment takes it.
        preferences: for a discrete policy, one number per action; else None.
        kind: what the preferences are: ``probabilities`` or ``action_values``.
        value: of the state, or of the action; None if the policy has none.
    """

    action: np.ndarray
    preferences: np.ndarray | None
    kind: str
    value: float | None


def read(policy: Policy, obs: np.ndarray | Tensor, allowed: np.ndarray | None = None) -> Reading:
    """Read one observation, as the environment gives it or as ``Policy.tensor`` makes it, a batch of one.

    Raises UserError if the policy fails.

    allowed: the actions to choose from, as ``Policy.act`` takes them.
    """
    with running(f"The policy {policy.name}"):
        batch = obs if isinstance(obs, Tensor) else obs[None]
        greedy = policy.greedy(as_tensor(policy, batch), allowed)
        action = np.array(policy.to_env(greedy.cpu().numpy())[0])
        liked = preferences(policy, batch, 1)
        value = values_of(policy, batch, liked, 1, greedy)
    kind = next(iter(liked), PROBABILITIES)
    return Reading(action, liked[kind][0] if liked else None, kind, None if value is None else float(value[0]))


@torch.no_grad()
def values_of(
    policy: Policy, obs: np.ndarray | Tensor, liked: Mapping[str, np.ndarray], max_batch: int, own: Tensor | None = None
) -> np.ndarray | None:
    """Return the policy's values in some moments, float32 ``[moments]``: of the state, or else of its own action there.

    None for policies without values, and where the values are not finite.

    Args:
        liked: what ``preferences`` returned for the same moments.
        own: its actions there as ``Policy.greedy`` returns them; by default the best of all.
    """
    find: Callable[..., Tensor] | None = policy.outputs.get("value")
    if find is None and VALUES in liked:
        worth = liked[VALUES]
        return worth.max(axis=1) if own is None else worth[np.arange(len(worth)), own.cpu().numpy()]
    if find is None and "q" not in policy.outputs:
        return None
    found = []
    with running(f"The policy {policy.name}"):
        for start in range(0, len(obs), max_batch):
            some = slice(start, start + max_batch)
            pixels = as_tensor(policy, obs[some])
            if find is not None:
                values = find(policy.network, pixels)
            else:
                action = policy.greedy(pixels) if own is None else own[some]
                values = policy.outputs["q"](policy.network, pixels, action)
            found.append(values.float().cpu().reshape(len(pixels)))
    values = torch.cat(found)
    return values.numpy() if bool(values.isfinite().all()) else None
