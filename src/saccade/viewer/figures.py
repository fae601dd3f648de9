"""Charts of rows as SVG that a page can carry: learning curves, returns by mode, curves and drift of saliency maps."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.viewer.pictures import data_uri

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Seven colours that stay apart for the colour-blind and on paper (Okabe and Ito, 2008), black left for text.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6B00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":")  # with seven colours, 21 curves that differ
INK = "#27272A"
FAINT = "#D4D4D8"
WIDTH_INCHES, HEIGHT_INCHES = 6.0, 3.7  # narrow, so that the letters can still be read on a phone
FONT_POINTS = 12
NOTE_POINTS = 11
RAW_OPACITY = 0.3
EPISODE_OPACITY = 0.35
EPISODE_SHIFT = 0.25  # of the distance between two methods: beside the mean, so that neither hides the other
CROWDED_INCHES = 4.6  # height of a chart with more curves than colours
PANEL_INCHES = 1.9  # height of one of several charts with the same axes
NAMES_INCHES = 0.9  # more where names stand along an axis
MOST_MARKERS = 6  # on a curve
LEGEND_LINE_INCHES = 0.24
LONG_LABEL = 17  # letters; with a longer one only two columns of a legend fit
X_LETTERS, Y_LETTERS = 44, 26  # of a line along an axis
ROW_INCHES = 0.27  # height of a name on an axis
BARS_WIDTH = 0.8  # of the distance between two modes, which all bars of one share
BAR_INCHES = 0.42  # height of a bar that lies, and its room
BELOW_LINE = 0.2  # of the distance between two of them: where its episodes are
ROOM_FOR_LINES = 0.5  # beside all means and episodes, as a share of what they span, for longer lines
NAME_LETTERS = 22  # of a line of the name beside it
MODE_WIDTH = 0.66  # of the distance between two modes, how much their methods share


@dataclass(frozen=True)
class Curve:
    """One run's returns while it trained: equally long sequences, in the order of ``places``."""

    label: str
    places: Sequence[float]  # agent steps, or minutes
    returns: Sequence[float]


@dataclass(frozen=True)
class ModeReturn:
    """What a method got in a mode: mean and standard deviation over ``returns``, one number per episode."""

    method: str
    mode: str
    mean: float
    std: float
    returns: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A mean, what it may be in truth, and the numbers that it is the mean of."""

    name: str
    mean: float
    spread: tuple[float, float] | None
    values: tuple[float, ...]


def mode_returns(rows: Iterable[Mapping[str, Any]]) -> list[ModeReturn]:
    """Rows of evaluations.jsonl as one ``ModeReturn`` for each method and mode, in the order of the rows.

    Of each run (method, task and seed) only the newest row of a mode counts; runs that differ in their
    seed alone are pooled episode by episode.
    """
    newest: dict[tuple[str, str, str, int], Mapping[str, Any]] = {}
    for row in rows:
        key = (row["method"], row["mode"], row["task"], row["seed"])
        if key not in newest or row["env_steps"] >= newest[key]["env_steps"]:
            newest[key] = row
    pooled: dict[tuple[str, str], list[float]] = {}
    for (method, mode, _, _), row in newest.items():
        pooled.setdefault((method, mode), []).extend(map(float, row["returns"]))
    return [
        ModeReturn(method, mode, float(np.mean(returns)), float(np.std(returns)), tuple(returns))
        for (method, mode), returns in pooled.items()
    ]


def training_curve(
    label: str, rows: Iterable[Mapping[str, Any]], key: str = "episode/return", *, minutes: bool = False
) -> Curve:
    """Rows of metrics.jsonl as a curve over agent steps or minutes: those that hold ``key``, in their order."""
    points = [(row["seconds"] / 60 if minutes else row["env_steps"], row[key]) for row in rows if key in row]
    return Curve(label, [float(place) for place, _ in points], [float(value) for _, value in points])


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """At each place the mean of the ``window`` values around it, or of those of them that exist."""
    if window < 1:
        raise ValueError(f"a window holds at least 1 value, not {window}")
    before, after = (window - 1) // 2, window // 2 + 1
    return [float(np.mean(values[max(0, i - before) : i + after])) for i in range(len(values))]


def learning_curves(
    curves: Sequence[Curve],
    *,
    window: int = 5,
    levels: Mapping[str, float] | None = None,
    x_label: str = "agent steps",
    y_label: str = "training return",
) -> str:
    """Each run's return over agent steps or time, smoothed, with the raw numbers faint beneath; an SVG data URI.

    Args:
        window: how many neighbouring values the smooth line averages; 1 draws the raw numbers alone.
        levels: returns to compare with, as dashed lines with their names: ``{"random policy": 30.2}``.
    """
    figure, axes = _chart(x_label=x_label, y_label=y_label)
    for curve, color in zip(curves, _cycled(PALETTE, len(curves)), strict=True):
        axes.plot(curve.places, curve.returns, color=color, alpha=RAW_OPACITY, linewidth=1)
        smooth = smoothed(curve.returns, window)
        axes.plot(curve.places, smooth, color=color, linewidth=2.2, label=_plain(curve.label))
    for name, level in (levels or {}).items():
        axes.axhline(level, color=INK, linewidth=1.2, linestyle="--")
        where = axes.get_yaxis_transform()
        axes.text(1, level, _plain(name), transform=where, ha="right", va="bottom", fontsize=NOTE_POINTS)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_formatter(_thousands)
    return _finished(figure, axes)


def returns_by_mode(
    marks: Sequence[ModeReturn], *, y_label: str = "return of an episode", names: Sequence[str] = ()
) -> str:
    """Each method's mean (large), deviation (line) and episodes (small) in each mode; an SVG data URI.

    names: all methods that a set of charts shares, so that one that is missing here changes no other's colour.
    """
    methods = list(dict.fromkeys(mark.method for mark in marks))
    order = [*dict.fromkeys([*names, *methods])]
    modes = list(dict.fromkeys(mark.mode for mark in marks))
    figure, axes = _chart(x_label="", y_label=y_label)
    step = MODE_WIDTH / max(len(methods), 1)
    for i, method in enumerate(methods):
        place = order.index(method)
        color = PALETTE[place % len(PALETTE)]
        own = [mark for mark in marks if mark.method == method]
        places = [modes.index(mark.mode) + (i - (len(methods) - 1) / 2) * step for mark in own]
        for x, mark in zip(places, own, strict=True):
            episodes = [x - EPISODE_SHIFT * step] * len(mark.returns)
            axes.scatter(episodes, mark.returns, s=9, color=color, alpha=EPISODE_OPACITY, linewidths=0)
        axes.errorbar(
            places,
            [mark.mean for mark in own],
            yerr=[mark.std for mark in own],
            fmt=MARKERS[place % len(MARKERS)],
            color=color,
            markersize=7,
            markeredgecolor="white",
            elinewidth=2,
            label=_plain(method),
        )
    axes.set_xticks(range(len(modes)), [_plain(mode.replace("_", "\n")) for mode in modes])
    axes.set_xlim(-0.5, len(modes) - 0.5)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    for boundary in range(1, len(modes)):
        axes.axvline(boundary - 0.5, color=FAINT, linewidth=0.8)
    return _finished(figure, axes)


def bars_with_intervals(bars: Sequence[Bar], *, x_label: str) -> str:
    """Means as bars to the right, the first one on top and in another colour, with intervals; an SVG data URI."""
    figure, axes = _chart(x_label=x_label, y_label="")
    figure.set_figheight(BAR_INCHES * len(bars) + NAMES_INCHES)
    for row, bar in enumerate(bars):
        axes.barh(row, bar.mean, 0.62, color=PALETTE[0 if row == 0 else 5], linewidth=0)
        shifted = [row + BELOW_LINE] * len(bar.values)
        axes.scatter(bar.values, shifted, s=9, color=INK, alpha=EPISODE_OPACITY, linewidths=0, zorder=3)
        if bar.spread is not None:
            below, above = bar.mean - bar.spread[0], bar.spread[1] - bar.mean
            axes.errorbar(bar.mean, row, xerr=[[below], [above]], color=INK, elinewidth=2, capsize=4, zorder=4)
    known = [0.0, *(value for bar in bars for value in (bar.mean, *bar.values))]
    room = ROOM_FOR_LINES * ((max(known) - min(known)) or 1.0)
    lowest, highest = axes.get_xlim()  # the line of two episodes is thirteen deviations long
    axes.set_xlim(max(lowest, min(known) - room), min(highest, max(known) + room))
    axes.set_yticks(range(len(bars)), [_plain(textwrap.fill(bar.name, NAME_LETTERS)) for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    return _finished(figure, axes)


def shares_by_mode(shares: Mapping[str, Mapping[str, float]], *, y_label: str) -> str:
    """Bars from 0 to 100 %: a share for each method (outer names) in each mode (inner names); an SVG data URI."""
    methods, modes = list(shares), list(dict.fromkeys(mode for by_mode in shares.values() for mode in by_mode))
    figure, axes = _chart(x_label="", y_label=y_label)
    width = BARS_WIDTH / max(len(methods), 1)
    for i, (method, color) in enumerate(zip(methods, _cycled(PALETTE, len(methods)), strict=True)):
        own = {modes.index(mode): 100 * share for mode, share in shares[method].items()}
        places = [place + (i - (len(methods) - 1) / 2) * width for place in own]
        axes.bar(places, list(own.values()), 0.9 * width, color=color, label=_plain(method))
    axes.set_xticks(range(len(modes)), [_plain(mode.replace("_", "\n")) for mode in modes])
    axes.set_ylim(0, 100)
    return _finished(figure, axes)


def curves(
    series: Mapping[str, tuple[Sequence[float] | Sequence[str], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    band: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    names: Sequence[str] = (),
    baselines: Collection[str] = (),
) -> str:
    """Labelled lines; an SVG data URI. Up to 21 differ by colour and kind of line, and neighbours also by marker.

    Args:
        series: ``(x, y)`` by label, equally long; x numbers, or the same texts for all, which stand side by side. What
            dotted texts begin with alike is told once, below them.
        band: lowest and highest y of some of them, drawn faintly around the line.
        names: all labels that a set of charts shares, so that one that is missing here changes no other's colour.
        baselines: labels to be drawn in black.
    """
    order = [*dict.fromkeys([*names, *series])]
    colored = [name for name in order if name not in baselines]
    shared = _shared_beginning([place for x, _ in series.values() for place in x if isinstance(place, str)])
    x_label = f"{x_label} (in {shared.removesuffix('.')})" if shared else x_label
    figure, axes = _chart(x_label=x_label, y_label=y_label)
    for name, (places, y) in series.items():
        x = [_plain(place.removeprefix(shared)) if isinstance(place, str) else place for place in places]
        index = ([name for name in order if name in baselines] if name in baselines else colored).index(name)
        color = INK if name in baselines else PALETTE[index % len(PALETTE)]
        turn = index // len(PALETTE)
        axes.plot(
            x,
            y,
            color=color,
            linewidth=1.6,
            linestyle=LINES[(index + 1 if name in baselines else turn) % len(LINES)],
            marker=MARKERS[(index + turn) % len(MARKERS)],
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markevery=max(1, -(-len(y) // MOST_MARKERS)),
            label=_plain(name),
        )
        if band is not None and name in band:
            axes.fill_between(x, *band[name], color=color, alpha=0.15, linewidth=0)
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(0.0, lowest), max(0.0, highest))  # so that small differences look small
    if all(isinstance(place, int | float) for x, _ in series.values() for place in x):
        axes.xaxis.set_major_formatter(_thousands)
    height = HEIGHT_INCHES if len(series) <= len(PALETTE) else CROWDED_INCHES
    if any(isinstance(place, str) for x, _ in series.values() for place in x):
        height += NAMES_INCHES
        axes.tick_params(axis="x", labelrotation=30)
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    figure.set_figheight(height)
    return _finished(figure, axes)


def drift(
    maps: Mapping[str, Mapping[str, float]],
    actions: Mapping[str, float],
    *,
    map_label: str,
    action_label: str,
) -> str:
    """How far each method's map moves in each mode, below how far the action moves; an SVG data URI.

    The two have axes of their own, for they are measured in different units.

    Args:
        maps: by method, by mode.
        actions: by mode; where there are none, the maps stand alone.
        map_label: what the maps' numbers are, as ``action_label`` what the actions' are.
    """
    from matplotlib.figure import Figure

    modes = list(dict.fromkeys([*actions, *(mode for by_mode in maps.values() for mode in by_mode)]))
    parts: list[tuple[Sequence[str], str]] = [(list(maps), map_label)]
    if actions:
        parts.insert(0, (modes, action_label))
    heights = [max(len(names), 2) for names, _ in parts]
    size = (WIDTH_INCHES, ROW_INCHES * (sum(heights) + len(modes) / 3) + 0.8 * len(parts))
    figure = Figure(figsize=size, layout="constrained")
    charts = figure.subplots(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for i, mode in enumerate(modes):
        style = dict(color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)], s=52, linewidths=0)
        if mode in actions:
            charts[0].scatter([actions[mode]], [i], **style)
        places = [row for row, by_mode in enumerate(maps.values()) if mode in by_mode]
        values = [by_mode[mode] for by_mode in maps.values() if mode in by_mode]
        charts[-1].scatter(values, places, label=_plain(mode), alpha=0.85, **style)
    for axes, (names, text) in zip(charts, parts, strict=True):
        _dressed(axes, x_label=text, y_label="")
        axes.set_yticks(range(len(names)), [_plain(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0.0, color=INK, linewidth=0.8)
    return _finished(figure, charts[-1])


def pairs(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    *,
    x_label: str,
    y_label: str,
    names: Sequence[str] = (),
) -> str:
    """Two numbers of each run as a mark, in a chart for each title with the same axes; an SVG data URI.

    Args:
        panels: by title, by label the ``(x, y)`` of some runs, equally long.
        names: all labels that a set of charts shares, so that one that is missing here changes no other's colour.
    """
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys([*names, *(label for panel in panels.values() for label in panel)]))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH_INCHES, PANEL_INCHES * rows + NAMES_INCHES), layout="constrained")
    charts = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, (title, panel) in zip(charts, panels.items(), strict=False):
        _dressed(axes, x_label="", y_label="")
        axes.set_title(_plain(title), color=INK, fontsize=NOTE_POINTS, loc="left")
        for label, (x, y) in panel.items():
            place = labels.index(label)
            look = dict(color=PALETTE[place % len(PALETTE)], marker=MARKERS[place % len(MARKERS)])
            axes.scatter(x, y, s=44, alpha=0.85, edgecolors="white", linewidths=0.5, label=_plain(label), **look)
    for axes in charts[len(panels) :]:
        axes.set_visible(False)
    for axes in charts[max(0, len(panels) - columns) : len(panels)]:
        axes.tick_params(labelbottom=True)  # also above the place that is empty
    for set_label, text, letters in ((figure.supxlabel, x_label, X_LETTERS), (figure.supylabel, y_label, Y_LETTERS)):
        set_label("\n".join(map(_plain, textwrap.wrap(text, letters))), color=INK, fontsize=FONT_POINTS)
    return _finished(figure, max(charts[: len(panels)], key=lambda one: len(one.get_legend_handles_labels()[1])))


def _chart(*, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """An empty chart that belongs to nobody else: pyplot's global list of figures is not used."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = figure.add_subplot()
    _dressed(axes, x_label=x_label, y_label=y_label)
    return figure, axes


def _dressed(axes: Axes, *, x_label: str, y_label: str) -> None:
    for set_label, text, letters in ((axes.set_xlabel, x_label, X_LETTERS), (axes.set_ylabel, y_label, Y_LETTERS)):
        lines = textwrap.wrap(text, letters)
        set_label("\n".join(map(_plain, lines)), color=INK, fontsize=FONT_POINTS)
    axes.tick_params(colors=INK, labelsize=FONT_POINTS, length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)


def _finished(figure: Figure, axes: Axes) -> str:
    """The chart with its legend above it, as an SVG data URI; the same rows give the same bytes."""
    from matplotlib import rc_context

    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = 3 if max(map(len, labels)) < LONG_LABEL or len(labels) < 4 else 2
        rows = -(-len(labels) // columns)
        figure.set_figheight(figure.get_figheight() + LEGEND_LINE_INCHES * max(0, rows - 2))
        look = dict(frameon=False, fontsize=FONT_POINTS, labelcolor=INK, handlelength=2.6)
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, **look)
    buffer = io.BytesIO()
    # Letters as outlines look the same everywhere; a fixed salt makes the names inside the file repeatable.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "saccade"}), warnings.catch_warnings():
        # A run's name may hold letters that the font does not have; they become boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return data_uri(buffer.getvalue(), "image/svg+xml")


def _shared_beginning(names: Sequence[str]) -> str:
    """The dotted parts that all names begin with: ``critic.`` of critic.q1 and critic.q2."""
    if len(set(names)) < 2:
        return ""
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{column[0]}." for column in takewhile(lambda column: len(set(column)) == 1, columns))


def _plain(text: str) -> str:
    """Text as it is: a dollar sign would otherwise begin a formula, and a leading underscore hide a label."""
    return ("\u200b" + text if text.startswith("_") else text).replace("$", r"\$")


def _thousands(value: float, _: float) -> str:
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if abs(value) >= 1_000 else f"{value:g}"


def _cycled(choices: Sequence[str], count: int) -> list[str]:
    return [choices[i % len(choices)] for i in range(count)]
