"""Collect states that a policy visits when it plays, and which of their pixels show the task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import suite_of
from saccade.policies.normalisation import BYTE
from saccade.policies.policy import Policy
from saccade.types import UserError

ENVS = 16  # that play at the same time
SPACING = 4  # one of so many agent steps is kept: neighbours look nearly the same

UNIMPORTANT, IMPORTANT, IGNORED = 0, 1, 2
"""The truth about a pixel, as in DIGR's saliency data: it does not matter, is the task, or is open to argument."""

Progress = Callable[[int, int], None]


@final
class Played(NamedTuple):
    """States that a policy visited, in no particular order."""

    states: np.ndarray  # uint8 [n, channels, height, width]
    truth: np.ndarray | None  # uint8 [n, height, width]; None if unknown


def play_states(
    policy: Policy,
    env: EnvConfig,
    count: int,
    seed: int,
    *,
    truth: bool = False,
    progress: Progress = lambda done, total: None,
) -> Played:
    """Play a policy and return ``count`` states that it visits; it samples its actions, or takes the best if it cannot.

    Every state that it visits is equally likely to be kept: about one in ``SPACING``. The same arguments give the same
    states.

    Args:
        env: its task, played in its mode.
        truth: whether to return which pixels show the task, in any frame of a stack.

    Raises:
        UserError: the truth is asked for, but unknown.
    """
    suite = suite_of(env.task)
    if truth and not suite.knows_masks:
        raise UserError(f"{env.task} does not say which pixels show the task, so there is no truth to compare with.")
    if truth:
        env = dataclasses.replace(env, task_mask=True)
    numbers, envs = np.random.default_rng(seed), 1 if suite.one_at_a_time else min(ENVS, count)
    act = drawing(policy, seed)
    states: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    with ExitStack() as stack:
        made = [stack.enter_context(closing(make_env(env, seed + index))) for index in range(envs)]
        now = [one.reset() for one in made]
        while len(states) < count:
            for index, (obs, info) in enumerate(now):
                if numbers.random() * SPACING < 1 and len(states) < count:
                    states.append(obs)
                    if truth:
                        truths.append(_truth_of(info, made[index].simulation, suite.ignored, env.task))
                    progress(len(states), count)
            actions = act(np.stack([obs for obs, _ in now]))
            for index, one in enumerate(made):
                obs, _, terminated, truncated, info = one.step(actions[index])
                now[index] = one.reset() if terminated or truncated else (obs, info)
    order = numbers.permutation(count)
    return Played(np.stack(states)[order], np.stack(truths)[order] if truth else None)


def _truth_of(
    info: dict[str, object], simulation: object, ignored: Callable[[object], np.ndarray] | None, task: str
) -> np.ndarray:
    if "task_mask" not in info:
        raise UserError(f"{task} does not say which pixels show the task, so there is no truth to compare with.")
    important = np.asarray(info["task_mask"], bool).any(0)
    found = np.where(important, np.uint8(IMPORTANT), np.uint8(UNIMPORTANT))
    return found if ignored is None else np.where(ignored(simulation) & ~important, np.uint8(IGNORED), found)


def drawing(policy: Policy, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what acts on uint8 ``[n, channels, height, width]`` as Saccade does: sampled, if possible."""
    generator = torch.Generator(policy.device).manual_seed(seed)

    @torch.no_grad()
    def act(obs: np.ndarray) -> np.ndarray:
        pixels = seen_by(policy, torch.from_numpy(obs))
        if policy.draw is not None:
            action = policy.draw(pixels, generator)
        elif "logits" in policy.outputs:
            chances = policy.outputs["logits"](policy.network, pixels).softmax(-1)
            action = torch.multinomial(chances, 1, generator=generator)[:, 0]
        else:
            action = policy.greedy(pixels)
        played = policy.to_env(action.cpu().numpy())
        return played if policy.discrete else played.clip(-1.0, 1.0)

    return act


def seen_by(policy: Policy, obs: Tensor) -> Tensor:
    """Return pixels ``[n, channels, height, width]`` in 0..255 as a policy's outputs take them, on its device."""
    pixels = obs.to(policy.device, torch.float32)
    return pixels if policy.pixels.high == BYTE else pixels * (policy.pixels.high / BYTE)
