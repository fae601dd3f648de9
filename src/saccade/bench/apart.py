"""Seeds that were measured differently, and so are not averaged: one sentence for each reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from saccade.bench.comparison import MEASURES
from saccade.bench.outcomes import Kind, Outcome, alike
from saccade.bench.published import TRAIN
from saccade.bench.verdicts import listed

MOST_NAMES = 6
"""Names of scores or modes in a row; of more only the number is given."""
NOTHING = "nothing that says it"


class Where(NamedTuple):
    """What was measured in several ways for a method."""

    task: str
    measure: str
    mode: str


Reason = tuple[tuple[str, tuple[str, ...]], ...]
"""What differs, and the values that it has."""
Name = TypeVar("Name")
Thing = TypeVar("Thing")


def not_averaged(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a sentence for each reason why seeds are not averaged, with all its methods, tasks and modes."""
    reasons: dict[Reason, dict[str, set[Where]]] = {}
    for (arm, *where), kinds in alike(outcomes).items():
        if len(kinds) > 1:
            reasons.setdefault(_reason(list(kinds), where[1]), {}).setdefault(arm, set()).add(Where(*where))
    return [_sentence(reason, by_arm) for reason, by_arm in reasons.items()]


def _sentence(reason: Reason, by_arm: Mapping[str, set[Where]]) -> str:
    differs = listed([f"{what} ({' or '.join(values)})" for what, values in reason])
    whose = [f"{listed(arms)} on {_places(where)}" for where, arms in merged(by_arm)]
    return f"Seeds that differ in {differs} are not averaged: {'; '.join(whose)}"


def _places(found: frozenset[Where]) -> str:
    """Return ``TASK, return in train and noise``, grouping tasks, modes and scores for which the same holds."""
    by_task = merged(_by(found, lambda one: one.task, lambda one: (one.measure, one.mode)))
    return "; on ".join(f"{listed(tasks)}, {_measures(pairs)}" for pairs, tasks in by_task)


def _measures(pairs: frozenset[tuple[str, str]]) -> str:
    by_measure = merged(_by(pairs, lambda one: one[0], lambda one: one[1]))
    return "; ".join(
        f"{_named(measures)} in {_few(sorted(modes, key=_training_first))}" for modes, measures in by_measure
    )


def _named(measures: Sequence[str]) -> str:
    """Describe returns and successes by name, and saliency scores by metric and method."""
    scores = [measure.partition(":") for measure in measures if measure not in MEASURES]
    named = [measure for measure in measures if measure in MEASURES]
    for metrics, methods in merged(_by(scores, lambda one: one[2], lambda one: one[0].replace("_", " "))):
        named.append(f"{_few(sorted(metrics))} of {listed([method.replace('_', ' ') for method in methods])}")
    return listed(named)


def _few(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return listed(names)
    return listed([*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"])


def _training_first(mode: str) -> tuple[bool, str]:
    return mode != TRAIN, mode


def _reason(kinds: Sequence[Kind], measure: str) -> Reason:
    counted = "episodes" if measure in MEASURES else "frames asked for"
    asked: dict[str, Callable[[Kind], str]] = {
        "setting": lambda kind: kind.setting,
        "data": lambda kind: kind.data,
        "version": lambda kind: kind.version,
        "agent steps": lambda kind: f"{kind.env_steps:,}",
        counted: lambda kind: "" if kind.count is None else f"{kind.count:,}",
        "how actions were chosen": lambda kind: "drawn from the policy" if kind.sampled else "the policy's most likely",
    }
    values = {what: tuple(dict.fromkeys(tell(kind) or NOTHING for kind in kinds)) for what, tell in asked.items()}
    return tuple((what, several) for what, several in values.items() if len(several) > 1)


def _by(things: Iterable[Thing], key: Callable[[Thing], str], rest: Callable[[Thing], Name]) -> dict[str, set[Name]]:
    found: dict[str, set[Name]] = {}
    for one in things:
        found.setdefault(key(one), set()).add(rest(one))
    return {name: found[name] for name in sorted(found)}


def merged(found: Mapping[str, Iterable[Name]]) -> list[tuple[frozenset[Name], list[str]]]:
    """Group names that have the same things, with these things."""
    together: dict[frozenset[Name], list[str]] = {}
    for name, things in found.items():
        together.setdefault(frozenset(things), []).append(name)
    return list(together.items())
