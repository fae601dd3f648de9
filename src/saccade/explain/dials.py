"""How a dial changes a policy's actions and maps: the states of one clean episode, seen again at other strengths."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from saccade.envs.dials import STRENGTHS, dial_mode, read_dials
from saccade.explain.channels import shown_by
from saccade.explain.drifts import UNITS, action_drifts, kind_of, policy_drifts
from saccade.explain.episodes import played
from saccade.explain.evaluating import MOST_STEPS as EPISODE_STEPS
from saccade.explain.evaluating import evaluations
from saccade.explain.explanation import Report, silent, task_in_modes
from saccade.explain.maps import DEFAULT_SETTINGS, Find, find_maps, finder, magnitude
from saccade.explain.modes import Maker
from saccade.explain.tasks import CLEAN, Task
from saccade.metrics import METRICS
from saccade.policies.evaluate import Evaluation, episode_seeds
from saccade.policies.policy import Policy
from saccade.types import UserError

METHOD = "gradient"  # computes the maps: one backward pass per moment
MOMENTS = 32
MOST_STEPS = 1000  # agent steps of the episode whose moments are compared

Numbers = dict[str, Any]
"""What a row holds about one drift: ``mean``, the quartiles ``low`` and ``high``, and the ``count`` of moments."""


@final
@dataclass(frozen=True)
class CleanEpisode:
    """One episode without distractions, and moments of it.

    Attributes:
        actions, rewards: of every step.
        chosen: the moments, as numbers of agent steps.
        obs: ``[moments, *shape]`` as the policy was given them.
        maps: unsigned ``[moments, height, width]``; None if no map of this policy can be computed.
        policy: the policy, with what the episode showed about its channels.
    """

    policy: Policy
    task: Task
    seed: int
    actions: tuple[np.ndarray, ...]
    rewards: tuple[float, ...]
    chosen: np.ndarray
    obs: np.ndarray
    find: Find | None
    maps: Tensor | None


@final
@dataclass(frozen=True)
class Turned:
    """One strength of a dial, and what came of it.

    Attributes:
        evaluation: the returns there, of episodes that begin alike at every strength.
        drifts: what ``drift_in`` returned; empty at strength 0.
    """

    strength: float
    evaluation: Evaluation
    drifts: Mapping[str, Numbers | None]


def dial(
    policy: Policy,
    task: str | Task | Mapping[str, Maker] | None,
    name: str,
    strengths: Sequence[float] = STRENGTHS,
    *,
    episodes: int = 10,
    seed: int = 0,
    max_steps: int = EPISODE_STEPS,
    report: Report = silent,
) -> list[Turned]:
    """Play a policy at several strengths of one dial, 0 first: ``saccade evaluate --dial`` without its files.

    ``dial(saccade.load("ppo.zip"), "ALE/Pong-v5", "blur", (0.2, 0.5, 1))``

    Args:
        task: as for ``explain``.
        name: a name in ``envs.dials.ALL_DIALS``.

    Raises:
        UserError: the task has no such dial, or a strength lies outside 0..1.
    """
    asked = read_dials([(name, *map(str, strengths))])[name]
    modes = {CLEAN: 0.0, **{dial_mode(name, strength): strength for strength in asked if strength > 0}}
    where, names = task_in_modes(policy, task, tuple(modes))
    clean = clean_episode(policy, where, episode_seeds(seed, 1)[0], max_steps, report)
    found = []
    for one in evaluations(policy, where, names, episodes, seed, False, max_steps, report):
        drifts = {} if one.mode == CLEAN else drift_in(clean, one.mode, report)
        found.append(Turned(modes[one.mode], one, drifts))
    return found


def clean_episode(
    policy: Policy, task: Task, seed: int, max_steps: int = MOST_STEPS, report: Report = silent
) -> CleanEpisode:
    """Play a deterministic episode without distractions, and choose ``MOMENTS`` evenly spread moments."""
    seen, actions, rewards = [], [], []
    steps = min(max_steps, MOST_STEPS)
    for obs, action, reward, _ in played(policy, task, CLEAN, seed, steps, policy.act, {}):
        seen.append(obs)
        actions.append(action)
        rewards.append(reward)
        report("the clean episode", len(seen), steps)
    chosen = np.unique(np.linspace(0, len(seen) - 1, min(MOMENTS, len(seen))).round().astype(int))
    knowing = dataclasses.replace(policy, pixels=shown_by(policy.pixels, seen))
    obs = np.stack([seen[index] for index in chosen])
    try:
        find: Find | None = finder(knowing, METHOD, DEFAULT_SETTINGS)
    except UserError as error:
        warnings.warn(f"no map of {policy.name} is compared: {error}", stacklevel=2)
        find = None
    maps = None if find is None else _maps(knowing, find, obs)
    return CleanEpisode(knowing, task, seed, tuple(actions), tuple(rewards), chosen, obs, find, maps)


def drift_in(clean: CleanEpisode, mode: str, report: Report = silent) -> dict[str, Numbers | None]:
    """Return ``policy_drift``, ``action_drift`` and ``map_drift`` of the same states in another mode.

    The first has a ``unit``. All are None, with a warning, if the same seed and actions bring other rewards there,
    since it is then another episode.
    """
    seen = _replayed(clean, mode, report)
    if seen is None:
        return dict.fromkeys(("policy_drift", "action_drift", "map_drift"))
    policy = clean.policy
    numbers: dict[str, Numbers | None] = {
        "policy_drift": numbers_of(policy_drifts(policy, clean.obs, seen)) | {"unit": UNITS[kind_of(policy)]},
        "action_drift": numbers_of(action_drifts(policy, clean.obs, seen)),
        "map_drift": None,
    }
    if clean.find is not None and clean.maps is not None:
        moved = METRICS["map_drift"].function(clean.maps, _maps(policy, clean.find, seen))
        numbers["map_drift"] = numbers_of(moved) | {"method": clean.find.name}
    return numbers


def numbers_of(values: Tensor) -> Numbers:
    """Return mean and quartiles of those moments that the drift is defined on; None where there are none."""
    defined = values[values.isfinite()].numpy()
    if not len(defined):
        return {"mean": None, "low": None, "high": None, "count": 0}
    low, high = np.quantile(defined, (0.25, 0.75))
    return {"mean": float(defined.mean()), "low": float(low), "high": float(high), "count": len(defined)}


def _maps(policy: Policy, find: Find, obs: np.ndarray) -> Tensor:
    maps, _ = find_maps(policy, find, obs, DEFAULT_SETTINGS.max_batch)
    return torch.as_tensor(magnitude(maps))


def _replayed(clean: CleanEpisode, mode: str, report: Report) -> np.ndarray | None:
    """The chosen moments of the clean episode as the mode shows them."""
    kept, frames, brought = set(clean.chosen.tolist()), [], []
    for index, (obs, reward) in enumerate(_same_again(clean, mode)):
        brought.append(reward)
        if index in kept:
            frames.append(obs)
        report(f"{mode}: the clean episode seen again", index + 1, len(clean.actions))
    if tuple(brought) == clean.rewards:
        return np.stack(frames)
    warnings.warn(
        f"the same seed and actions bring other rewards in {mode} than in {CLEAN} of {clean.task.name}: the moments of "
        "the two are not the same states, and are not compared",
        stacklevel=2,
    )
    return None


def _same_again(clean: CleanEpisode, mode: str) -> Iterator[tuple[np.ndarray, float]]:
    actions: Iterator[np.ndarray] = iter(clean.actions)
    steps = len(clean.actions)
    for obs, _, reward, _ in played(
        clean.policy, clean.task, mode, clean.seed, steps, lambda obs, allowed: next(actions), {}
    ):
        yield obs, reward
