"""The page of dials: where each breaks a policy, curves against strength, what it sees, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from saccade.bench.dials import Row, clean_row, dials_in, sentences, strengths_of
from saccade.bench.verdicts import amount_text, interval_of
from saccade.envs.changes import changed_share_text
from saccade.envs.dials import meaning
from saccade.viewer import figures
from saccade.viewer.page import Facts, Found, Gallery, Heading, Picture, Section, Table, Text, write_page
from saccade.viewer.pictures import data_uri
from saccade.viewer.repeating import repeat_sections

PAGE = "dials.html"
ROOM = 0.5  # around the means, as a fraction of their range, for wider intervals

Curve = tuple[list[float], list[float], list[float], list[float]]
"""Strengths, means, and the lower and upper end of the band."""


@final
@dataclass(frozen=True)
class Dialled:
    """One policy under several dials.

    Attributes:
        name, task: their names on the page.
        rows: of ``evaluations.jsonl``, with ``dial`` and ``strength``; that of strength 0 is shared.
        facts: names and values of settings.
        pictures: PNGs by mode: the same moment at each strength.
        command: the command that repeats it.
    """

    name: str
    task: str
    rows: Sequence[Row]
    facts: Sequence[tuple[str, str]] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    command: str = ""


def write_dials(folder: Path, dialled: Dialled) -> Path:
    """Write ``dials.html``; return its path. Raises UserError if it cannot be written."""
    path = folder / PAGE
    write_page(path, f"Where {dialled.name} breaks in {dialled.task}", list(_sections(dialled)))
    return path


def _sections(dialled: Dialled) -> Iterator[Section]:
    clean, dials = clean_row(dialled.rows), dials_in(dialled.rows)
    assert clean is not None
    yield Found(" ".join(sentences(dialled.rows)))
    yield Heading("Against strength")
    yield from _charts(clean, dials)
    if dialled.pictures:
        yield Heading("What the policy sees")
        yield from _strips(dialled, clean, dials)
    yield Heading("The numbers")
    for name, rows in dials.items():
        if len(dials) > 1:
            yield Heading(name, 3)
        yield _table(name, clean, rows)
    yield Heading("What the dials are")
    yield Text("Strength 0 leaves every bit of the picture as it is. No reward changes, and no end.")
    suite = dialled.task.partition("/")[0]
    yield Facts(tuple((name, f"{meaning(name, suite)}.") for name in dials))
    yield from repeat_sections(dialled.command, dialled.facts)


def _charts(clean: Row, dials: Mapping[str, Sequence[Row]]) -> Iterator[Picture]:
    counts = "/".join(map(str, sorted({len(row["returns"]) for rows in dials.values() for row in (clean, *rows)})))
    returns = {name: _returns([clean, *rows]) for name, rows in dials.items()}
    yield _chart(
        _clipped(returns),
        "return of an episode",
        f"Mean return of {counts} episodes, which begin with the same seeds at every strength. A band is a 95 % "
        "confidence interval of the mean; a very wide one is cut off.",
    )
    unit = next((row["policy_drift"]["unit"] for rows in dials.values() for row in rows if row["policy_drift"]), "")
    drifts = (
        ("policy_drift", f"drift of the action ({unit})", "How far the policy's choice moves in the very same states"),
        ("map_drift", "drift of the map (share moved)", "The share of the gradient map that moves elsewhere there"),
    )
    for metric, label, what in drifts:
        found = {name: _drift(rows, metric) for name, rows in dials.items()}
        known = {name: curve for name, curve in found.items() if curve is not None}
        if known:
            yield _chart(
                known,
                label,
                f"{what}: one clean episode, played again with the same actions at each strength. The line is the mean "
                "over its moments, the band the middle half of them.",
            )


def _chart(found: Mapping[str, Curve], y_label: str, caption: str) -> Picture:
    chart = figures.curves(
        {name: (places, means) for name, (places, means, _, _) in found.items()},
        x_label="strength",
        y_label=y_label,
        band={name: (low, high) for name, (_, _, low, high) in found.items()},
    )
    return Picture(chart, f"{y_label} against the strength of {', '.join(found)}", caption)


def _returns(rows: Sequence[Row]) -> Curve:
    intervals = [interval_of(row["returns"]) for row in rows]
    means = [one.mean for one in intervals]
    low, high = ([getattr(one, end) if one.count > 1 else one.mean for one in intervals] for end in ("low", "high"))
    return [float(row["strength"] or 0) for row in rows], means, low, high


def _clipped(found: Mapping[str, Curve]) -> dict[str, Curve]:
    """Bands clipped so that lines remain visible: the interval of two episodes is thirteen deviations long."""
    means = [0.0, *(mean for _, some, _, _ in found.values() for mean in some)]
    room = ROOM * ((max(means) - min(means)) or 1.0)
    lowest, highest = min(means) - room, max(means) + room
    return {
        name: (places, some, [max(one, lowest) for one in low], [min(one, highest) for one in high])
        for name, (places, some, low, high) in found.items()
    }


def _drift(rows: Sequence[Row], metric: str) -> Curve | None:
    """A drift against strength, from 0 at strength 0; None if none is known."""
    known = [
        (float(row["strength"]), row[metric]) for row in rows if row.get(metric) and row[metric]["mean"] is not None
    ]
    if not known:
        return None
    return tuple([0.0, *values] for values in ([place for place, _ in known], *_of(known)))  # type: ignore[return-value]


def _of(known: Sequence[tuple[float, Mapping[str, Any]]]) -> Iterator[list[float]]:
    for end in ("mean", "low", "high"):
        yield [float(numbers[end]) for _, numbers in known]


def _strips(dialled: Dialled, clean: Row, dials: Mapping[str, Sequence[Row]]) -> Iterator[Gallery]:
    for name, rows in dials.items():
        shown = [row for row in (clean, *rows) if row["mode"] in dialled.pictures]
        yield Gallery(
            ((name, tuple(data_uri(dialled.pictures[row["mode"]]) for row in shown)),),
            tuple(f"{row['strength'] or 0:g}" for row in shown),
            "The newest frame of the first observation of the first episode, at each strength.",
        )


def _table(name: str, clean: Row, rows: Sequence[Row]) -> Table:
    beside = clean["return_mean"]
    positive = beside > 0
    knows_success = all(row.get("success_rate") is not None for row in (clean, *rows))
    lines = []
    for one in strengths_of(clean, [clean, *rows]):
        row = one.row
        mean, deviation = (amount_text(row[key], beside) for key in ("return_mean", "return_std"))
        share = row["return_mean"] / beside if positive else math.nan
        changed = row.get("changed_pixels")
        lines.append(
            (
                f"{one.strength or 0:g}",
                f"{mean} ± {deviation}",
                f"{100 * share:.0f} %" if share >= 0 and one.strength and len(row["returns"]) > 1 else None,
                *(_cell(row.get(metric)) for metric in ("policy_drift", "action_drift", "map_drift")),
                None if changed is None else changed_share_text(changed),
                *([f"{100 * row['success_rate']:.0f} %"] if knows_success else []),
            )
        )
    columns = ("strength", "return", "of clean", "policy drift", "action drift", "map drift", "pixels changed")
    return Table(
        (*columns, *(["successes"] if knows_success else [])),
        tuple(lines),
        f"{name}: mean return ± standard deviation over {len(clean['returns'])} episodes; policy, action and map "
        "drift: means over the moments of one clean episode (policy drift: KL in nats, or the squared "
        "distance of actions; action drift: the share of changed choices, or how far the action moves; map drift: the "
        "share of the gradient map that moves elsewhere); pixels changed: the share that looks "
        "different from strength 0.",
    )


def _cell(numbers: Mapping[str, Any] | None) -> str | None:
    return None if not numbers or numbers["mean"] is None else f"{numbers['mean']:.3g}"


def picture_name(mode: str) -> str:
    """Return the file of a mode's picture."""
    return f"{mode}.png"


def read_pictures(folder: Path, modes: Sequence[str]) -> dict[str, bytes]:
    """Return the stored pictures of these modes."""
    return {mode: path.read_bytes() for mode in modes if (path := folder / picture_name(mode)).is_file()}
