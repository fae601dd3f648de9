"""The numbers of an experiment as sections of a page: charts and tables by task, and all tasks together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from saccade.bench import statistics
from saccade.bench.comparison import Aggregate, Group, Line, Pair
from saccade.bench.outcomes import SUCCESS
from saccade.bench.printed import decimals_for, decimals_of, published_number_text
from saccade.bench.printed import number_text as number
from saccade.bench.published import RETURN
from saccade.bench.statistics import FEWEST_SEEDS, Estimate
from saccade.viewer import figures
from saccade.viewer.experiment_curves import MEASURES, banded, beside_published
from saccade.viewer.figures import ModeReturn
from saccade.viewer.page import Cell, Heading, Picture, Section, Table, Text

THRESHOLDS = np.linspace(0.0, 1.0, 41)
INTERVALS = (
    "In square brackets are 95 % intervals from resampled runs within each task; fewer than "
    f"{FEWEST_SEEDS} seeds have none."
)


def results(
    groups: Sequence[Group], mixed: Sequence[str], arms: Sequence[str] = (), success_alone: Collection[str] = ()
) -> Iterator[Section]:
    """Of every task a chart and a table for each way of measuring; and what is not averaged, in words.

    arms: all methods of the page, each of which has its colour in all charts. success_alone: tasks in which the return
    is the success, which is told once.
    """
    own = [group for group in groups if group.measure in MEASURES]
    for task in dict.fromkeys(group.task for group in own):
        yield Heading(f"Results: {task}")
        for group in (one for one in own if one.task == task):
            if group.measure == SUCCESS and task in success_alone:
                continue
            yield _chart(group, arms)
            yield _table(group)
        if task in success_alone:
            yield Text("The share of episodes with a success is the return in every run, and is not shown again.")
    if mixed:
        yield Heading("What is not averaged", 3)
        yield Text("\n".join(f"• {sentence}" for sentence in mixed))


def _chart(group: Group, arms: Sequence[str]) -> Picture:
    percent = 100 if group.measure == SUCCESS else 1
    marks = [
        ModeReturn(
            _row_name(line, group), line.mode, percent * line.mean, percent * line.deviation, _values(line, percent)
        )
        for line in group.lines
    ]
    label = "episodes with a success, %" if group.measure == SUCCESS else MEASURES[RETURN]
    return Picture(
        figures.returns_by_mode(marks, y_label=label, names=arms),
        f"{label} of each method in {', '.join(dict.fromkeys(line.mode for line in group.lines))}",
        f"{_measured(group)} Large: mean over seeds, with the standard deviation; small: each seed.",
    )


def _values(line: Line, percent: int) -> tuple[float, ...]:
    return tuple(percent * value for value in line.values)


def _measured(group: Group) -> str:
    what = MEASURES.get(group.measure, group.measure).capitalize()
    return f"{what} ({group.conditions})." if group.conditions else f"{what}."


def _row_name(line: Line, group: Group) -> str:
    """The arm, and where one has several lines in a mode after how many steps each was measured."""
    alike = [one for one in group.lines if (one.arm, one.mode) == (line.arm, line.mode)]
    return line.arm if len(alike) == 1 else f"{line.arm}, {line.kind.env_steps:,} steps, {line.kind.count} episodes"


def _table(group: Group) -> Table:
    decimals, lines = decimals_of(group.lines), group.lines
    printed_beside = any(line.published for line in lines)
    steps = {line.kind.env_steps for line in lines}
    columns: dict[str, list[Cell]] = {
        "method, mode": [f"{_row_name(line, group)}, {line.mode}" for line in lines],
        **beside_published(lines, decimals, "ours"),
    }
    if len(steps) > 1:
        columns["agent steps"] = [line.kind.env_steps for line in lines]
    counts = {line.kind.count for line in lines}
    if len(counts) > 1:
        columns["episodes"] = [line.kind.count for line in lines]
    played = f", {counts.pop()} episodes each" if len(counts) == 1 and None not in counts else ""
    printed = dict.fromkeys(line.published[0].source for line in lines if line.published)
    others = [
        f"{line.arm}, {line.mode}: {published_number_text(one, decimals)} ({one.source})"
        for line in lines
        for one in line.published[1:]
    ]
    after = f" after {steps.pop():,} agent steps" if len(steps) == 1 else ""
    caption = (
        f"{_measured(group)} Mean ± standard deviation over seeds{played}{after}. Interval: "
        f"of that mean, 95 %, from resampled seeds."
        + (f" Published: {'; '.join(printed)}." if printed_beside else " Nothing published stands beside.")
        + (f" Others print: {'; '.join(others)}." if others else "")
    )
    return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)), caption)


def over_tasks(
    aggregates: Sequence[Aggregate],
    pairs: Sequence[Pair],
    arms: Sequence[str] = (),
    success_alone: Collection[str] = (),
) -> Iterator[Section]:
    """What may be said of all runs on all tasks together, and of the last method beside each other one."""
    if not aggregates:
        return
    several = any(len(one.tasks) > 1 for one in aggregates)
    yield Heading("All tasks together" if several else "The methods beside each other")
    for measure in dict.fromkeys(one.measure for one in aggregates):
        own = [one for one in aggregates if one.measure == measure]
        if measure == RETURN and all(set(one.tasks) <= set(success_alone) for one in own):
            continue  # the success says the same, and how far it is from the greatest
        gaps = [None if one.optimality_gap is None else estimated(one.optimality_gap, 2) for one in own]
        columns: dict[str, list[Cell]] = {
            "method, mode": [f"{one.arm}, {one.mode}" for one in own],
            "interquartile mean": [amount(one) for one in own],
            **({"optimality gap": [*gaps]} if any(gaps) else {}),
            "seeds": [one.interquartile_mean.seeds for one in own],
        }
        tasks = "; ".join(dict.fromkeys(", ".join(one.tasks) for one in own))
        behind = " Optimality gap: how far runs fall short of the greatest return, as a share of it."
        yield Table(
            tuple(columns),
            tuple(zip(*columns.values(), strict=True)),
            f"{MEASURES[measure].capitalize()}, over {tasks}: the mean of the middle half of all runs. {INTERVALS}"
            + (behind if any(gaps) else ""),
        )
        if several:
            yield from _profiles(own, arms)
    if pairs:
        yield _pairs(pairs)


def _pairs(pairs: Sequence[Pair]) -> Table:
    return Table(
        ("beside, mode", "how often better", "difference"),
        tuple(
            (f"{pair.other}, {pair.mode}", _percent(pair.probability), estimated(pair.difference, 2)) for pair in pairs
        ),
        f"{pairs[0].arm} beside each other method. How often better: the share of pairs of runs on the same task in "
        f"which {pairs[0].arm} gets more (a tie counts half). Difference: of the interquartile means, in shares of the "
        f"greatest return where that is known. {INTERVALS}",
    )


def _percent(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:.0f} % ({found.seeds} seed{'s' * (found.seeds > 1)}: too few)"
    return f"{100 * found.value:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _profiles(aggregates: Sequence[Aggregate], arms: Sequence[str]) -> Iterator[Picture]:
    """A chart for each mode where numbers are shares of something."""
    for mode in dict.fromkeys(one.mode for one in aggregates if one.scale is not None and one.scores.size > 1):
        own = [one for one in aggregates if one.mode == mode]
        found = {one.arm: statistics.performance_profile(one.scores, THRESHOLDS) for one in own}
        yield Picture(
            banded(found, "share of the greatest return", "runs above it", arms),
            f"performance profile of each method in {mode}",
            f"Performance profile in {mode}: the share of runs, over all tasks, above each value. Higher is "
            "better, everywhere. Faint: 95 % bands, of methods with three seeds or more.",
        )


def amount(one: Aggregate) -> str:
    """The interquartile mean, and its interval where there is one: of returns as returns, of successes as a share."""
    scale = 1.0 if one.measure == SUCCESS else one.scale or 1.0
    found = one.interquartile_mean
    low, high = (None if end is None else end * scale for end in (found.low, found.high))
    value = found.value * scale
    return estimated(Estimate(value, low, high, found.seeds), decimals_for([value]) if one.measure == RETURN else 2)


def estimated(found: Estimate, decimals: int) -> str:
    """``294 [290, 300]``; of too few seeds the number alone, since what stands beside or below says so."""
    text = number(found.value, decimals)
    if found.low is None or found.high is None:
        return text
    return f"{text} [{number(found.low, decimals)}, {number(found.high, decimals)}]"
