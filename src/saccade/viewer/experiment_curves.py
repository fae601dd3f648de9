"""Curves of an experiment as sections of its page: learning, what maps find, returns under attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from saccade.bench import statistics
from saccade.bench.comparison import Line, attacked
from saccade.bench.outcomes import SUCCESS
from saccade.bench.printed import difference_text, interval_text, ours_text, published_text
from saccade.bench.published import RETURN
from saccade.viewer import figures
from saccade.viewer.page import Cell, Heading, Picture, Section

MEASURES = {RETURN: "return of an episode", SUCCESS: "share of episodes with a success"}
WINDOW = 5  # episodes that a learning curve averages
PLACES = 60  # of a learning curve


@final
@dataclass(frozen=True)
class Learned:
    """Training of one run: the agent steps and seconds at which its episodes ended, and their returns."""

    arm: str
    task: str
    setting: str
    env_steps: Sequence[float]
    seconds: Sequence[float]
    returns: Sequence[float]


@final
@dataclass(frozen=True)
class Watched:
    """How well a map that an agent computes finds the task in the course of training, in one mode of one run."""

    arm: str
    task: str
    mode: str
    map: str
    env_steps: Sequence[float]
    area_under_roc: Sequence[float]


def watched_maps(watched: Sequence[Watched], arms: Sequence[str] = ()) -> Iterator[Section]:
    """Yield charts of how well each map finds the task, over agent steps, by task and mode."""
    charts = []
    for task, name, mode in dict.fromkeys((one.task, one.map, one.mode) for one in watched):
        runs: dict[str, list[tuple[Sequence[float], Sequence[float]]]] = {}
        for one in watched:
            if (one.task, one.map, one.mode) == (task, name, mode) and len(one.env_steps) > 1:
                runs.setdefault(one.arm, []).append((one.env_steps, one.area_under_roc))
        found = _bands_of(runs)
        if found:
            charts.append(_watched_chart(task, name, mode, found, arms))
    if charts:
        yield Heading("How their maps come to find the task")
        yield from charts


def _watched_chart(
    task: str, name: str, mode: str, found: Mapping[str, statistics.Band], arms: Sequence[str]
) -> Picture:
    return Picture(
        banded(found, "agent steps", "area under ROC", arms),
        f"area under ROC of {name} in {task}, {mode}, over agent steps",
        f"{task}, {mode}: how likely a pixel of the task is more salient than another, 0.5 by chance, in "
        f"the agent's map {name}; mean over seeds. Faint: 95 % bands, of methods with three seeds or more.",
    )


def learning(learned: Sequence[Learned], arms: Sequence[str] = ()) -> Iterator[Section]:
    """Yield charts of how each method learned each task, over agent steps and minutes; short runs are left out."""
    charts = []
    for task in dict.fromkeys(one.task for one in learned):
        own = [one for one in learned if one.task == task]
        for what, minutes in (("agent steps", False), ("minutes of training", True)):
            found = _learning_bands(own, minutes)
            if found:
                charts.append(_learning_chart(task, what, found, arms))
    if charts:
        yield Heading("How they learned")
        yield from charts


def _learning_chart(task: str, what: str, found: Mapping[str, statistics.Band], arms: Sequence[str]) -> Picture:
    return Picture(
        banded(found, what, "return while training", arms),
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
    return _bands_of(runs)


def _bands_of(runs: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]]) -> dict[str, statistics.Band]:
    """Return for each name the mean of its runs over the range they share, where that is more than a single place."""
    return {
        name: statistics.learning_curve(curves, most_places=PLACES)
        for name, curves in runs.items()
        if max(x[0] for x, _ in curves) < min(x[-1] for x, _ in curves)
    }


def beside_published(lines: Sequence[Line], decimals: int, ours: str) -> dict[str, list[Cell]]:
    """Return the columns of every table, by title: ours, the published number and the difference where any line has
    one, our interval, seeds.
    """
    columns: dict[str, list[Cell]] = {ours: [ours_text(line, decimals) for line in lines]}
    if any(line.published for line in lines):
        columns["published"] = [published_text(line, decimals) if line.published else None for line in lines]
        columns["difference"] = [difference_text(line, decimals) if line.published else None for line in lines]
    columns["interval"] = [interval_text(line, decimals) for line in lines]
    columns["seeds"] = [len(line.seeds) for line in lines]
    return columns


def robustness(lines: Sequence[Line], arms: Sequence[str] = ()) -> Iterator[Section]:
    """Yield a chart over budgets for every attack that was measured."""
    found = attacked(lines)
    if not found:
        return
    yield Heading("How robust they are")
    for (task, measure, what), attacks in found.items():
        for way in dict.fromkeys(line.kind.way for own in attacks.values() for line in own):
            own = [line for several in attacks.values() for line in several if line.kind.way == way]
            yield _robustness_chart(task, measure, what, own, way.setting, arms)


def _robustness_chart(
    task: str, measure: str, what: str, lines: Sequence[Line], setting: str, arms: Sequence[str]
) -> Picture:
    curves: dict[str, list[Line]] = {}
    for line in lines:
        # Training steps and number of episodes decide which numbers form one curve.
        alike = {(other.kind.env_steps, other.kind.count) for other in lines if other.arm == line.arm}
        name = line.arm if len(alike) == 1 else f"{line.arm}, {line.kind.env_steps:,} steps, {line.kind.count} episodes"
        curves.setdefault(name, []).append(line)
    series, ends = {}, {}
    for name, own in curves.items():
        budgets = [line.attack[1] for line in own if line.attack is not None]
        series[name] = (budgets, [line.mean for line in own])
        found = [line.estimate for line in own]
        low, high = (
            [one.low for one in found if one.low is not None],
            [one.high for one in found if one.high is not None],
        )
        if len(low) == len(high) == len(budgets):
            ends[name] = (low, high)
    return Picture(
        figures.curves(series, x_label="budget, of 255", y_label=MEASURES[measure], band=ends, names=arms),
        f"{MEASURES[measure]} of each method under {what}, over the attack's budget",
        f"{task} under {what}: mean over seeds, over how much the attack may change each pixel. Faint: 95 % bands, of "
        f"methods with three seeds or more. {setting}".rstrip(". ")
        + ".",
    )


def banded(found: Mapping[str, statistics.Band], x_label: str, y_label: str, names: Sequence[str] = ()) -> str:
    """Return a chart of bands by name, their ends drawn faintly. names: all names that a set of charts shares."""
    lines = {name: (band.places.tolist(), band.value.tolist()) for name, band in found.items()}
    return figures.curves(lines, x_label=x_label, y_label=y_label, band=bands(found), names=names)


def bands(found: Mapping[str, statistics.Band]) -> dict[str, tuple[list[float], list[float]]]:
    """Return the ends of the existing bands, as charts take them."""
    return {
        name: (band.low.tolist(), band.high.tolist())
        for name, band in found.items()
        if band.low is not None and band.high is not None
    }
