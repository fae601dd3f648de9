"""Modes that change next to nothing, where a return as high as in training says nothing about a method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from saccade.bench.outcomes import Outcome
from saccade.bench.published import RETURN, TRAIN
from saccade.envs.changes import MARK, changed_share_text, too_little

FEWEST_EPISODES = 5
"""Fewest episodes of a run for equal means to be reported: a single episode may end alike by chance."""


def unchanged(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a sentence for each task and mode whose pictures, or whose returns in every run, are those of training."""
    played = [one for one in outcomes if one.measure == RETURN and one.attack is None]
    for task in dict.fromkeys(one.task for one in played):
        own = [one for one in played if one.task == task]
        clean = {(one.run, replace(one.kind, data="")): one for one in own if one.mode == TRAIN}
        for mode in dict.fromkeys(one.mode for one in own if one.mode != TRAIN):
            several = [one for one in own if one.mode == mode]
            pairs = [(clean[key], one) for one in several if (key := (one.run, replace(one.kind, data=""))) in clean]
            yield from _of_mode(task, mode, several, pairs)


def _of_mode(
    task: str, mode: str, several: Sequence[Outcome], pairs: Sequence[tuple[Outcome, Outcome]]
) -> Iterator[str]:
    shares = [one.changed for one in several if one.changed is not None]
    share = changed_share_text(max(shares, default=0.0)).removesuffix(f" {MARK}")
    if shares and all(map(too_little, shares)):
        yield (
            f"{mode} changes next to nothing in the pictures of {task} ({share} of the pixels look "
            "different from train): what a method gets there tests no distraction."
        )
    alike = bool(pairs) and all(
        one.value == before.value and min(one.count or 0, before.count or 0) >= FEWEST_EPISODES for before, one in pairs
    )
    if not alike:
        return
    count = len({one.run for _, one in pairs})
    runs, they, get = (f"all {count} runs", "they", "get") if count > 1 else ("the one run", "it", "gets")
    if all(before.value == 0 for before, _ in pairs):
        yield f"In {mode} as in train {runs} of {task} {get} 0: there is no return that the mode could take."
    else:
        yield (
            f"In {mode} {runs} of {task} {get} to the last digit what {they} {get} in train: the mode changed no "
            "episode."
        )
