"""The page of an experiment: published numbers beside ours, how the methods learn, what they look at, what differs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from saccade.bench.apart import merged
from saccade.bench.associations import Association
from saccade.bench.comparison import (
    Aggregate,
    Line,
    Pair,
    aggregates_of,
    groups_of,
    pairs_of,
    tasks_of_success_alone,
)
from saccade.bench.outcomes import SUCCESS
from saccade.bench.printed import decimals_for, published_number_text
from saccade.bench.published import RETURN, Published
from saccade.bench.statistics import FEWEST_SEEDS
from saccade.bench.verdicts import listed
from saccade.viewer.experiment_associations import associations
from saccade.viewer.experiment_curves import Learned, Watched, learning, robustness, watched_maps
from saccade.viewer.experiment_results import amount, over_tasks, results
from saccade.viewer.experiment_saliency import saliency
from saccade.viewer.page import (
    Cell,
    Code,
    Contents,
    Facts,
    Folded,
    Found,
    Gallery,
    Heading,
    Section,
    Table,
    Text,
    write_page,
)
from saccade.viewer.pictures import data_uri, png


@final
@dataclass(frozen=True)
class Look:
    """What the arms look at in a task: a row of pictures for each arm, uint8 ``[height, width, 3]``.

    ``columns`` are the captions below the pictures of a row.
    """

    task: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[np.ndarray, ...]]
    caption: str


@final
@dataclass(frozen=True)
class Experiment:
    """The contents of a grid's page.

    Attributes:
        lines: all of our numbers, from ``saccade.bench.comparison``.
        not_run: published numbers without one of ours.
        differs: sentences on everything that differs from the paper.
        mixed: sentences on numbers that are not averaged.
        done, planned: numbers of runs.
        published_about: the name of each published table and how it was measured.
        facts: provenance: versions, hardware, data, commits.
        commands: the commands that repeat everything.
        associations: saliency scores beside success, where both were measured.
        unchanged: sentences on modes that change next to nothing.
        pictures_missing: why pictures are missing.
        subject: the method that each other one is compared with; by default the last.
    """

    name: str
    title: str
    source: str
    lines: Sequence[Line]
    done: int
    planned: int
    not_run: Sequence[Published] = ()
    published_about: Sequence[tuple[str, str]] = ()
    differs: Sequence[str] = ()
    mixed: Sequence[str] = ()
    learned: Sequence[Learned] = ()
    watched: Sequence[Watched] = ()
    looks: Sequence[Look] = ()
    pictures_missing: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    commands: Sequence[str] = field(default_factory=tuple)
    associations: Sequence[Association] = ()
    unchanged: Sequence[str] = ()
    subject: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """Every method that has a number, in the order in which the grid has them."""
        return tuple(dict.fromkeys(line.arm for line in self.lines))

    @property
    def after_a_paper(self) -> bool:
        """Whether there is anything published that it repeats."""
        return bool(self.published_about)


def write_experiment(path: Path, experiment: Experiment) -> None:
    """Write the page. Raises UserError if it cannot be written."""
    write_page(path, f"{experiment.name}: {experiment.title}", list(_sections(experiment)))


def _sections(experiment: Experiment) -> Iterator[Section]:
    aggregates, groups = aggregates_of(experiment.lines), groups_of(experiment.lines)
    pairs, arms = pairs_of(aggregates, subject=experiment.subject), experiment.arms
    same = tasks_of_success_alone(experiment.lines)
    yield Found(" ".join(_summary(experiment, aggregates, pairs)))
    if experiment.unchanged:
        yield Heading("Modes that change next to nothing")
        yield Text(_listed(experiment.unchanged))
    if experiment.differs:
        yield Heading("What differs from the paper" if experiment.after_a_paper else "How it was set")
        yield Text(_listed(experiment.differs))
    yield Contents()
    yield from results(groups, experiment.mixed, arms, same)
    yield from over_tasks(aggregates, pairs, arms, same)
    yield from learning(experiment.learned, arms)
    yield from _looks(experiment)
    yield from saliency(groups)
    yield from watched_maps(experiment.watched, arms)
    yield from associations(experiment.associations, arms)
    yield from robustness([line for line in experiment.lines if not _said(line, same)], arms)
    yield from _published_alone(experiment)
    yield Heading("Where these numbers come from")
    yield Facts(tuple(experiment.facts))
    if experiment.settings:
        yield Folded("How each run was set", Facts(tuple(experiment.settings)))
    yield Heading("How to repeat this")
    yield Code("\n".join(experiment.commands))


def _said(line: Line, same: Collection[str]) -> bool:
    """Whether a number is that of a success which the return has said already."""
    return line.measure == SUCCESS and line.task in same


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"• {sentence}" for sentence in sentences)


# ----------------------------------------------------------------------------------------------- in words


def _summary(experiment: Experiment, aggregates: Sequence[Aggregate], pairs: Sequence[Pair]) -> Iterator[str]:
    if experiment.source:
        yield f"{'After' if experiment.after_a_paper else 'An experiment of'} {experiment.source}."
    has = "has" if experiment.done == 1 else "have"
    yield f"{experiment.done} of {experiment.planned} run{'s' * (experiment.planned > 1)} {has} numbers."
    yield from _best(aggregates)
    yield from _certain(pairs)
    few = sorted({len(line.seeds) for line in experiment.lines if len(line.seeds) < FEWEST_SEEDS})
    if few:
        seeds = f"{' or '.join(map(str, few))} seed{'s' * (few[-1] > 1)}"
        which = "All" if all(len(line.seeds) < FEWEST_SEEDS for line in experiment.lines) else "Some"
        yield f"{which} numbers come from {seeds}: no interval can be given{'' if which == 'All' else ' of these'}."


def _certain(pairs: Sequence[Pair]) -> Iterator[str]:
    """Of whom the method in question is ahead, and behind whom, by intervals of the difference that leave out 0."""
    known = [pair for pair in pairs if pair.difference.low is not None and pair.difference.high is not None]
    if not known:
        return
    clauses = []
    arms = list(dict.fromkeys(pair.other for pair in known))
    for word, beyond in (("ahead of", 1), ("behind", -1)):
        sure = [pair for pair in known if _side(pair) == beyond]
        if sure:
            by_mode: dict[str, list[str]] = {}
            for pair in sure:
                by_mode.setdefault(pair.mode, []).append(pair.other)
            parts = [
                f"{listed(sorted(others, key=arms.index))} in {listed(modes)}" for others, modes in merged(by_mode)
            ]
            clauses.append(f"{word} {'; '.join(parts)}")
    if clauses:
        yield f"By intervals of the difference that leave out 0, {known[0].arm} is {', and '.join(clauses)}."
    else:
        yield f"In no mode does an interval of the difference put {known[0].arm} ahead of another method or behind one."


def _side(pair: Pair) -> int:
    """1 where the difference is above 0 for certain, -1 where it is below, 0 where nobody knows."""
    low, high = pair.difference.low, pair.difference.high
    assert low is not None and high is not None
    return 1 if low > 0 else -1 if high < 0 else 0


def _best(aggregates: Sequence[Aggregate]) -> Iterator[str]:
    """Yield which method has the highest interquartile mean of returns in which modes, where there are several."""
    own = [one for one in aggregates if one.measure == RETURN]
    modes = list(dict.fromkeys(one.mode for one in own))
    count = len({one.arm for one in own})
    if count < 2:
        return
    ahead: dict[str, list[str]] = {}
    for mode in modes:
        best = max((one for one in own if one.mode == mode), key=lambda one: one.interquartile_mean.value)
        ahead.setdefault(best.arm, []).append(f"{mode} ({amount(best)})")
    best_by_mode = "; ".join(f"{arm} in {', '.join(where)}" for arm, where in ahead.items())
    yield f"Highest interquartile mean of the return, of {count} methods: {best_by_mode}."


def _looks(experiment: Experiment) -> Iterator[Section]:
    if not experiment.looks and not experiment.pictures_missing:
        return
    yield Heading("What each method looks at")
    for look in experiment.looks:
        rows = tuple((arm, tuple(data_uri(png(one)) for one in pictures)) for arm, pictures in look.rows.items())
        yield Gallery(rows, look.columns, f"{look.task}: {look.caption}")
    if experiment.pictures_missing:
        yield Text(_listed(experiment.pictures_missing))


def _published_alone(experiment: Experiment) -> Iterator[Section]:
    if experiment.published_about:
        yield Heading("What was published")
        yield Facts(tuple(experiment.published_about))
    if experiment.not_run:
        rows: list[tuple[Cell, ...]] = [
            (
                one.arm,
                one.task,
                f"{one.measure}, {one.mode}".rstrip(", "),
                published_number_text(one, decimals_for([one.value])),
            )
            for one in experiment.not_run
        ]
        yield Table(
            ("method", "task", "what", "published"),
            tuple(rows),
            "Published numbers that no number of ours stands beside: these were not run, or not measured.",
        )
