"""Film an attacked episode, step by step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import final

import numpy as np

from saccade.explain.attacking import Cell, Play, attacker_of, cells_text
from saccade.explain.episodes import played
from saccade.explain.evaluating import picture_of
from saccade.explain.explanation import Report, silent
from saccade.explain.preferences import Actions
from saccade.explain.reading import Reading, read
from saccade.explain.tasks import Task
from saccade.policies.attacked import AttackSettings, as_env
from saccade.policies.evaluate import episode_seeds
from saccade.policies.policy import Policy


@final
@dataclass(frozen=True)
class Film:
    """An attacked episode.

    Attributes:
        clean, seen: the environment's pictures and the attacked ones that the policy saw, uint8 ``[time, height, width,
            3]``.
        did, would: the actions that it took and those that it would have taken without the attack.
        thought: what it made of each picture that it saw; ``undisturbed`` of what the environment showed then.
        rewards: of each step.
        actions: names of the environment's actions.
    """

    cell: Cell
    clean: np.ndarray
    seen: np.ndarray
    did: np.ndarray
    would: np.ndarray
    thought: tuple[Reading, ...]
    undisturbed: tuple[Reading, ...]
    rewards: np.ndarray
    actions: Actions


def filmed(
    policy: Policy, task: Task, cell: Cell, settings: AttackSettings, play: Play, most: int, report: Report = silent
) -> Film:
    """Play the first episode of a cell again, with its most likely actions, for at most ``most`` steps."""
    attacker = attacker_of(policy, cell, settings)
    clean, seen, did, would, thought, undisturbed, rewards = [], [], [], [], list[Reading](), list[Reading](), []

    def act(obs: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        batch = policy.tensor(obs)
        shown, before = attacker.seen(batch, allowed)
        clean.append(picture_of(policy, obs))
        seen.append(picture_of(policy, as_env(policy.pixels, shown)[0]))
        would.append(policy.to_env(before.cpu().numpy())[0])
        did.append(policy.to_env(policy.greedy(shown, allowed).cpu().numpy())[0])
        thought.append(read(policy, shown, allowed))
        undisturbed.append(read(policy, batch, allowed))
        return np.asarray(did[-1])

    seed, steps = episode_seeds(play.seed, 1)[0], min(most, play.max_steps)
    without_masks, names = dataclasses.replace(task, knows_truth=False), list[Actions]()
    for _, _, reward, _ in played(policy, without_masks, play.mode, seed, steps, act, {}, names):
        rewards.append(reward)
        report(f"film: {cells_text(cell)}", len(rewards), steps)
    pictures, actions = (np.stack(clean), np.stack(seen)), (np.stack(did), np.stack(would))
    return Film(cell, *pictures, *actions, tuple(thought), tuple(undisturbed), np.array(rewards), names[0])
