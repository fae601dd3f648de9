"""What a policy made of moments as curves: what it expected, and what it thought of its actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saccade.explain.preferences import PROBABILITIES
from saccade.explain.reading import Reading
from saccade.viewer.timeline import Chart, chart, chart_of_parts, chart_of_preferences


def value_chart(readings: Sequence[Reading]) -> Chart:
    """What it expected in each moment; a gap where it expects nothing."""
    return chart("value", [np.nan if one.value is None else one.value for one in readings])


def action_charts(readings: Sequence[Reading], names: Sequence[str] = (), first: int = 0) -> tuple[Chart, ...]:
    """What it thought of each of its discrete actions, or the numbers of its continuous one; none where neither is known.

    Args:
        names: of discrete actions, where they have any; by default the numbers from ``first``.
    """
    liked = [one.preferences for one in readings if one.preferences is not None]
    if liked and len(liked) == len(readings):
        named = list(names) or [f"action {first + place}" for place in range(len(liked[0]))]
        return (chart_of_preferences(np.stack(liked), named, likely=readings[0].kind == PROBABILITIES),)
    if readings and not liked and readings[0].action.dtype.kind == "f":
        return (chart_of_parts(np.stack([one.action.astype(np.float64).ravel() for one in readings])),)
    return ()
