"""Rows of scores: how they are made from a metric's values, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from saccade.data.documents import read_lines
from saccade.data.files import written_aside
from saccade.explain.folder import ROWS
from saccade.metrics import METRICS, summary_of
from saccade.types import UserError

Row = dict[str, Any]
COST = "cost"
"""The question of rows that say what maps cost."""


def save_rows(folder: Path, rows: list[Row]) -> Path:
    """Write ``scores.jsonl`` beside a saved explanation; rows of modes that are not scored again stay."""
    path, modes = folder / ROWS, {row["mode"] for row in rows}
    others = [row for row in _rows_there(path) if row.get("mode") not in modes]
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(row) + "\n" for row in (*others, *rows)))
    return path


def _rows_there(path: Path) -> list[Row]:
    try:
        return [line.row for line in read_lines(path) if line.problem is None]
    except (OSError, UserError):  # none yet, or not a file of rows: it is rewritten
        return []


def row_of(mode: str, method: str, metric: str, values: Tensor, **more: Any) -> Row:
    """Make a row from the metric's table entry and its values in each frame."""
    entry, summary = METRICS[metric], summary_of(values)
    return {
        "mode": mode,
        "method": method,
        "metric": metric,
        "question": entry.question,
        "direction": entry.direction,
        "mean": _finite(summary.mean),
        "std": _finite(summary.std),
        "count": summary.count,
        "undefined": summary.undefined,
        "summary": entry.summary,
        "source": entry.source,
        **more,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON has no NaN


def means_of(values: Tensor) -> list[float | None]:
    """Return the mean of each row over the frames where it is defined; None if there are none."""
    return [_finite(mean) for mean in values.nanmean(1).tolist()]


def cost_rows(mode: str, costs: Mapping[str, tuple[float, float]]) -> list[Row]:
    """Return rows of what maps cost: by method, seconds per frame in a batch and of one frame alone."""
    return [
        {
            "mode": mode,
            "method": name,
            "metric": metric,
            "question": COST,
            "direction": "lower",
            "mean": 1000 * seconds,
            "std": None,
            "count": 1,
            "undefined": 0,
            "summary": summary,
        }
        for name, (together, alone) in costs.items()
        for metric, seconds, summary in (
            ("milliseconds_per_frame", together, "of frames that are computed together"),
            ("milliseconds_alone", alone, "of one frame on its own"),
        )
    ]
