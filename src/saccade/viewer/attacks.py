"""The page of attacks: whether to trust them, return against budget, a film of what the policy saw, the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from saccade.bench.robustness import NOISE, attacks_in, bootstrap_band, clean_row, sentences
from saccade.bench.verdicts import amount_text
from saccade.viewer import figures
from saccade.viewer.film import Film, panel
from saccade.viewer.page import Facts, Found, Heading, Picture, Section, Table, write_page
from saccade.viewer.repeating import repeat_sections
from saccade.viewer.timeline import Chart

PAGE = "attacks.html"
GREY, MOST = 128, 127  # in the panel of differences: no change, and the largest change that fits on either side
Row = Mapping[str, Any]


@final
@dataclass(frozen=True)
class AttackedEpisode:
    """An attacked episode, as the film shows it.

    Attributes:
        clean, seen: uint8 ``[time, height, width, 3]``.
        lines: a text for each step with both actions and the reward.
        curves: numbers along the steps.
    """

    attack: str
    epsilon: float
    clean: np.ndarray
    seen: np.ndarray
    lines: tuple[str, ...]
    curves: tuple[Chart, ...] = ()


@final
@dataclass(frozen=True)
class Robustness:
    """One policy under some attacks.

    Attributes:
        name, task: their names on the page.
        rows: rows of ``attacks.jsonl``, one for each attack and budget; that of budget 0 is shared.
        meanings: what each attack does, by name.
        facts: names and values of settings.
        command: the command that repeats it.
    """

    name: str
    task: str
    rows: Sequence[Row]
    meanings: Mapping[str, str]
    film: AttackedEpisode | None = None
    facts: Sequence[tuple[str, str]] = ()
    command: str = ""


def write_attacks(folder: Path, robustness: Robustness) -> Path:
    """Write ``attacks.html``; return its path. Raises UserError if it cannot be written."""
    path = folder / PAGE
    write_page(path, f"{robustness.name} under attack in {robustness.task}", list(_sections(robustness)))
    return path


def _sections(robustness: Robustness) -> Iterator[Section]:
    rows = robustness.rows
    yield Found(" ".join(sentences(rows)))
    yield Heading("Return against budget")
    yield _curves(rows)
    changes = _changes(rows)
    if changes is not None:
        yield changes
    if robustness.film is not None:
        yield Heading("What the policy sees")
        yield film_of(robustness.film)
    yield Heading("The numbers")
    yield _table(rows)
    yield Heading("What the attacks are")
    yield Facts(tuple((name, f"{robustness.meanings[name]}.") for name in attacks_in(rows)))
    yield from repeat_sections(robustness.command, robustness.facts)


def _curves(rows: Sequence[Row]) -> Picture:
    clean = clean_row(rows)
    series, bands = {}, {}
    for name, some in attacks_in(rows).items():
        points = [*([clean] if clean is not None else []), *some]
        ends = [bootstrap_band(row["returns"]) or (row["return_mean"],) * 2 for row in points]
        series[name] = ([float(row["epsilon"]) for row in points], [float(row["return_mean"]) for row in points])
        bands[name] = ([low for low, _ in ends], [high for _, high in ends])
    chart = figures.curves(
        series,
        x_label="budget (steps of 255 by which a pixel may change)",
        y_label="return of an episode",
        band=bands,
        baselines=(NOISE,),
    )
    counts = "/".join(map(str, sorted({len(row["returns"]) for row in rows})))
    return Picture(
        chart,
        f"Mean return against budget under {', '.join(series)}",
        f"Mean return of {counts} episodes, which begin with the same seeds at every point. A band is the bootstrap's: "
        "episodes resampled with replacement, 2000 times, and the middle 95 % of their means. The dashed line "
        "is what random signs of the same size do.",
    )


def _changes(rows: Sequence[Row]) -> Picture | None:
    """Return a chart of how far the action moves; None where no row records it."""
    series = {}
    for name, some in attacks_in(rows).items():
        known = [row for row in some if row.get("action_change") is not None]
        if known:
            x = [0.0, *(float(row["epsilon"]) for row in known)]
            series[name] = (x, [0.0, *(float(row["action_change"]) for row in known)])
    if not series:
        return None
    chart = figures.curves(
        series,
        x_label="budget (steps of 255 by which a pixel may change)",
        y_label="change of the action",
        baselines=(NOISE,),
    )
    return Picture(
        chart,
        f"Change of the action against budget under {', '.join(series)}",
        "How far the most likely action moves, mean over all steps: of choices the share that becomes another one, of "
        "numbers their mean distance. A policy whose actions change and whose return stays can afford its mistakes.",
    )


def film_of(film: AttackedEpisode) -> Film:
    """Return a film of the clean and attacked pictures and their difference, scaled around grey to fit."""
    difference = film.seen.astype(np.int16) - film.clean
    largest = max(1, int(np.abs(difference).max()))
    factor = MOST // largest
    enlarged = (GREY + factor * difference).clip(0, 255).astype(np.uint8)
    panels = (
        panel("clean", "what the environment shows", film.clean, lossless=True),
        panel("attacked", "what the policy sees", film.seen, lossless=True),
        panel(f"difference x {factor}", "attacked minus clean, around grey", enlarged, lossless=True),
    )
    height, width = film.clean.shape[1:3]
    return Film(
        panels,
        film.lines,
        height,
        width,
        f"The first episode under {film.attack} with {film.epsilon:g} of 255, played by most likely actions. Grey is "
        f"no change; the difference, at most {largest} of 255, is multiplied by {factor}. Below the "
        "pictures: what the policy does, and what it would have done without the attack.",
        curves=film.curves,
    )


def _table(rows: Sequence[Row]) -> Table:
    clean = clean_row(rows)
    beside = clean["return_mean"] if clean is not None else rows[0]["return_mean"]
    knows_success = all(row.get("success_rate") is not None for row in rows)
    lines = []
    for row in rows:
        band = bootstrap_band(row["returns"])
        mean, deviation = (amount_text(row[key], beside) for key in ("return_mean", "return_std"))
        change, untouched = row.get("action_change"), row.get("untouched")
        lines.append(
            (
                "no attack" if row["epsilon"] == 0 else row["attack"],
                f"{row['epsilon']:g}",
                f"{mean} ± {deviation}",
                None if band is None else " to ".join(amount_text(end, beside) for end in band),
                None if change is None else f"{change:.3g}",
                None if untouched is None else f"{100 * untouched:.0f} %",
                *([f"{100 * row['success_rate']:.0f} %"] if knows_success else []),
            )
        )
    columns = ("attack", "budget", "return", "mean, 95 %", "action change", "untouched")
    return Table(
        (*columns, *(["successes"] if knows_success else [])),
        tuple(lines),
        "Budget: steps of 255. Return: mean ± standard deviation over the episodes. Mean, 95 %: where the mean lies by "
        "the bootstrap over episodes. Action change: of choices the share that becomes another one, of numbers their "
        "mean distance. Untouched: observations that the attack left as they were.",
    )
