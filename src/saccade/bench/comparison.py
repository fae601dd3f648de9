"""A grid's numbers beside the published ones: one line for every arm, task, measure, mode and setting.

Runs that were measured in different ways (``Outcome.kind``) never share a line, and lines that differ in rendering,
size, data or version never share a table or an aggregate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, final

import numpy as np

from saccade.bench import statistics
from saccade.bench.outcomes import SUCCESS, Kind, Outcome, alike
from saccade.bench.published import RETURN, TRAIN, Published
from saccade.bench.statistics import Estimate

TESTS = ("test1", "test2", "test3", "test4", "test5")
MEANS: Mapping[str, tuple[str, ...]] = {"tests": TESTS[:3], "five_tests": TESTS, "all": (TRAIN, *TESTS)}
"""Modes of which papers print the average, by its name in tables: SGQN and SimGRL over three tests, SMG over five."""
MEASURES = (RETURN, SUCCESS)
"""Measures of episodes; the others are of saliency maps."""
FULL_RETURN = {"dmc/": 1000.0}
"""The greatest return of an episode, by the prefix of the task id: 1,000 steps of at most 1 in the Control Suite."""

Key = tuple[str, str, str, str]


def with_means(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes, and for each run the averages over modes that papers print, where it has all of them."""
    found = list(outcomes)
    for name, modes in MEANS.items():
        runs: dict[tuple[Any, ...], dict[str, Outcome]] = {}
        for one in outcomes:
            if one.measure in MEASURES and one.mode in modes:
                key = (one.arm, one.task, one.seed, one.measure, replace(one.kind, data=""))
                runs.setdefault(key, {})[one.mode] = one
        for by_mode in runs.values():
            if len(by_mode) == len(modes):
                several = [by_mode[mode] for mode in modes]
                data = "; ".join(filter(None, dict.fromkeys(one.data for one in several)))
                value = fmean(one.value for one in several)
                found.append(replace(several[0], mode=name, value=value, data=data, changed=None))
    return found


@final
@dataclass(frozen=True)
class Line:
    """One arm on one task in one mode: every seed's number, their statistics, and what was published.

    Attributes:
        kind: how the numbers were measured (``Outcome.kind``).
        seeds, values: the seed and the number of each run.
        published: the numbers that papers print for the same thing, the grid's own table first.
        better: whether ``higher`` or ``lower`` is better; None if unknown.
        attack: the name and the budget (in steps of 1/255) of the attack during measurement; None without an attack.
        frames: of a saliency score, of how many frames each run's number is; empty where nothing says.
    """

    arm: str
    task: str
    measure: str
    mode: str
    kind: Kind
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    published: tuple[Published, ...] = ()
    better: str | None = "higher"
    attack: tuple[str, float] | None = None
    frames: tuple[int, ...] = ()

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.mean_and_deviation(self.values)[0]

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds, as papers print it."""
        return statistics.mean_and_deviation(self.values)[1]

    @property
    def difference(self) -> float | None:
        """Ours minus the first published number."""
        return self.mean - self.published[0].value if self.published else None

    @cached_property
    def estimate(self) -> Estimate:
        """The mean with its bootstrap interval over seeds."""
        return statistics.estimate(self.values, statistics.mean)


def lines_of(outcomes: Iterable[Outcome], published: Iterable[Published] = ()) -> list[Line]:
    """Return a line for every group of comparable numbers, arm by arm in the order in which they first appear.

    Published numbers are matched by arm, task, measure and mode.
    """
    printed: dict[Key, list[Published]] = {}
    for number in published:
        printed.setdefault((number.arm, number.task, number.measure, number.mode), []).append(number)
    lines = []
    for key, kinds in alike(outcomes).items():
        for kind, group in kinds.items():
            by_seed = {one.seed: one.value for one in group}
            better = next((one.better for one in group if one.better), None)
            lines.append(
                Line(
                    *key,
                    kind,
                    tuple(sorted(by_seed)),
                    tuple(by_seed[seed] for seed in sorted(by_seed)),
                    tuple(printed.get(key, ())),
                    "higher" if key[2] in MEASURES else better,
                    group[0].attack,
                    tuple(one.frames for one in group if one.frames is not None),
                )
            )
    arms = list(dict.fromkeys(line.arm for line in lines))
    return sorted(lines, key=lambda line: arms.index(line.arm))


def not_run(lines: Sequence[Line], published: Iterable[Published]) -> list[Published]:
    """Return published numbers for which there is none of ours."""
    ours = {(line.arm, line.task, line.measure, line.mode) for line in lines}
    return [one for one in published if (one.arm, one.task, one.measure, one.mode) not in ours]


def tasks_of_success_alone(lines: Sequence[Line]) -> set[str]:
    """The tasks in which the return of every run is its success, as where an end brings 1 and all else nothing."""
    found: dict[str, dict[tuple[Any, ...], dict[str, tuple[float, ...]]]] = {}
    for line in lines:
        if line.measure in MEASURES:
            key = (line.arm, line.mode, line.kind, line.seeds)
            found.setdefault(line.task, {}).setdefault(key, {})[line.measure] = line.values
    return {task for task, own in found.items() if all(one.get(RETURN) == one.get(SUCCESS) for one in own.values())}


@final
@dataclass(frozen=True)
class Aggregate:
    """One arm over all tasks in one mode: statistics of all its runs together.

    Attributes:
        scores: ``[seeds, tasks]``, as shares of the greatest return where it is known; NaN where a run is missing.
        tasks: the columns' names.
        scale: the number that a score of 1 stands for, the greatest return or success in every episode; None where
            scores are raw numbers, for which neither an optimality gap nor a profile means anything.
    """

    arm: str
    measure: str
    mode: str
    scores: np.ndarray
    tasks: tuple[str, ...]
    scale: float | None

    @cached_property
    def interquartile_mean(self) -> Estimate:
        """Interquartile mean over all runs on all tasks."""
        return statistics.estimate(self.scores)

    @cached_property
    def optimality_gap(self) -> Estimate | None:
        """How far the runs fall short of the greatest return."""
        return None if self.scale is None else statistics.estimate(self.scores, statistics.optimality_gap)


def aggregates_of(lines: Sequence[Line]) -> list[Aggregate]:
    """Return every arm and mode over all tasks together, where all arms measured each task in the same way.

    A task that was measured differently for some arms, or of which an arm has no run, is left out.
    """
    found = []
    for measure in MEASURES:
        for mode in dict.fromkeys(line.mode for line in lines if line.measure == measure and line.attack is None):
            own = [line for line in lines if (line.measure, line.mode) == (measure, mode)]
            arms = list(dict.fromkeys(line.arm for line in own))
            tasks = [task for task in dict.fromkeys(line.task for line in own) if _shared(own, task, arms)]
            if tasks:
                found += [_aggregate(arm, measure, mode, own, tasks) for arm in arms]
    return found


def _shared(lines: Sequence[Line], task: str, arms: Sequence[str]) -> bool:
    """Whether all arms have one line of a task, measured in the same way; training lengths may differ."""
    own = [line for line in lines if line.task == task]
    return len(own) == len(arms) == len({line.arm for line in own}) and len({line.kind.way for line in own}) == 1


@final
@dataclass(frozen=True)
class Group:
    """Lines of one task and measure that may share a table, and what they have in common.

    ``data`` maps modes to the source of their colours and videos.
    """

    task: str
    measure: str
    setting: str
    version: str
    sampled: bool
    data: Mapping[str, str]
    lines: tuple[Line, ...]

    @property
    def conditions(self) -> str:
        """Describe in words how all of it was measured."""
        acts = "actions drawn from the policy" if self.sampled else ""
        sources = dict.fromkeys(self.data.values())
        sources_text = [
            f"{', '.join(mode for mode in self.data if self.data[mode] == one)}: {one}" for one in sources if one
        ]
        return "; ".join(filter(None, (self.setting, acts, *sources_text, self.version)))


def groups_of(lines: Sequence[Line]) -> list[Group]:
    """Group lines without an attack into tables: lines that differ in rendering, size, data or version are separate."""
    variants: dict[tuple[str, str, str], list[str]] = {}
    members: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        setting, data, version, sampled = line.kind.way
        known = variants.setdefault((line.task, line.measure, line.mode), [])
        known += [data] if data not in known else []
        key = (line.task, line.measure, setting, version, sampled, known.index(data))
        if line.attack is None:
            members.setdefault(key, []).append(line)
    return [
        Group(task, measure, setting, version, sampled, {line.mode: line.kind.data for line in own}, tuple(own))
        for (task, measure, setting, version, sampled, _), own in members.items()
    ]


def _aggregate(arm: str, measure: str, mode: str, lines: Sequence[Line], tasks: Sequence[str]) -> Aggregate:
    columns = {line.task: line.values for line in lines if line.arm == arm and line.task in tasks}
    scale = 1.0 if measure == SUCCESS else _greatest(tasks)
    scores = np.full((max(map(len, columns.values())), len(tasks)), np.nan)
    for place, task in enumerate(tasks):
        scores[: len(columns[task]), place] = columns[task]
    return Aggregate(arm, measure, mode, scores / (scale or 1.0), tuple(tasks), scale)


def _greatest(tasks: Sequence[str]) -> float | None:
    """Return the greatest return of an episode, where it is known for all tasks and the same; else None."""
    known = {next((most for begin, most in FULL_RETURN.items() if task.startswith(begin)), None) for task in tasks}
    return known.pop() if len(known) == 1 else None


@final
@dataclass(frozen=True)
class Pair:
    """How often runs of ``arm`` beat runs of ``other`` on the same task, and by how much."""

    arm: str
    other: str
    mode: str
    probability: Estimate
    difference: Estimate


def pairs_of(aggregates: Sequence[Aggregate], measure: str = RETURN, subject: str = "") -> list[Pair]:
    """An arm beside each other one, in every mode: the subject, or the last, which a paper's table is about."""
    own = [one for one in aggregates if one.measure == measure]
    arms = list(dict.fromkeys(one.arm for one in own))
    pairs = []
    chosen = subject if subject in arms else next(reversed(arms), "")
    for first in (one for one in own if one.arm == chosen):
        for other in (one for one in own if one.mode == first.mode and one is not first):
            probability = statistics.probability_of_improvement(first.scores, other.scores)
            difference = statistics.difference(first.scores, other.scores)
            pairs.append(Pair(first.arm, other.arm, first.mode, probability, difference))
    return pairs


def attacked(lines: Sequence[Line]) -> Mapping[tuple[str, str, str], dict[str, list[Line]]]:
    """Return lines under attack: by task, measure and ``fgsm in train``, the lines of each arm by rising budget.

    Each attack's lines begin with that of budget 0, which is measured once for all attacks.
    """
    found: dict[tuple[str, str, str], dict[str, list[Line]]] = {}
    own = [line for line in lines if line.attack is not None and line.measure in MEASURES]
    for line in own:
        if line.attack is not None and _budget(line) > 0:
            key = (line.task, line.measure, f"{line.attack[0]} in {_mode_of(line)}")
            arms = found.setdefault(key, {})
            arms.setdefault(line.arm, _clean(own, line)).append(line)
    return {key: {arm: sorted(some, key=_budget) for arm, some in arms.items()} for key, arms in found.items()}


def _clean(lines: Sequence[Line], beside: Line) -> list[Line]:
    """Return the line that was measured in the same way with budget 0."""
    alike = (beside.arm, beside.task, beside.measure, _mode_of(beside), beside.kind.way)
    return [
        line
        for line in lines
        if _budget(line) == 0 and (line.arm, line.task, line.measure, _mode_of(line), line.kind.way) == alike
    ]


def _mode_of(line: Line) -> str:
    """Return the task's own mode, in which it was attacked."""
    return line.mode.rpartition("+")[0]


def _budget(line: Line) -> float:
    assert line.attack is not None
    return line.attack[1]
