"""Advantages: how much better than expected the decisions of a rollout turned out."""

from __future__ import annotations

import torch
from torch import Tensor


def gae(
    reward: Tensor,
    value: Tensor,
    last_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    truncated_value: Tensor | None = None,
    *,
    discount: float,
    lam: float,
) -> Tensor:
    """Return generalised advantage estimates (Schulman et al., 2016, equation 16), over the episodes of a rollout.

    A_t = d_t + discount lam A_{t+1} within an episode, where d_t = r_t + discount V(s_{t+1}) - V(s_t). After an episode
    truly ended, the value is 0; after one that ran out of time, it is that of its last observation, or 0 as well.

    Args:
        reward: ``[steps, envs]``, for the action of a step.
        value: ``[steps, envs]``, of the observation before the action.
        last_value: ``[envs]``, of the observation after the last step; not read where that step ended an episode.
        terminated: bool ``[steps, envs]``: the episode truly ended after a step.
        truncated: bool ``[steps, envs]``: it was cut short after a step, and did not end.
        truncated_value: ``[steps, envs]``, of an episode's last observation, only read where it was cut short. None:
            being cut short counts as ending.

    Returns:
        ``[steps, envs]``, in the rewards' dtype.
    """
    if truncated_value is None:
        terminated = terminated | truncated
    following = torch.cat([value[1:], last_value[None]])
    if truncated_value is not None:
        following = torch.where(truncated, truncated_value, following)
    error = reward + discount * following.masked_fill(terminated, 0.0) - value
    decay = discount * lam * (~(terminated | truncated)).to(error.dtype)
    advantage = torch.empty_like(error)
    carried = torch.zeros_like(last_value)
    for step in reversed(range(len(error))):
        carried = error[step] + decay[step] * carried
        advantage[step] = carried
    return advantage


def normalised(advantage: Tensor, epsilon: float) -> Tensor:
    """Return advantages with mean 0 and standard deviation 1 over all of them (population's, as in OpenAI's Baselines).

    epsilon: is added to the standard deviation.
    """
    centred = advantage - advantage.mean()
    return centred / (advantage.std(correction=0) + epsilon)
