"""Batches of noise to learn from: transitions as from a replay buffer, decisions as from a rollout."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from saccade.agents.given import SaliencyData, Teacher
from saccade.data.actions import uniform_actions
from saccade.types import Batch, Decisions, Discrete, Spaces


def observations(spaces: Spaces, count: int, generator: Generator) -> Tensor:
    """Return noise as an environment gives pictures: uint8 ``[count, *obs_shape]``."""
    return torch.randint(0, 256, (count, *spaces.obs_shape), generator=generator, dtype=torch.uint8)


def transitions(spaces: Spaces, count: int, seed: int) -> Batch:
    """Return transitions, the last of which ends its episode."""
    generator = torch.Generator().manual_seed(seed)
    obs, next_obs = (observations(spaces, count, generator) for _ in range(2))
    action, reward = uniform_actions(spaces.actions, count, generator), torch.rand(count, generator=generator)
    discount = torch.ones(count)
    discount[-1] = 0.0
    return Batch(obs, action, reward, discount, next_obs)


def decisions(spaces: Spaces, count: int, seed: int) -> Decisions:
    """Return decisions of some policy, with plausible log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    obs, action = observations(spaces, count, generator), uniform_actions(spaces.actions, count, generator)
    log_probability = -torch.rand(count, generator=generator) - 0.5
    value, advantage, target = (torch.randn(count, generator=generator) for _ in range(3))
    return Decisions(obs, action, log_probability, value, advantage, target)


def noise_pictures(count: int, size: int, generator: Generator) -> Tensor:
    """Return pictures to blend into observations: ``[count, 3, size, size]`` in 0..255."""
    return torch.rand((count, 3, size, size), generator=generator) * 255


def noise_teacher(spaces: Spaces) -> Teacher:
    """Return a teacher whose outputs depend on a picture's brightness."""
    choice = isinstance(spaces.actions, Discrete)
    count = spaces.actions.count if isinstance(spaces.actions, Discrete) else spaces.actions.dims

    def outputs(obs: Tensor) -> Tensor:
        slopes = torch.linspace(-1, 1, count, device=obs.device)  # made on the device: a copy would wait for it
        preferred = obs.float().mean((1, 2, 3))[:, None] / 255 * slopes
        return preferred if choice else torch.stack([preferred, torch.full_like(preferred, -1.0)], 1)

    return Teacher("noise", outputs)


def noise_saliency(spaces: Spaces, count: int = 4) -> SaliencyData:
    """Return some pictures of noise, and maps with a bright square in each."""
    states = observations(spaces, count, torch.Generator().manual_seed(0))
    maps = torch.zeros(count, *spaces.obs_shape[1:])
    maps[:, : maps.shape[1] // 2, : maps.shape[2] // 2] = 1.0
    return SaliencyData(states, maps)
