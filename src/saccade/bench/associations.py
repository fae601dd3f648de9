"""Whether runs whose saliency maps score better also succeed more often: both numbers of every run, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from saccade.bench.comparison import MEANS, MEASURES, Group, Line, groups_of
from saccade.bench.correlation import Correlation, correlation
from saccade.bench.outcomes import SUCCESS
from saccade.bench.verdicts import listed

BASELINE = "baseline"
"""Prefixes of maps that do not depend on the policy, so that their scores say nothing about a run."""
COST = "milliseconds"
"""How names of scores begin that say what a map costs, which is the machine's doing."""


@final
@dataclass(frozen=True)
class Association:
    """A saliency score of runs of one task beside their success, or their return, in a mode.

    Attributes:
        score: ``METRIC:METHOD``, as in ``bench/outcomes.py``; ``scored_in`` is the mode in which maps were scored.
        measure, mode: ``success`` where the task defines it, else ``return``; and the mode that was played.
        conditions: how the episodes were measured.
        better: whether ``higher`` or ``lower`` scores are better; None if unknown.
        arms, seeds: arm and seed of each run.
        scores, values: the two numbers of each run.
    """

    task: str
    score: str
    scored_in: str
    measure: str
    mode: str
    conditions: str
    better: str | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    values: tuple[float, ...]

    @cached_property
    def correlation(self) -> Correlation | None:
        """Return how the two correlate; None with fewer than three runs, or where one is the same in all of them."""
        return correlation(self.scores, self.values, self.arms)

    @property
    def name(self) -> str:
        """``area under roc of gradient``, followed by the mode in which it was scored if that is not ``train``."""
        metric, _, method = self.score.partition(":")
        where = "" if self.scored_in == "train" else f" in {self.scored_in}"
        return f"{metric.replace('_', ' ')} of {method.replace('_', ' ')}{where}"

    @property
    def by_arm(self) -> Mapping[str, tuple[list[float], list[float]]]:
        """Return the scores and the values of each method's runs."""
        found: dict[str, tuple[list[float], list[float]]] = {}
        for arm, score, value in zip(self.arms, self.scores, self.values, strict=True):
            scores, values = found.setdefault(arm, ([], []))
            scores.append(score)
            values.append(value)
        return found


def associations_of(lines: Sequence[Line]) -> list[Association]:
    """Return every saliency score beside the success in every mode, for all runs of a task that have both.

    Only runs that were measured in the same way are combined. Averages over modes and maps that do not depend on the
    policy are left out.
    """
    groups = groups_of(lines)
    found = []
    for task in dict.fromkeys(group.task for group in groups):
        own = [group for group in groups if group.task == task]
        measure = next((one for one in (SUCCESS, *MEASURES) if any(group.measure == one for group in own)), "")
        played = [group for group in own if group.measure == measure]
        scored = [group for group in own if _is_score(group.measure)]
        for score in scored:
            for group in (one for one in played if one.version.startswith(score.version)):
                found += list(_of_groups(score, group))
    return found


def _is_score(measure: str) -> bool:
    _, colon, method = measure.partition(":")
    return bool(colon) and not method.startswith(BASELINE) and not measure.startswith(COST)


def _of_groups(score: Group, played: Group) -> Iterator[Association]:
    for scored_in in dict.fromkeys(line.mode for line in score.lines):
        scores = _of_runs(line for line in score.lines if line.mode == scored_in)
        for mode in dict.fromkeys(line.mode for line in played.lines if line.mode not in MEANS):
            values = _of_runs(line for line in played.lines if line.mode == mode)
            both = [run for run in scores if run in values]
            if both:
                yield Association(
                    score.task,
                    score.measure,
                    scored_in,
                    played.measure,
                    mode,
                    played.conditions,
                    next((line.better for line in score.lines if line.better), None),
                    tuple(arm for arm, _, _ in both),
                    tuple(seed for _, seed, _ in both),
                    tuple(scores[run] for run in both),
                    tuple(values[run] for run in both),
                )


def _of_runs(lines: Iterable[Line]) -> dict[tuple[str, int, int], float]:
    """Return the number of each run by arm, seed and training steps, over most episodes where it has several."""
    ordered = sorted(lines, key=lambda line: line.kind.count or 0)
    return {
        (line.arm, seed, line.kind.env_steps): value
        for line in ordered
        for seed, value in zip(line.seeds, line.values, strict=True)
    }


def sentences(associations: Sequence[Association]) -> Iterator[str]:
    """Summarise the correlations of one task in words."""
    known = [(one, one.correlation) for one in associations if one.correlation is not None]
    if not known:
        yield (
            "No correlation can be given: there are fewer than three runs with both, or one of the two is the same in "
            "all of them."
        )
        return
    what = associations[0].measure
    sure = [(one, found) for one, found in known if found.spearman.is_certain]
    yield (
        f"Of {len(known)} pairs of a score and a mode, {len(sure)} have an interval of Spearman's coefficient that "
        "leaves out 0; where nothing goes together one of twenty would."
    )
    if sure:
        one, found = max(sure, key=lambda pair: abs(pair[1].spearman.value))
        way = "more" if found.spearman.value > 0 else "less"
        yield (
            f"The strongest: the higher {one.name}, the {way} {what} in {one.mode} (Spearman {found.spearman.text()}, "
            f"{found.runs} runs)."
        )
    apart = [one for one, found in sure if found.within is not None and found.within.value * found.spearman.value <= 0]
    if apart:
        names = listed([f"{one.name} with {one.mode}" for one in apart[:3]])
        rest = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        yield f"Within methods nothing of it is left, or the contrary holds, of {names}{rest}."
