"""Play and record episodes: what the policy saw and did, where the task was, and the same states undistracted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import gymnasium
import numpy as np

from saccade.data.user_code import running
from saccade.envs.changes import changed_share
from saccade.explain import answers
from saccade.explain.channels import pictures_of, shown_by
from saccade.explain.fitting import fitting
from saccade.explain.preferences import NO_NAMES, Actions, actions_of
from saccade.explain.tasks import CLEAN, Task
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.types import UserError

ROUNDING = 1e-4  # how far outside its bounds an action may lie

Progress = Callable[[int, int], None]
"""``(done, total)``."""


@final
@dataclass(frozen=True)
class Episode:
    """Chosen moments of one episode that a policy played in one mode.

    Attributes:
        obs: ``[moments, *shape]`` as the policy was given them.
        step: agent steps of these moments, from 0.
        action: the action at each moment, as the environment takes it.
        reward: the reward that the action brought.
        clean_obs: the very same states in the mode without distractions; None in that mode itself.
        changed_pixels: the share of the newest frames' pixels, 0..1, that the mode changes in these very states; None
            in the mode without distractions.
        task_mask: bool ``[moments, frames, height, width]`` of the pixels that show the task; None if unknown.
        length: agent steps of the episode, as far as it was played.
        total: the return so far.
        pixels: what the observations are; worked out from the episode where it was not given.
        provenance: what a Saccade environment says must be reported with its results; else empty.
        actions: the names of the environment's actions.
        screen: of people's games, what the person saw: uint8 ``[moments, height, width, 3]``.
        looked_at: how many gaze samples fell on each pixel of the screen: ``[moments, height, width]``.
    """

    mode: str
    seed: int
    obs: np.ndarray
    step: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    clean_obs: np.ndarray | None
    changed_pixels: float | None
    task_mask: np.ndarray | None
    length: int
    total: float
    pixels: Pixels
    provenance: Mapping[str, Any]
    actions: Actions = NO_NAMES
    screen: np.ndarray | None = None
    looked_at: np.ndarray | None = None


def record(
    policy: Policy,
    task: Task,
    mode: str,
    *,
    moments: int,
    every: int | None,
    seed: int,
    max_steps: int,
    progress: Progress = lambda done, total: None,
) -> Episode:
    """Play one episode deterministically and keep ``moments`` of it, evenly spread or ``every`` so many agent steps.

    A distracted episode is then replayed without distractions, action by action from the same seed: distractions do
    not affect physics, so every moment has a clean counterpart.
    """
    provenance: dict[str, Any] = {}
    names: list[Actions] = []
    pictures = 1 if mode == CLEAN or CLEAN not in task.modes else 2
    seen, actions, rewards, masks = [], [], [], []
    for obs, action, reward, mask in played(policy, task, mode, seed, max_steps, policy.act, provenance, names):
        seen.append(obs)
        actions.append(action)
        rewards.append(reward)
        masks.append(mask)
        progress(len(seen), max_steps * pictures)
    length = len(seen)
    if every is None:
        chosen = np.unique(np.linspace(0, length - 1, min(moments, length)).round().astype(int))
    else:
        chosen = np.arange(0, length, every)[:moments]
    clean = None
    if pictures == 2:
        clean = _replayed(policy, task, mode, seed, actions, rewards, chosen, progress)
    seen_then = np.stack([seen[index] for index in chosen])
    changed = None if clean is None else changed_share(*(newest(policy.pixels, obs) for obs in (clean, seen_then)))
    truth = None if masks[0] is None else np.stack([masks[index] for index in chosen])
    if policy.masked:
        _tell_of_masked(policy, task, seen_then, [actions[index] for index in chosen])
    return Episode(
        mode=mode,
        seed=seed,
        obs=seen_then,
        step=chosen,
        action=np.stack([actions[index] for index in chosen]),
        reward=np.array([rewards[index] for index in chosen]),
        clean_obs=clean,
        changed_pixels=changed,
        task_mask=truth,
        length=length,
        total=float(np.sum(rewards)),
        pixels=shown_by(policy.pixels, seen),
        provenance=provenance,
        actions=names[0],
    )


def _replayed(
    policy: Policy,
    task: Task,
    mode: str,
    seed: int,
    actions: list[np.ndarray],
    rewards: list[float],
    chosen: np.ndarray,
    progress: Progress,
) -> np.ndarray | None:
    """The chosen moments of the same actions without distractions; None, with a warning, if they lead elsewhere."""
    length, replay = len(actions), iter(actions)
    states = played(policy, task, CLEAN, seed, length, lambda obs, allowed: next(replay), {})
    kept = set(chosen.tolist())
    frames, brought = [], []
    for index, (obs, _, reward, _) in enumerate(states):
        brought.append(reward)
        if index in kept:
            frames.append(obs)
        progress(length + index + 1, 2 * length)
    if brought == rewards:
        return np.stack(frames)
    warnings.warn(
        f"the same seed and actions bring other rewards in {mode} than in {CLEAN} of {task.name}: the moments of the "
        "two are not the same states, and are not compared",
        stacklevel=2,
    )
    return None


def _tell_of_masked(policy: Policy, task: Task, seen: np.ndarray, did: list[np.ndarray]) -> None:
    """Warn where a policy prefers an action that its environment does not allow: maps explain that preference."""
    others = int((policy.act(seen) != np.stack(did)).sum())
    if others:
        warnings.warn(
            f"in {others} of {len(did)} moments {policy.name} prefers an action that {task.name} does not allow there, "
            "and takes another: the maps explain the one that it prefers",
            stacklevel=2,
        )


def newest(pixels: Pixels, obs: np.ndarray) -> np.ndarray:
    """Return the newest frames of observations ``[moments, *shape]`` as bytes ``[moments, channel, height, width]``."""
    frames = pictures_of(pixels, obs)[:, -pixels.colours :]
    return np.rint(frames * (BYTE / pixels.high)).astype(np.uint8)


Step = tuple[np.ndarray, np.ndarray, float, np.ndarray | None]


def played(
    policy: Policy,
    task: Task,
    mode: str,
    seed: int,
    max_steps: int,
    act: Callable[[np.ndarray, np.ndarray | None], Any],
    provenance: dict[str, Any],
    names: list[Actions] | None = None,
) -> Iterator[Step]:
    """Yield observation, action, reward and task mask of every step of an episode; fill ``provenance`` and ``names``.

    All of them are copies, taken before the step: environment and policy may reuse their memory.
    """
    env = task.make(mode, task.knows_truth)
    provenance.update(task.provenance(env))
    if names is not None:
        names.append(actions_of(env))
    try:
        seen_as = fitting(env.observation_space, policy.pixels, task.name)
        obs, info = answers.reset(env, seed, task.name)
        for _ in range(max_steps):
            with running(f"An observation of {task.name}"):
                given = seen_as(obs)
            action = np.array(act(given.copy(), answers.allowed(policy, env, task.name)))
            mask = info.get("task_mask")
            truth = None if mask is None else _of_frames(np.array(mask, bool), policy.pixels)
            taken = checked(env, action.copy(), task.name)
            obs, reward, over, info = answers.step(env, taken, task.name)
            yield given, action, reward, truth
            if over:
                return
    finally:
        answers.close(env, task.name)


def _of_frames(mask: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Repeat a mask of one picture for each frame of a stack, as Saccade's environments give it."""
    return np.repeat(mask[None], pixels.frames, axis=0) if mask.ndim == 2 else mask


def checked(env: gymnasium.Env[Any, Any], action: np.ndarray, task: str) -> Any:
    """Return the action if the environment takes it. Raises UserError if it belongs to another one."""
    return in_space(env.action_space, action, task)


def in_space(space: gymnasium.Space[Any], action: np.ndarray, task: str) -> Any:
    """Return the action if it lies in the space. Raises UserError if it belongs to another one."""
    if isinstance(space, gymnasium.spaces.Discrete):
        whole = int(action) if action.ndim == 0 and action.dtype.kind in "iu" else None
        if whole is None or not space.contains(np.int64(whole)):
            raise UserError(
                f"The policy chose {action}, but {task} takes one of {space.n} actions: is it the task it learned?"
            )
        return whole
    if space.shape != action.shape:
        raise UserError(
            f"The policy's action has shape {action.shape}, but {task} takes {space.shape}: is it the task it learned?"
        )
    if isinstance(space, gymnasium.spaces.Box):
        slack = ROUNDING * (1 + np.abs(action))
        if not ((action >= space.low - slack) & (action <= space.high + slack)).all():
            raise UserError(
                f"The policy chose {action}, but {task} takes actions in {space.low}..{space.high}: is "
                "it the task it learned?"
            )
        return np.clip(action, space.low, space.high).astype(space.dtype)
    return action
