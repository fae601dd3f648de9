"""Curves along a film's slider: value, reward and what the policy thought of its actions, over the moments."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_LINES = 8  # of a chart: as many as timeline.css has colours
DIGITS = 4  # that a number keeps: finer than a pixel of a chart

Unit = Literal["number", "share"]
Values = tuple[float | None, ...]
"""One for each moment; None where nobody knows it."""


@final
@dataclass(frozen=True)
class Line:
    """One curve; the only one of a chart may go without a name."""

    name: str
    values: Values


@final
@dataclass(frozen=True)
class Chart:
    """Curves with one axis; a shorter one waits at its end, as its film does.

    Attributes:
        unit: a ``share`` lies in 0..1, and is told in percent.
        note: what must be said beside it.
    """

    title: str
    lines: tuple[Line, ...]
    unit: Unit = "number"
    note: str = ""

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError(f"a chart without curves, {self.title!r}, shows nothing")


def chart(title: str, values: ArrayLike) -> Chart:
    """One number for each moment; NaN where it is not known."""
    return Chart(title, (Line("", _values(np.asarray(values, dtype=np.float64))),))


def chart_of_actions(
    title: str,
    values: NDArray[np.floating],
    names: Sequence[str],
    unit: Unit = "number",
    strength: NDArray[np.floating] | None = None,
) -> Chart:
    """What a policy thought of each action, or its action's own numbers, ``[moments, actions]``.

    Of more than eight the eight strongest are drawn, and the chart says so.

    Args:
        strength: ``[actions]``; by default the mean in these moments, whatever its sign.
    """
    count = values.shape[1]
    if len(names) != count:
        raise ValueError(f"{count} actions need as many names, not {len(names)}")
    shown = np.arange(count)
    if count > MOST_LINES:
        strong = np.abs(values).mean(axis=0) if strength is None else strength
        shown = np.sort(np.argsort(-strong, kind="stable")[:MOST_LINES])
    note = f"{MOST_LINES} of {count} are drawn" if count > MOST_LINES else ""
    return Chart(title, tuple(Line(names[place], _values(values[:, place])) for place in shown.tolist()), unit, note)


def chart_of_preferences(
    values: NDArray[np.floating],
    names: Sequence[str],
    *,
    likely: bool,
    strength: NDArray[np.floating] | None = None,
) -> Chart:
    """What a discrete policy thought of each action: how ``likely`` it is, or what it is worth."""
    if likely:
        return chart_of_actions("probabilities", values, names, "share", strength)
    return chart_of_actions("action values", values, names, strength=strength)


def chart_of_parts(actions: NDArray[np.floating], strength: NDArray[np.floating] | None = None) -> Chart:
    """The numbers of continuous actions, ``[moments, parts]``."""
    names = [f"part {place + 1}" for place in range(actions.shape[1])]
    return chart_of_actions("action", actions, names, strength=strength)


def together(charts: Mapping[str, Sequence[Chart]]) -> tuple[Chart, ...]:
    """The charts of several films: what has one curve is drawn in one chart for all, a curve for each film."""
    single: dict[tuple[str, Unit], list[Line]] = {}
    several = []
    for film, own in charts.items():
        for one in own:
            if len(one.lines) == 1:
                single.setdefault((one.title, one.unit), []).append(replace(one.lines[0], name=film))
            else:
                several.append(replace(one, title=f"{one.title}, {film}"))
    return (*(Chart(title, tuple(lines), unit) for (title, unit), lines in single.items()), *several)


def timeline_html(charts: Sequence[Chart]) -> str:
    """An element that timeline.js draws in; nothing where there are no charts."""
    if not charts:
        return ""
    return f'<div class="timeline" data-charts="{escape(json.dumps([asdict(one) for one in charts]))}" hidden></div>\n'


def _values(numbers: NDArray[np.floating]) -> Values:
    return tuple(float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None for number in numbers.tolist())
