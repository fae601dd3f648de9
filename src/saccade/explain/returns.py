"""Returns of a policy that sees only the most salient pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from saccade.data.user_code import running
from saccade.explain import answers
from saccade.explain.episodes import Progress, checked
from saccade.explain.fitting import fitting
from saccade.explain.maps import Find, groups, magnitude
from saccade.explain.tasks import Task
from saccade.metrics.faithfulness import kept_pixels
from saccade.policies.policy import Policy


@final
@dataclass(frozen=True)
class KeptReturn:
    """Returns of episodes in which the policy saw only some of the pixels.

    Attributes:
        fraction: the fractions of the pixels, the most salient in each step, that were left unchanged.
        returns: one for each fraction, over ``steps`` agent steps.
    """

    fraction: tuple[float, ...]
    returns: tuple[float, ...]
    steps: int


def kept_returns(
    policy: Policy,
    task: Task,
    mode: str,
    find: Find | None,
    fill: Callable[[torch.Tensor], torch.Tensor],
    *,
    fractions: Sequence[float],
    seed: int,
    steps: int,
    max_batch: int = 256,
    progress: Progress = lambda done, total: None,
) -> KeptReturn:
    """Play one episode for each fraction, all from the same state, side by side.

    Args:
        find: the method whose most salient pixels are kept; None keeps random ones, drawn afresh in every step.
        fill: computes what the hidden pixels show instead, ``[batch, channel, height, width]`` of the same shape.
        steps: most agent steps to play; an episode that ends earlier keeps its return.
    """
    with ExitStack() as stack:
        envs = [stack.enter_context(closing(task.make(mode, False))) for _ in fractions]
        seen_as = fitting(envs[0].observation_space, policy.pixels, task.name)
        obs = [seen_as(env.reset(seed=seed)[0]) for env in envs]
        totals, alive = np.zeros(len(envs)), np.ones(len(envs), bool)
        generator = np.random.default_rng(seed)
        shares = torch.tensor(fractions, dtype=torch.float64)
        for step in range(steps):
            clear = policy.tensor(np.stack(obs))
            shape = (len(clear), *clear.shape[-2:])
            saliency = generator.random(shape) if find is None else _maps(find, clear, max_batch)
            maps = torch.as_tensor(saliency, device=clear.device)
            shown = kept_pixels(clear, maps, shares.to(clear.device), fill(clear))
            masks = [answers.allowed(policy, env, task.name) for env in envs]
            allowed = np.stack([one for one in masks if one is not None]) if policy.masked else None
            greedy = [
                policy.greedy(shown[some], None if allowed is None else allowed[some])
                for some in groups(len(shown), max_batch, policy.device)
            ]
            actions = policy.to_env(torch.cat(greedy).cpu().numpy())
            for i in np.flatnonzero(alive):
                action = checked(envs[i], np.asarray(actions[i]), task.name)
                after, reward, over, _ = answers.step(envs[i], action, task.name)
                with running(f"An observation of {task.name}"):
                    obs[i] = seen_as(after)
                totals[i] += reward
                alive[i] = not over
            progress(step + 1, steps)
            if not alive.any():
                break
        return KeptReturn(tuple(fractions), tuple(float(total) for total in totals), step + 1)


def _maps(find: Find, obs: torch.Tensor, max_batch: int) -> np.ndarray:
    parts = [find.maps(obs[some]).detach().cpu().numpy() for some in groups(len(obs), max_batch, obs.device)]
    return magnitude(np.concatenate(parts))
