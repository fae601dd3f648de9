"""Check that a metric says which map is better, in the direction and range that it declares."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from saccade.metrics import Metric
from saccade.testing.conformance import first_few, require
from saccade.testing.metric_cases import Cases, Inputs, cases_for
from saccade.types import Score

TOLERANCE = 1e-4  # between scores of a frame alone and among others


def check_metric(metric: Metric, cases: Cases | None = None) -> None:
    """Score maps for which the best is known, and compare.

    Args:
        metric: a row such as those of ``saccade.metrics.METRICS``.
        cases: the inputs; by default they are made for its question and arguments, if the question is truth, people or
            faithfulness. Each sample's best map must be better than its middling one.

    Raises:
        ConformanceError: one sentence with what was wrong, on which maps, and what to do.
        UserError: no inputs for it are known.
    """
    cases = cases_for(metric) if cases is None else cases
    found = {name: _scored(metric, inputs, name) for name, inputs in cases._asdict().items()}
    best, middle, worst = found.values()
    sign = 1 if metric.direction == "higher" else -1
    means = [float(values.mean()) * sign for values in (best, middle, worst)]
    totals = ", ".join(f"{value * sign:.4g}" for value in means)
    require(
        means[0] > means[1] > means[2],
        f"{metric.direction.capitalize()} is declared to be better, but the best, middling and worst maps have "
        f"{totals}: reverse the direction, or the metric.",
    )
    worse = int((sign * (best - middle) < 0).sum())
    require(
        worse == 0,
        f"The perfect map is worse than a random one in {worse} of {len(best)} frames: no map may be better than it.",
    )
    for index in (0, len(middle) - 1):
        alone = metric.function(*(_row(cases.middle[name], index) for name in metric.takes))
        require(
            torch.allclose(alone[0], middle[index], rtol=TOLERANCE),
            f"Frame {index} has {float(alone[0]):.6g} alone and {float(middle[index]):.6g} among others: score "
            "each by itself.",
        )


def _scored(metric: Metric, inputs: Inputs, which: str) -> Tensor:
    """A metric's values on one kind of map, themselves checked."""
    before = {name: value.clone() for name, value in inputs.items() if isinstance(value, Tensor)}
    values = metric.function(*(inputs[name] for name in metric.takes))
    count = next(len(inputs[name]) for name in metric.takes if isinstance(inputs[name], Tensor))
    require(
        values.shape == (count,) and values.dtype == torch.float64 and not values.requires_grad,
        f"The metric returned {values.dtype} of shape {list(values.shape)} for {count} frames: return detached float64 "
        f"[{count}].",
    )
    require(
        bool(values.isfinite().all()),
        f"The metric is NaN or infinite for the {which} maps: keep NaN for maps where it is undefined, which "
        "it is not here.",
    )
    changed = [name for name, value in before.items() if not torch.equal(inputs[name], value)]
    require(changed == [], f"The metric changed its argument {first_few(changed)}: work on a copy.")
    lowest = -math.inf if metric.lowest is None else metric.lowest
    highest = math.inf if metric.highest is None else metric.highest
    require(
        bool(((values >= lowest) & (values <= highest)).all()),
        f"The {which} maps have {float(values.min()):.6g}..{float(values.max()):.6g}, out of the declared range "
        f"{lowest:g}..{highest:g}: declare the true range, or clamp what exceeds it only by rounding.",
    )
    return values


def _row(value: Any, index: int) -> Any:
    """One sample's part of an argument."""
    if isinstance(value, Tensor):
        return value[index : index + 1]
    return value.rows(torch.tensor([index])) if isinstance(value, Score) else value
