"""The page of an experiment: published numbers beside ours, how the methods learn, what they look at, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np

from saccade.bench import statistics
from saccade.bench.comparison import (
    RETURN,
    SUCCESS,
    Aggregate,
    Group,
    Line,
    Pair,
    aggregates_of,
    attacked,
    groups_of,
    pairs_of,
)
from saccade.bench.printed import decimals_of, difference_told, interval_told, published_told, told
from saccade.bench.published import Published
from saccade.bench.statistics import FEWEST_SEEDS, Estimate, too_few
from saccade.viewer import figures
from saccade.viewer.figures import ModeReturn
from saccade.viewer.page import (
    Better,
    Cell,
    Code,
    Contents,
    Facts,
    Folded,
    Gallery,
    Heading,
    Picture,
    Section,
    Table,
    Text,
    write_page,
)
from saccade.viewer.pictures import data_uri, png

MEASURES = {RETURN: "return of an episode", SUCCESS: "share of episodes with a success"}
WINDOW = 5  # episodes that a learning curve averages
PLACES = 60  # of a learning curve
THRESHOLDS = np.linspace(0.0, 1.0, 41)
INTERVALS = (
    "In square brackets are 95 % intervals from runs drawn anew within each task; fewer than "
    f"{FEWEST_SEEDS} seeds have none."
)


@final
@dataclass(frozen=True)
class Learned:
    """Training of one run: after which agent steps and seconds an episode ended, and with which return."""

    arm: str
    task: str
    setting: str
    env_steps: Sequence[float]
    seconds: Sequence[float]
    returns: Sequence[float]


@final
@dataclass(frozen=True)
class Look:
    """What the arms look at in a task: a row of pictures for each, uint8 ``[height, width, 3]``.

    ``columns`` say what stands below each picture of a row.
    """

    task: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[np.ndarray, ...]]
    caption: str


@final
@dataclass(frozen=True)
class Experiment:
    """All that a page tells of a grid.

    Attributes:
        lines: of ``saccade.bench.comparison``, every number of ours.
        not_run: published numbers without one of ours.
        differs: sentences on everything that deviates from the paper.
        mixed: sentences on numbers that are not averaged.
        done, planned: runs.
        published_about: of each published table its name and how it was measured.
        facts: provenance: versions, hardware, data, commits.
        commands: what makes all of it again.
        pictures_missing: why there are pictures of nothing, or of not everything.
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
    looks: Sequence[Look] = ()
    pictures_missing: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    commands: Sequence[str] = field(default_factory=tuple)


def write_experiment(path: Path, experiment: Experiment) -> None:
    """Write the page. Raises UserError where it cannot be written."""
    write_page(path, f"{experiment.name}: {experiment.title}", list(_sections(experiment)))


def _sections(experiment: Experiment) -> Iterator[Section]:
    aggregates, groups = aggregates_of(experiment.lines), groups_of(experiment.lines)
    pairs = pairs_of(aggregates)
    yield Text(" ".join(_summary(experiment, aggregates, pairs)))
    if experiment.differs:
        yield Heading("What differs from the paper")
        yield Text(_listed(experiment.differs))
    yield Contents()
    yield from _results(groups, experiment)
    yield from _over_tasks(aggregates, pairs)
    yield from _learning(experiment.learned)
    yield from _looks(experiment)
    yield from _saliency(groups)
    yield from _robustness(experiment.lines)
    yield from _published_alone(experiment)
    yield Heading("Where these numbers come from")
    yield Facts(tuple(experiment.facts))
    if experiment.settings:
        yield Folded("How each run was set", Facts(tuple(experiment.settings)))
    yield Heading("How to repeat this")
    yield Code("\n".join(experiment.commands))


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"• {sentence}" for sentence in sentences)


# ----------------------------------------------------------------------------------------------- in words


def _summary(experiment: Experiment, aggregates: Sequence[Aggregate], pairs: Sequence[Pair]) -> Iterator[str]:
    if experiment.source:
        yield f"After {experiment.source}."
    yield f"{experiment.done} of {experiment.planned} runs have numbers."
    yield from _best(aggregates)
    sure = [pair for pair in pairs if pair.difference.low is not None and pair.difference.low > 0]
    if sure:
        told = ", ".join(f"{pair.other} in {pair.mode}" for pair in sure)
        yield f"{sure[0].arm} is ahead, with an interval of the difference that lies above 0, of {told}."
    elif pairs and pairs[0].difference.low is not None:
        yield f"In no mode does an interval of the difference put {pairs[0].arm} ahead of another method."
    few = sorted({len(line.seeds) for line in experiment.lines if len(line.seeds) < FEWEST_SEEDS})
    if few:
        seeds = f"{' or '.join(map(str, few))} seed{'s' * (few[-1] > 1)}"
        yield f"Some numbers come from {seeds}: no interval can be given."


def _best(aggregates: Sequence[Aggregate]) -> Iterator[str]:
    """Whose interquartile mean of returns is highest in which modes, where there are several methods."""
    own = [one for one in aggregates if one.measure == RETURN]
    modes = list(dict.fromkeys(one.mode for one in own))
    count = len({one.arm for one in own})
    if count < 2:
        return
    ahead: dict[str, list[str]] = {}
    for mode in modes:
        best = max((one for one in own if one.mode == mode), key=lambda one: one.interquartile_mean.value)
        ahead.setdefault(best.arm, []).append(f"{mode} ({_amount(best)})")
    told = "; ".join(f"{arm} in {', '.join(where)}" for arm, where in ahead.items())
    yield f"Highest interquartile mean of the return, of {count} methods: {told}."


def _amount(one: Aggregate) -> str:
    scale = one.scale or 1.0
    return one.interquartile_mean.told(2) if one.measure == SUCCESS else _scaled(one.interquartile_mean, scale)


def _scaled(found: Estimate, scale: float) -> str:
    """An estimate of shares as the returns that they are shares of."""
    low, high = (None if end is None else end * scale for end in (found.low, found.high))
    decimals = 0 if abs(found.value * scale) >= 100 else 1
    return Estimate(found.value * scale, low, high, found.seeds).told(decimals).replace("-", "\u2212")


# ---------------------------------------------------------------------------------------------- the numbers


def _results(groups: Sequence[Group], experiment: Experiment) -> Iterator[Section]:
    own = [group for group in groups if group.measure in MEASURES]
    for task in dict.fromkeys(group.task for group in own):
        yield Heading(f"Results: {task}")
        for group in (one for one in own if one.task == task):
            yield _chart(group)
            yield _table(group)
    if experiment.mixed:
        yield Heading("What is not averaged", 3)
        yield Text(_listed(experiment.mixed))


def _chart(group: Group) -> Picture:
    percent = 100 if group.measure == SUCCESS else 1
    marks = [
        ModeReturn(
            _row_name(line, group), line.mode, percent * line.mean, percent * line.deviation, _values(line, percent)
        )
        for line in group.lines
    ]
    label = "episodes with a success, %" if group.measure == SUCCESS else MEASURES[RETURN]
    return Picture(
        figures.returns_by_mode(marks, y_label=label),
        f"{label} of each method in {', '.join(dict.fromkeys(line.mode for line in group.lines))}",
        f"{_measured(group)} Large: mean over seeds, with the standard deviation; small: each seed.",
    )


def _values(line: Line, percent: int) -> tuple[float, ...]:
    return tuple(percent * value for value in line.values)


def _measured(group: Group) -> str:
    what = MEASURES.get(group.measure, group.measure).capitalize()
    return f"{what} ({group.told})." if group.told else f"{what}."


def _row_name(line: Line, group: Group) -> str:
    """The arm, and where one has several lines in a mode after how many steps each was measured."""
    alike = [one for one in group.lines if (one.arm, one.mode) == (line.arm, line.mode)]
    return line.arm if len(alike) == 1 else f"{line.arm}, {line.kind[3]:,} steps, {line.kind[4]} episodes"


def _table(group: Group) -> Table:
    decimals = decimals_of(group.lines)
    rows: list[tuple[Cell, ...]] = [
        (
            f"{_row_name(line, group)}, {line.mode}",
            f"{told(line.mean, decimals)} ± {told(line.deviation, decimals)}",
            published_told(line, decimals) if line.published else None,
            difference_told(line, decimals) if line.published else None,
            interval_told(line, decimals),
            len(line.seeds),
            line.kind[3],
        )
        for line in group.lines
    ]
    columns = ("method, mode", "ours", "published", "difference", "interval", "seeds", "agent steps")
    counts = "/".join(dict.fromkeys(str(line.kind[4]) for line in group.lines if line.kind[4]))
    printed = dict.fromkeys(one.source for line in group.lines for one in line.published)
    caption = (
        f"{_measured(group)} Mean ± standard deviation over seeds, {counts or 'some'} episodes each. Interval: of that "
        f"mean, 95 %, from seeds drawn anew."
        + (f" Published: {'; '.join(printed)}." if printed else " Nothing published stands beside.")
    )
    return Table(columns, tuple(rows), caption)


def _over_tasks(aggregates: Sequence[Aggregate], pairs: Sequence[Pair]) -> Iterator[Section]:
    if not aggregates:
        return
    several = any(len(one.tasks) > 1 for one in aggregates)
    yield Heading("All tasks together" if several else "The methods beside each other")
    for measure in dict.fromkeys(one.measure for one in aggregates):
        own = [one for one in aggregates if one.measure == measure]
        columns = ("method, mode", "interquartile mean", "optimality gap", "seeds")
        rows: list[tuple[Cell, ...]] = [
            (
                f"{one.arm}, {one.mode}",
                _amount(one),
                None if one.optimality_gap is None else one.optimality_gap.told(2),
                one.interquartile_mean.seeds,
            )
            for one in own
        ]
        tasks = "; ".join(dict.fromkeys(", ".join(one.tasks) for one in own))
        yield Table(
            columns,
            tuple(rows),
            f"{MEASURES[measure].capitalize()}, over {tasks}: the mean of the middle half of all runs. {INTERVALS} "
            "Optimality gap: how far runs stay behind the greatest return, as a share of it; where that is known.",
        )
        if several:
            yield from _profiles(own)
    if pairs:
        yield _pairs(pairs)


def _pairs(pairs: Sequence[Pair]) -> Table:
    return Table(
        ("beside, mode", "how often better", "difference"),
        tuple(
            (f"{pair.other}, {pair.mode}", _percent(pair.probability), pair.difference.told(2).replace("-", "\u2212"))
            for pair in pairs
        ),
        f"{pairs[0].arm} beside each other method. How often better: the share of pairs of runs on the same task in "
        f"which {pairs[0].arm} gets more (a tie counts half). Difference: of the interquartile means, in shares of the "
        f"greatest return where that is known. {INTERVALS}",
    )


def _percent(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:.0f} % ({too_few(found.seeds)})"
    return f"{100 * found.value:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _profiles(aggregates: Sequence[Aggregate]) -> Iterator[Picture]:
    """A chart for each mode where numbers are shares of something."""
    for mode in dict.fromkeys(one.mode for one in aggregates if one.scale is not None and one.scores.size > 1):
        own = [one for one in aggregates if one.mode == mode]
        found = {one.arm: statistics.performance_profile(one.scores, THRESHOLDS) for one in own}
        yield Picture(
            figures.curves(
                {arm: (band.places.tolist(), band.value.tolist()) for arm, band in found.items()},
                x_label="share of the greatest return",
                y_label="runs above it",
                band=_bands(found),
            ),
            f"performance profile of each method in {mode}",
            f"Performance profile in {mode}: the share of all runs on all tasks that get more than so much. Higher is "
            "better, everywhere. Faint: 95 % bands, of methods with three seeds or more.",
        )


def _bands(found: Mapping[str, statistics.Band]) -> dict[str, tuple[list[float], list[float]]]:
    return {
        name: (band.low.tolist(), band.high.tolist())
        for name, band in found.items()
        if band.low is not None and band.high is not None
    }


# ------------------------------------------------------------------------------------------------ learning


def _learning(learned: Sequence[Learned]) -> Iterator[Section]:
    charts = []
    for task in dict.fromkeys(one.task for one in learned):
        own = [one for one in learned if one.task == task]
        for what, minutes in (("agent steps", False), ("minutes of training", True)):
            found = _learning_bands(own, minutes)
            if found:
                charts.append(_learning_chart(task, what, found))
    if charts:
        yield Heading("How they learned")
        yield from charts


def _learning_chart(task: str, what: str, found: Mapping[str, statistics.Band]) -> Picture:
    return Picture(
        figures.curves(
            {name: (band.places.tolist(), band.value.tolist()) for name, band in found.items()},
            x_label=what,
            y_label="return while training",
            band=_bands(found),
        ),
        f"return of training episodes in {task} over {what}",
        f"{task}: mean over seeds of the return of training episodes, {WINDOW} averaged, over {what}, as far as all "
        "seeds of a method have come. Faint: 95 % bands, of methods with three seeds or more.",
    )


def _learning_bands(learned: Sequence[Learned], minutes: bool) -> dict[str, statistics.Band]:
    settings = {one.arm: {other.setting for other in learned if other.arm == one.arm} for one in learned}
    runs: dict[str, list[tuple[Sequence[float], Sequence[float]]]] = {}
    for one in learned:
        name = one.arm if len(settings[one.arm]) == 1 else f"{one.arm}, {one.setting}"
        places = [second / 60 for second in one.seconds] if minutes else one.env_steps
        if len(places):
            runs.setdefault(name, []).append((places, figures.smoothed(one.returns, WINDOW)))
    found = {}
    for name, curves in runs.items():
        if max(x[0] for x, _ in curves) < min(x[-1] for x, _ in curves):
            found[name] = statistics.learning_curve(curves, most_places=PLACES)
    return found


# ------------------------------------------------------------------------------------- pictures and scores


def _looks(experiment: Experiment) -> Iterator[Section]:
    if not experiment.looks and not experiment.pictures_missing:
        return
    yield Heading("What each method looks at")
    for look in experiment.looks:
        rows = tuple((arm, tuple(data_uri(png(one)) for one in pictures)) for arm, pictures in look.rows.items())
        yield Gallery(rows, look.columns, f"{look.task}: {look.caption}")
    if experiment.pictures_missing:
        yield Text(_listed(experiment.pictures_missing))


def _saliency(groups: Sequence[Group]) -> Iterator[Section]:
    own = [group for group in groups if group.measure not in MEASURES and ":" in group.measure]
    if not own:
        return
    yield Heading("How good their saliency maps are")
    tables: dict[tuple[str, str, str], list[tuple[str, Line]]] = {}
    for group in own:
        metric, _, method = group.measure.partition(":")
        for line in group.lines:
            tables.setdefault((group.task, metric, group.version), []).append((method, line))
    for (task, metric, version), lines in tables.items():
        yield _score_table(task, metric, version, lines)


def _score_table(task: str, metric: str, version: str, lines: Sequence[tuple[str, Line]]) -> Table:
    decimals = 3 if all(abs(line.mean) < 10 for _, line in lines) else 1
    rows: list[tuple[Cell, ...]] = [
        (
            f"{line.arm}, {method}, {line.mode}",
            f"{told(line.mean, decimals)} ± {told(line.deviation, decimals)}",
            published_told(line, decimals) if line.published else None,
            difference_told(line, decimals) if line.published else None,
            interval_told(line, decimals),
            len(line.seeds),
        )
        for method, line in lines
    ]
    direction = {line.better for _, line in lines}
    better: Better | None = None
    if direction == {"higher"}:
        better = "higher"
    elif direction == {"lower"}:
        better = "lower"
    return Table(
        ("method, saliency, mode", metric.replace("_", " "), "published", "difference", "interval", "seeds"),
        tuple(rows),
        f"{metric} of maps in {task}: mean ± standard deviation over seeds. {version}.".replace(" .", ""),
        (None, better, None, None, None, None),
        frozenset(str(row[0]) for (method, _), row in zip(lines, rows, strict=True) if method.startswith("baseline")),
    )


def _robustness(lines: Sequence[Line]) -> Iterator[Section]:
    found = attacked(lines)
    if not found:
        return
    yield Heading("How robust they are")
    for (task, measure, what), arms in found.items():
        kinds = {(line.kind[0], line.kind[2], line.kind[5]) for own in arms.values() for line in own}
        for setting, version, sampled in kinds:
            own = {
                arm: [one for one in several if (one.kind[0], one.kind[2], one.kind[5]) == (setting, version, sampled)]
                for arm, several in arms.items()
            }
            yield _robustness_chart(task, measure, what, {arm: some for arm, some in own.items() if some}, setting)


def _robustness_chart(task: str, measure: str, what: str, arms: Mapping[str, Sequence[Line]], setting: str) -> Picture:
    series, bands = {}, {}
    for arm, lines in arms.items():
        budgets = [line.attack[1] for line in lines if line.attack is not None]
        series[arm] = (budgets, [line.mean for line in lines])
        ends = [(line.estimate.low, line.estimate.high) for line in lines]
        low, high = [one for one, _ in ends if one is not None], [one for _, one in ends if one is not None]
        if len(low) == len(high) == len(budgets):
            bands[arm] = (low, high)
    return Picture(
        figures.curves(series, x_label="budget, of 255", y_label=MEASURES[measure], band=bands),
        f"{MEASURES[measure]} of each method under {what}, over the attack's budget",
        f"{task} under {what}: mean over seeds, over how much the attack may change each pixel. Faint: 95 % bands, of "
        f"methods with three seeds or more. {setting}".rstrip(". ")
        + ".",
    )


def _published_alone(experiment: Experiment) -> Iterator[Section]:
    if experiment.published_about:
        yield Heading("What was published")
        yield Facts(tuple(experiment.published_about))
    if experiment.not_run:
        rows: list[tuple[Cell, ...]] = [
            (one.arm, one.task, f"{one.measure}, {one.mode}".rstrip(", "), _number(one)) for one in experiment.not_run
        ]
        yield Table(
            ("method", "task", "what", "published"),
            tuple(rows),
            "Published numbers that no number of ours stands beside: these were not run, or not measured.",
        )


def _number(one: Published) -> str:
    decimals = 0 if abs(one.value) >= 100 else 1 if abs(one.value) >= 10 else 2
    return told(one.value, decimals) + ("" if one.spread is None else f" ± {told(one.spread, decimals)}")
