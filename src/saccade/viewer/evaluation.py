"""The page of an evaluation: one sentence at the top, bars with intervals, what each mode looks like, the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from saccade.bench.verdicts import amount_text, interval_of, mode_text, sentence, share_text, verdicts
from saccade.envs.changes import changed_share_text, too_little
from saccade.envs.dials import ALL_DIALS, meaning
from saccade.envs.shift_modes import CLEAN, COLON, PLUS, names_shift
from saccade.viewer import figures
from saccade.viewer.page import Facts, Found, Gallery, Heading, Picture, Section, Table, Text, write_page
from saccade.viewer.pictures import data_uri, png
from saccade.viewer.repeating import repeat_sections

PAGE = "evaluation.html"


@final
@dataclass(frozen=True)
class Evaluated:
    """One policy's evaluation.

    Attributes:
        name, task: the names of the policy and its task in tables.
        rows: of ``evaluations.jsonl``, one for each mode.
        facts: names and values of settings: where the policy came from, what it sees.
        firsts: by mode the first frame of the first episode, uint8 ``[height, width, 3]``.
        command: the command that repeats it.
    """

    name: str
    task: str
    rows: Sequence[Mapping[str, Any]]
    facts: Sequence[tuple[str, str]] = ()
    firsts: Mapping[str, np.ndarray] = field(default_factory=dict)
    command: str = ""


def write_evaluation(folder: Path, evaluated: Evaluated) -> Path:
    """Write ``evaluation.html``; return its path. Raises UserError if it cannot be written."""
    path = folder / PAGE
    write_page(path, f"How {evaluated.name} does in {evaluated.task}", list(_sections(evaluated)))
    return path


def _sections(evaluated: Evaluated) -> Iterator[Section]:
    rows = evaluated.rows
    yield Found(sentence(rows))
    yield _bars(rows)
    if evaluated.firsts:
        yield Heading("What the policy sees")
        yield Gallery(
            (("the same moment in every mode", tuple(data_uri(png(frame)) for frame in evaluated.firsts.values())),),
            tuple(map(mode_text, evaluated.firsts)),
            "The newest frame of the first observation of the first episode.",
        )
    yield Heading("The numbers")
    yield _table(rows)
    shifts = dict.fromkeys(
        part.partition(COLON)[0] for row in rows if names_shift(row["mode"]) for part in row["mode"].split(PLUS)
    )
    suite = evaluated.task.partition("/")[0]
    meanings = tuple((name, f"{meaning(name, suite)}.") for name in shifts if name in ALL_DIALS)
    if meanings:
        yield Heading("What the shifts are")
        yield Text(
            "Each has a strength from 0, which leaves the picture as it is, to 1. No reward changes, and no end."
        )
        yield Facts(meanings)
    yield from repeat_sections(evaluated.command, evaluated.facts)


def _bars(rows: Sequence[Mapping[str, Any]]) -> Picture:
    bars = []
    for row in rows:
        interval = interval_of(row["returns"])
        spread = (interval.low, interval.high) if interval.count > 1 else None
        bars.append(figures.Bar(mode_text(row["mode"]), interval.mean, spread, tuple(row["returns"])))
    return Picture(
        figures.bars_with_intervals(bars, x_label="return of an episode"),
        f"Mean return in {', '.join(mode_text(row['mode']) for row in rows)}",
        "Bars are mean returns, dots the episodes. A line is the mean's 95 % confidence interval: modes whose lines "
        "overlap cannot be told apart with so few episodes.",
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table with modes as rows: mean, deviation, what is left, the gap, what the mode changes, successes."""
    shares = {one.mode: share_text(one) for one in verdicts(rows) if one.kind != "unclear"}
    beside = next((row["return_mean"] for row in rows if row["mode"] == CLEAN), rows[0]["return_mean"])
    knows_success = all(row.get("success_rate") is not None for row in rows)
    columns = ["mode", "return", "of train", "gap", "pixels changed", *(["successes"] if knows_success else [])]
    lines = []
    for row in rows:
        share = row.get("changed_pixels")
        mean, deviation = (amount_text(row[name], beside) for name in ("return_mean", "return_std"))
        cells = [
            mode_text(row["mode"]),
            f"{mean} ± {deviation}",
            shares.get(row["mode"]) or None,
            None if row["gap"] is None or row["mode"] == CLEAN else amount_text(row["gap"], beside),
            None if share is None else changed_share_text(share),
        ]
        lines.append((*cells, *([f"{100 * row['success_rate']:.0f} %"] if knows_success else [])))
    counts = "/".join(map(str, sorted({len(row["returns"]) for row in rows})))
    marked = any(too_little(row.get("changed_pixels")) for row in rows)
    caption = (
        f"Return of an episode, mean ± standard deviation over {counts} episodes, which begin with the same seeds in "
        "every mode; of train: the share of train's return, if there are enough episodes to tell; gap: the loss "
        "against train; pixels changed: the share that looks different from train in the episodes' first frames."
        + (" !: next to nothing changes there, so the return tests no distraction." if marked else "")
    )
    return Table(tuple(columns), tuple(lines), caption)
