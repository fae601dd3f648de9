"""Evaluate any policy in any environment: whole episodes in each mode, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import gymnasium
import numpy as np

from saccade.data.user_code import running
from saccade.envs.changes import changed_share
from saccade.envs.config import EnvConfig
from saccade.envs.spaces import gymnasium_spaces
from saccade.envs.streams import SUCCESS
from saccade.envs.suites import suite_of
from saccade.explain import answers
from saccade.explain.episodes import checked, in_space, newest
from saccade.explain.explanation import Report, silent, task_in_modes
from saccade.explain.fitting import fitting
from saccade.explain.modes import Maker
from saccade.explain.shifted import Shift
from saccade.explain.tasks import CLEAN, Task
from saccade.policies.evaluate import Act, Evaluation, episode_seeds
from saccade.policies.pixels import RGB, Pixels
from saccade.policies.policy import Policy
from saccade.types import UserError

MOST_STEPS = 100_000
ActAllowed = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""``(observation, allowed actions or None) -> action``, as the environment takes it."""


@final
@dataclass(frozen=True)
class Played:
    """One episode that was played.

    Attributes:
        total: its undiscounted return.
        success: whether any of its steps succeeded; None if the environment does not say.
        first: the first observation, as the policy was given it.
        undistorted: the same observation without distractions; None where only another environment could give it.
        ended: whether the episode ended, rather than being left.
        frames: of every step, if they were recorded: uint8 ``[height, width, 3]``.
    """

    total: float
    success: bool | None
    first: np.ndarray
    undistorted: np.ndarray | None
    ended: bool
    frames: tuple[np.ndarray, ...] = ()


def evaluate(
    policy: Policy,
    task: str | Task | Mapping[str, Maker] | None = None,
    *,
    modes: Sequence[str] | None = None,
    episodes: int = 10,
    seed: int = 0,
    sampled: bool = False,
    max_steps: int = MOST_STEPS,
    report: Report = silent,
) -> list[Evaluation]:
    """Play whole episodes in each mode, with the same seeds in all modes.

    ``evaluate(saccade.load("ppo.zip"), "ALE/Pong-v5", modes=("train", "blur:0.5"))``

    Args:
        task, modes: as for ``explain``; by default the task's usual modes (``Task.usual_modes``).
        sampled: whether to sample actions from the policy, instead of taking its most likely ones.
        max_steps: agent steps after which an episode is left, if it has not ended.

    Raises:
        UserError: a name that does not exist, or an environment that does not fit the policy.
    """
    where, names = task_in_modes(policy, task, modes)
    return list(evaluations(policy, where, names, episodes, seed, sampled, max_steps, report))


def evaluations(
    policy: Policy,
    task: Task,
    modes: Sequence[str],
    episodes: int,
    seed: int,
    sampled: bool,
    max_steps: int,
    report: Report = silent,
    record: bool = False,
) -> Iterator[Evaluation]:
    """Evaluate in modes that the task already has, mode by mode; ``record`` keeps the frames of each first episode."""
    for name, value in {"episodes": episodes, "max_steps": max_steps}.items():
        if value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least 1.")
    if seed < 0:
        raise UserError(f"--seed {seed} is negative: it must be 0 or more.")
    acting(policy, seed, sampled)  # raises at once where it cannot
    seeds = episode_seeds(seed, episodes)
    clean: dict[int, np.ndarray] = {}
    for mode in modes:
        with _opened(task, mode) as env:
            see = fitting(env.observation_space, policy.pixels, task.name)
            act = acting(policy, seed, sampled)
            played: list[Played] = []
            for one in seeds:
                tell = partial(report, f"{mode}: episode {len(played) + 1} of {episodes}, step")
                recorded = record and not played
                played.append(_episode(policy, env, see, act, task.name, one, max_steps, tell, recorded))
                report(f"{mode}: episodes", len(played), episodes)
            provenance = dict(task.provenance(env))
        if mode == CLEAN:
            clean |= {one: episode.first for one, episode in zip(seeds, played, strict=True)}
        tell_of_left(played, mode, max_steps)
        changed = None if mode == CLEAN else _changed(policy, task, seeds, played, clean)
        yield evaluation_of(policy, mode, seed, played, provenance, changed)


def acting(policy: Policy, seed: int, sampled: bool) -> ActAllowed:
    """Return what acts in a mode; where it samples, it draws the same random numbers in each mode.

    Raises UserError if the policy cannot be sampled from.
    """
    if not sampled:
        return policy.act
    if policy.masked:
        raise UserError(f"{policy.name} was trained with action masks, and cannot be sampled: leave out --sampled.")
    draw = policy.sampler(seed)
    return lambda obs, allowed: np.asarray(draw(obs[None])[0])


def on_batches(config: EnvConfig, pixels: Pixels, task: str) -> Callable[[Act], Act]:
    """Return what lets a policy of these pixels act on batches from Saccade's environments of a configuration.

    Raises UserError if it cannot take their observations, and, when it acts, if they do not take its actions.
    """
    observations, actions = gymnasium_spaces(suite_of(config.task).spaces(config))
    see = fitting(observations, pixels, task)

    def acting_on_batches(act: Act) -> Act:
        def of_batch(obs: np.ndarray) -> np.ndarray:
            given = act(np.stack([see(one) for one in obs]))
            return np.stack([np.asarray(in_space(actions, np.asarray(one), task)) for one in given])

        return of_batch

    return acting_on_batches


@contextmanager
def _opened(task: Task, mode: str) -> Iterator[gymnasium.Env[Any, Any]]:
    env = task.make(mode, False)
    try:
        yield env
    finally:
        answers.close(env, task.name)


def _episode(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    see: Callable[[Any], np.ndarray],
    act: ActAllowed,
    task: str,
    seed: int,
    max_steps: int,
    tell: Callable[[int, int], None],
    record: bool,
) -> Played:
    obs, _ = answers.reset(env, seed, task)
    with running(f"An observation of {task}"):
        given = see(obs)
    first, undistorted = given.copy(), None
    if isinstance(env, Shift) and env.mode.under == CLEAN:
        undistorted = see(env.undistorted)
    total, success, frames = 0.0, None, []
    for step in range(max_steps):
        if record:
            frames.append(picture_of(policy, given))
        action = checked(env, np.array(act(given, answers.allowed(policy, env, task))), task)
        obs, reward, over, info = answers.step(env, action, task)
        total += reward
        if SUCCESS in info:
            success = bool(success) or bool(np.any(info[SUCCESS]))
        tell(step + 1, max_steps)
        if over:
            return Played(total, success, first, undistorted, True, tuple(frames))
        with running(f"An observation of {task}"):
            given = see(obs)
    return Played(total, success, first, undistorted, False, tuple(frames))


def picture_of(policy: Policy, obs: np.ndarray) -> np.ndarray:
    """Return the newest frame that a policy sees, for viewing: uint8 ``[height, width, 3]``."""
    channels = np.moveaxis(newest(policy.pixels, obs[None])[0], 0, -1)
    shown = channels if channels.shape[-1] == RGB else channels[..., :RGB] if policy.pixels.colours > RGB else channels
    return np.array(shown if shown.shape[-1] == RGB else np.repeat(shown[..., :1], RGB, -1))


def _changed(
    policy: Policy, task: Task, seeds: Sequence[int], played: Sequence[Played], clean: Mapping[int, np.ndarray]
) -> float | None:
    """The share of pixels that differ between the episodes' first frames and those without distractions."""
    before = [episode.undistorted for episode in played if episode.undistorted is not None]
    if len(before) != len(played):
        known = dict(clean)
        if len(known) != len(seeds):
            known = _first_observations(policy, task, seeds)
        before = [known[seed] for seed in seeds]
    seen = np.stack([episode.first for episode in played])
    return changed_share(newest(policy.pixels, np.stack(before)), newest(policy.pixels, seen))


def _first_observations(policy: Policy, task: Task, seeds: Sequence[int]) -> dict[int, np.ndarray]:
    with _opened(task, CLEAN) as env:
        see = fitting(env.observation_space, policy.pixels, task.name)
        return {seed: see(answers.reset(env, seed, task.name)[0]) for seed in seeds}


def tell_of_left(played: Sequence[Played], where: str, max_steps: int) -> None:
    """Warn of episodes that had not ended."""
    left = sum(not episode.ended for episode in played)
    if left:
        warnings.warn(
            f"{left} of {len(played)} episodes in {where} had not ended after {max_steps} agent steps and were left: "
            "their returns cover the steps until then; --max-steps sets how many there may be",
            stacklevel=3,
        )


def evaluation_of(
    policy: Policy,
    mode: str,
    seed: int,
    played: Sequence[Played],
    provenance: Mapping[str, Any],
    changed: float | None = None,
) -> Evaluation:
    """Summarise the episodes of a mode. changed: share of the pixels that it changes, if that was measured."""
    successes = [episode.success for episode in played]
    facts: dict[str, Any] = {"mode": mode, **provenance}
    if "image_size" not in provenance:  # which Saccade's own environments report
        facts["observations"] = policy.pixels.description()
    return Evaluation(
        mode,
        tuple(episode.total for episode in played),
        facts,
        seed,
        np.stack(played[0].frames) if played[0].frames else None,
        None if any(success is None for success in successes) else tuple(map(bool, successes)),
        changed,
        picture_of(policy, played[0].first),
    )
