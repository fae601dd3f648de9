"""The scores of an explanation as sections of a page: tables, curves, and explanations for newcomers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from saccade.envs.changes import changed_share_text, too_little
from saccade.metrics.gaze import CHANCE
from saccade.viewer.figures import curves, drift
from saccade.viewer.page import Better, Facts, Heading, Picture, Section, Table, Text
from saccade.viewer.questions import QUESTIONS, curve_sentence, question
from saccade.viewer.recordings import Curve, Explanation, ScoreRow

ACTION_DRIFT = "action_drift"  # the metric of how far the action moves
OF_POLICY = (
    ACTION_DRIFT,
    "policy_drift",
)  # the same for all maps of a mode; the others of their question are about maps
STABILITY, COST, PEOPLE = "stability", "cost", "people"
MILLISECONDS = 1000
DRIFT_SENTENCE = (
    "How far each distraction moves the action, above, and every method's map, below. A map that moves while the "
    "action stays is not to be trusted; where both move, the distraction has reached the policy."
)


def question_sections(explanation: Explanation) -> Iterator[Section]:
    """Yield for every question its explanation, and for each mode a table and the curves."""
    asked = dict.fromkeys([*QUESTIONS, *(row.question for row in explanation.scores)])
    for name in asked:
        rows = [row for row in explanation.scores if row.question == name]
        if not rows or name == COST:
            continue
        words = question(name)
        yield Heading(words.title)
        if words.sentence:
            yield Text(words.sentence)
        metrics = {row.metric: in_sentences(row.summary, row.source) for row in rows if row.summary}
        if metrics:
            yield Facts(tuple(metrics.items()))
        if name == STABILITY:
            yield from _drifts(rows)
            rows = [row for row in rows if row.metric not in OF_POLICY]
        modes = list(dict.fromkeys(row.mode for row in rows))
        for mode in modes:
            of_mode = [row for row in rows if row.mode == mode]
            if len(modes) > 1:
                yield Heading(mode, 3)
            yield _scores_table(explanation, mode, of_mode)
            yield from _curves(explanation, mode, of_mode)


def _scores_table(explanation: Explanation, mode: str, rows: Sequence[ScoreRow]) -> Table:
    cells = {(row.method, row.metric): row for row in rows}
    methods = list(dict.fromkeys(row.method for row in rows))
    directions = {row.metric: row.direction for row in rows}
    decimals = {metric: _decimals(row.mean for row in rows if row.metric == metric) for metric in directions}
    baselines = frozenset(methods) - frozenset(explanation.methods)
    better: list[Better | None] = [None, *map(_better, directions.values())]
    table = Table(
        ("method", *directions),
        tuple(
            (method, *(_cell(cells.get((method, metric)), places) for metric, places in decimals.items()))
            for method in methods
        ),
        _caption(explanation, mode, rows, sorted(baselines)),
        tuple(better),
        baselines,
        (None, *(CHANCE.get(metric) for metric in directions)),
    )
    lost = table.lost()
    if not lost:
        return table
    note = (
        f" No method beats every row that was made without the network in {', '.join(lost)}: no map is "
        "marked there, since a picture drawn blindly does as well."
    )
    return dataclasses.replace(table, caption=table.caption + note)


def change_text(explanation: Explanation, mode: str) -> str:
    """Return how much of the picture a mode changes, in a sentence; empty if that was not measured."""
    share = explanation.changed_pixels.get(mode)
    if share is None:
        return ""
    changes = f"Mode {mode} changes {changed_share_text(share)} of the pixels in these states."
    if not too_little(share):
        return changes
    return f"{changes} That is next to nothing: measurements in it say nothing about its distraction."


def _better(direction: str | None) -> Better | None:
    return "higher" if direction == "higher" else "lower" if direction == "lower" else None


def _caption(explanation: Explanation, mode: str, rows: Sequence[ScoreRow], baselines: Sequence[str]) -> str:
    asked: dict[str, int] = {}
    for row in rows:
        if row.std is not None or row.undefined:  # otherwise it is no mean over frames
            asked[row.metric] = max(asked.get(row.metric, 0), row.count + row.undefined)
    frames = max(asked.values(), key=list(asked.values()).count, default=0)
    others = "".join(f", of {metric} over {count}" for metric, count in asked.items() if count != frames)
    over = f"Mode {mode}: mean ± standard deviation over {frames} frames{others}"
    if any(row.question == PEOPLE for row in rows):
        over = f"{mode.capitalize()}: mean ± standard deviation over {frames} frames{others}"
        if mode not in explanation.modes:
            over = (
                f"{mode.capitalize()}: mean of the trials' means ± standard deviation between trials; {frames} frames "
                f"in all{others}"
            )
    caption = (
        f"{over}. An arrow says whether higher or lower "
        "is better, a star marks the best of those that beat every baseline."
    )
    if baselines:
        caption += f" Rows made without the network are there for comparison ({', '.join(baselines)})."
    undefined: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if row.undefined:
            undefined.setdefault((row.method, row.undefined), []).append(row.metric)
    if undefined:
        undefined_in = (
            f"{method} in {'all' if count == frames else f'{count} of {frames}'} frames ({', '.join(metrics)})"
            for (method, count), metrics in undefined.items()
        )
        caption += f" Undefined, and left out of the mean: {'; '.join(undefined_in)}."
    return f"{caption} {change_text(explanation, mode)}".strip()


def _cell(row: ScoreRow | None, decimals: int) -> str | None:
    if row is None or row.mean is None:
        return None
    deviation = "" if row.std is None or row.count < 2 else f" ± {row.std:.{decimals}f}"
    return f"{row.mean:.{decimals}f}{deviation}".replace("-", "\u2212")


def _decimals(numbers: Iterable[float | None]) -> int:
    """The number of decimals that suits a column of such numbers: enough for the largest."""
    largest = max((abs(number) for number in numbers if number is not None), default=0.0)
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2 if largest >= 0.1 or largest == 0 else 4


def _curves(explanation: Explanation, mode: str, rows: Sequence[ScoreRow]) -> Iterator[Picture]:
    """A chart for each metric; if the places have names, such as layers, one for each set of places."""
    charts: dict[tuple[str, tuple[str, ...]], dict[str, Curve]] = {}
    for row in rows:
        if row.curve is not None:
            names = tuple(place for place in row.curve.x if isinstance(place, str))
            charts.setdefault((row.metric, names), {})[row.method] = row.curve
    for (metric, _), found in charts.items():
        first = next(iter(found.values()))
        chart = curves(
            {method: (curve.x, curve.y) for method, curve in found.items()},
            x_label=first.x_label,
            y_label=first.y_label,
            names=list(explanation.methods),
            baselines=[method for method in found if method not in explanation.methods],
        )
        alt = f"{metric} in mode {mode}: {first.y_label} over {first.x_label}, a curve for each method"
        yield Picture(chart, alt, f"{metric} in mode {mode}. {curve_sentence(metric)}".strip())


def _drifts(rows: Sequence[ScoreRow]) -> Iterator[Section]:
    """How far the action moves, and for each drift metric of maps a chart that shows both."""
    known = [row for row in rows if row.mean is not None]
    # The action is the policy's: every method's row of a mode says the same.
    acted = {row.mode: row for row in known if row.metric == ACTION_DRIFT}
    actions = {mode: row.mean or 0.0 for mode, row in acted.items()}
    drifts = {(row.metric, row.mode): row for name in OF_POLICY for row in known if row.metric == name}
    if drifts:
        cells = ((f"{metric} in {mode}", _cell(row, _decimals([row.mean]))) for (metric, mode), row in drifts.items())
        yield Facts(tuple((name, cell or "") for name, cell in cells))
    for metric in dict.fromkeys(row.metric for row in known if row.metric not in OF_POLICY):
        maps: dict[str, dict[str, float]] = {}
        for row in known:
            if row.metric == metric:
                maps.setdefault(row.method, {})[row.mode] = row.mean or 0.0
        chart = drift(maps, actions, map_label=metric, action_label=ACTION_DRIFT)
        yield Picture(chart, f"{metric} by method and mode", DRIFT_SENTENCE)


def cost_sections(explanation: Explanation) -> Iterator[Section]:
    """Yield how long each method takes, if that was measured."""
    methods = explanation.methods
    together = _milliseconds([method.seconds_per_frame for method in methods.values()])
    alone = _milliseconds([method.seconds_per_frame_single for method in methods.values()])
    if not any([*together, *alone]):
        return
    words = QUESTIONS[COST]
    yield Heading(words.title)
    yield Table(
        ("method", "ms per frame, many at once", "ms per frame, one alone"),
        tuple(zip(methods, together, alone, strict=True)),
        words.sentence,
        (None, "lower", "lower"),
    )


def _milliseconds(seconds: Sequence[float | None]) -> list[str | None]:
    """A column of times, all with the same number of decimals."""
    milliseconds = [None if one is None else one * MILLISECONDS for one in seconds]
    decimals = _decimals(milliseconds)
    return [None if one is None else f"{one:.{decimals}f}" for one in milliseconds]


def in_sentences(summary: str, source: str) -> str:
    """Return summary and source as sentences."""
    source = f" Source: {source.rstrip('.')}." if source else ""
    return f"{summary[:1].upper()}{summary[1:].rstrip('.')}.{source}"
