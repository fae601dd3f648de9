"""The section on saliency scores and success of an experiment's page: coefficients, and a chart for each score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saccade.bench.associations import Association, sentences
from saccade.bench.correlation import Coefficient
from saccade.bench.outcomes import SUCCESS
from saccade.viewer import figures
from saccade.viewer.experiment_curves import MEASURES
from saccade.viewer.page import Cell, Folded, Heading, Picture, Section, Table, Text

MOST_CHARTS, MOST_ROWS = 8, 16
"""Limits for a page's charts and a task's open table, which show the strongest; a folded table has all."""


def associations(found: Sequence[Association], arms: Sequence[str] = ()) -> Iterator[Section]:
    """Yield for every task a summary, a table of coefficients, and a chart for each of the strongest scores.

    arms: all methods of the page, so that each keeps its colour in all charts.
    """
    if not found:
        return
    yield Heading("Do better maps go with better behaviour?")
    tasks = list(dict.fromkeys((one.task, one.conditions) for one in found))
    for task, way in tasks:
        own = [one for one in found if (one.task, one.conditions) == (task, way)]
        yield Text(" ".join([f"{task}:", *sentences(own)]))
        if len(own) > MOST_ROWS:
            strongest = sorted(own, key=_strength, reverse=True)[:MOST_ROWS]
            yield _table(strongest, f" Of {len(own)} pairs the {MOST_ROWS} with the strongest coefficient.")
            yield Folded(f"All {len(own)} pairs of a score and a mode", _table(own))
        else:
            yield _table(own)
        yield from _charts(own, MOST_CHARTS // len(tasks) or 1, arms)


def _table(found: Sequence[Association], which: str = "") -> Table:
    known = [one.correlation for one in found]
    columns: dict[str, list[Cell]] = {
        "score, mode": [f"{one.name}, {one.mode}" for one in found],
        "Spearman": ["too few, or the same in all" if one is None else one.spearman.text() for one in known],
        "Pearson": [None if one is None else one.pearson.text() for one in known],
        "within methods": [None if one is None else _within(one.within) for one in known],
    }
    runs = [len(one.scores) for one in found]
    if len(set(runs)) > 1:
        columns["runs"] = [*runs]
    else:
        which = f" {runs[0]} runs.{which}"
    return Table(
        tuple(columns),
        tuple(zip(*columns.values(), strict=True)),
        f"{found[0].task}: how each saliency score of a run goes together with its {MEASURES[found[0].measure]} "
        f"in each mode ({found[0].conditions}).{which} 1: they rise together always; 0: not at all; \u22121: one falls "
        "as the other rises. "
        "Within methods: Pearson's coefficient of what runs differ from the mean of their method. In square brackets "
        "are 95 % intervals from resampled runs within each method; they are not widened for how many there are.",
    )


def _within(found: Coefficient | None) -> str | None:
    return None if found is None else found.text()


def _charts(found: Sequence[Association], most: int, arms: Sequence[str]) -> Iterator[Section]:
    by_score: dict[str, list[Association]] = {}
    for one in found:
        by_score.setdefault(one.name, []).append(one)
    for name in sorted(by_score, key=lambda name: -max(map(_strength, by_score[name])))[:most]:
        yield _chart(name, by_score[name], arms)
    if len(by_score) > most:
        yield Text(f"The {most} scores with the strongest coefficient have a chart, of {len(by_score)}.")


def _strength(one: Association) -> float:
    """How far Spearman's coefficient is from 0."""
    return 0.0 if one.correlation is None else abs(one.correlation.spearman.value)


def _chart(name: str, found: Sequence[Association], arms: Sequence[str]) -> Picture:
    percent = 100 if found[0].measure == SUCCESS else 1
    panels = {
        _titled(one): {arm: (x, [percent * value for value in y]) for arm, (x, y) in one.by_arm.items()}
        for one in found
    }
    what = "success, %" if found[0].measure == SUCCESS else MEASURES[found[0].measure]
    better = next((one.better for one in found if one.better), None)
    direction = f" ({better} is better)" if better else ""
    modes = ", ".join(one.mode for one in found)
    return Picture(
        figures.pairs(panels, x_label=f"{name}{direction}", y_label=what, names=arms),
        f"{what} in {modes} over {name}, a mark for each run",
        f"{found[0].task}: {MEASURES[found[0].measure]} of each run over its {name}, a mark for each run, in each "
        "mode, with Spearman's coefficient.",
    )


def _titled(one: Association) -> str:
    known = one.correlation
    return one.mode if known is None else f"{one.mode}: {known.spearman.text()}"
