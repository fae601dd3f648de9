"""What a policy made of moments as curves: what it expected, and what it thought of its actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from saccade.explain.preferences import PROBABILITIES
from saccade.explain.reading import Reading
from saccade.viewer.timeline import Chart, chart, chart_of_parts, chart_of_preferences


def value_chart(readings: Sequence[Reading]) -> Chart:
    """What it expected in each moment; a gap where it expects nothing."""
    return chart("value", [np.nan if one.value is None else one.value for one in readings])


def action_charts(
    readings: Sequence[Reading],
    names: Sequence[str] = (),
    first: int = 0,
    strength: NDArray[np.floating] | None = None,
) -> tuple[Chart, ...]:
    """What it thought of each of its discrete actions, or the numbers of its continuous one.

    None where neither is known.

    Args:
        names: of discrete actions, where they have any; by default their numbers from ``first``.
        strength: by which the actions are chosen that are drawn, as ``chart_of_actions`` takes it.
    """
    numbers = [numbers_of(one) for one in readings]
    known = [one for one in numbers if one is not None]
    if not readings or len(known) != len(readings) or len({len(one) for one in known}) > 1:
        return ()
    if readings[0].preferences is None:
        return (chart_of_parts(np.stack(known), strength),)
    named = list(names) or [f"action {first + place}" for place in range(len(known[0]))]
    likely = readings[0].kind == PROBABILITIES
    return (chart_of_preferences(np.stack(known), named, likely=likely, strength=strength),)


def numbers_of(reading: Reading) -> NDArray[np.float64] | None:
    """What is drawn of it: what it thought of each action, or the parts of its action; None where neither is known."""
    if reading.preferences is not None:
        return reading.preferences.astype(np.float64)
    return reading.action.astype(np.float64).ravel() if reading.action.dtype.kind == "f" else None
