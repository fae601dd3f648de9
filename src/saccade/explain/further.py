"""Frames of further episodes, where the first ended before it had as many as scores were asked to be of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from saccade.explain.episodes import Episode, record
from saccade.explain.explanation import Explanation, Report, silent
from saccade.explain.maps import find_maps
from saccade.explain.recorded import MODE


def with_further_episodes(explanation: Explanation, report: Report = silent) -> Explanation:
    """Return the explanation with as many frames as were asked for, to be scored.

    Where an episode ended sooner, the next ones have the seeds that follow its own, and their maps are computed as
    its maps were. Not extended is what was chosen to be short: an episode left at ``max_steps``, moments ``every`` so
    many steps, and recorded observations. The moments of all episodes of a mode stand one after the other in one
    ``Episode``, whose ``length`` and ``total`` are sums.

    Raises:
        UserError: the environment or the policy fails.
    """
    moments = explanation.moments
    if moments.every is not None or explanation.task.modes == (MODE,):
        return explanation
    episodes, maps = dict(explanation.episodes), dict(explanation.maps)
    for mode, first in explanation.episodes.items():
        if len(first.obs) >= moments.frames or first.length >= moments.max_steps:
            continue
        others = _others(explanation, mode, moments.frames - len(first.obs), report)
        episodes[mode] = _joined([first, *others])
        obs = np.concatenate([other.obs for other in others])
        maps[mode] = {
            name: np.concatenate(
                [
                    explanation.maps[mode][name],
                    find_maps(
                        explanation.policy,
                        find,
                        obs,
                        explanation.method_settings.max_batch,
                        partial(report, f"{mode}: {name}, further episodes"),
                    )[0],
                ]
            )
            for name, find in explanation.methods.items()
        }
    return replace(explanation, episodes=episodes, maps=maps)


def _others(explanation: Explanation, mode: str, missing: int, report: Report) -> list[Episode]:
    """Play the episodes with the next seeds until they have so many moments."""
    moments, asked = explanation.moments, missing
    found: list[Episode] = []
    while missing > 0:
        report(f"{mode}: playing further episodes", asked - missing, asked)
        found.append(
            record(
                explanation.policy,
                explanation.task,
                mode,
                moments=missing,
                every=None,
                seed=moments.seed + 1 + len(found),
                max_steps=moments.max_steps,
            )
        )
        missing -= len(found[-1].obs)
    return found


def _joined(episodes: Sequence[Episode]) -> Episode:
    """Return the moments of several episodes of one mode as one. What one of them does not know is unknown of all."""
    first = episodes[0]
    counts = [len(one.obs) for one in episodes]
    changed = [one.changed_pixels for one in episodes]
    clean = [one.clean_obs for one in episodes]
    truth = [one.task_mask for one in episodes]
    return replace(
        first,
        obs=np.concatenate([one.obs for one in episodes]),
        step=np.concatenate([one.step for one in episodes]),
        action=np.concatenate([one.action for one in episodes]),
        reward=np.concatenate([one.reward for one in episodes]),
        clean_obs=_all_or_none(clean),
        changed_pixels=None if None in changed else float(np.average(np.array(changed, float), weights=counts)),
        task_mask=_all_or_none(truth),
        length=sum(one.length for one in episodes),
        total=float(sum(one.total for one in episodes)),
    )


def _all_or_none(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
