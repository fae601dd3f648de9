"""What an explanation found, in a few sentences for the top of its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from saccade.bench.verdicts import sentence_of_episodes
from saccade.viewer.recorded_maps import Maps
from saccade.viewer.recordings import Explanation, ScoreRow

HALF = 0.5


def findings(explanation: Explanation, episodes: Mapping[str, Maps]) -> str:
    """Findings: returns, if there are several modes; where the maps are bright; which method the scores favour.

    Args:
        episodes: by mode, for those with maps.
    """
    totals = {mode: maps.total for mode, maps in episodes.items() if maps.total is not None}
    return " ".join(filter(None, (sentence_of_episodes(totals), *_places(episodes), *_scores(explanation))))


def _places(episodes: Mapping[str, Maps]) -> Iterator[str]:
    """For the first mode: how much of the map lies on the task if that is known, else how far it is spread."""
    for mode, maps in list(episodes.items())[:1]:
        found = {name: np.abs(values) for name, values in maps.saliency.items() if values.any()}
        if not found:
            yield f"In mode {mode} no method finds anything that matters."
        elif maps.task_mask is not None and maps.screen is None:
            inside = {name: _share(values, maps.task_mask) for name, values in found.items()}
            best = max(inside, key=lambda name: inside[name])
            yield (
                f"In mode {mode} {100 * inside[best]:.0f} % of the map of {best} lies on what belongs to the task, "
                f"which is {100 * float(maps.task_mask.mean()):.0f} % of the picture"
                + ("; no other method's map lies more on it." if len(found) > 1 else ".")
            )
        else:
            name, values = next(iter(found.items()))
            yield f"Half of what matters to {name} lies in {_half(values):.0f} % of the picture (mode {mode})."


def _share(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float((values * mask).sum(dtype=np.float64) / values.sum(dtype=np.float64))


def _half(values: NDArray[np.float32]) -> float:
    """The percentage of the pixels, brightest first, that together hold half of a map; mean over maps with any."""
    flat = -np.sort(-values[values.any((1, 2))].reshape(-1, values.shape[1] * values.shape[2]), axis=1)
    sums = flat.cumsum(axis=1, dtype=np.float64)
    return 100 * float(((sums < HALF * sums[:, -1:]).sum(axis=1) + 1).mean()) / flat.shape[1]


def _scores(explanation: Explanation) -> Iterator[str]:
    """In how many measurements, each a metric in a mode, which method is best and beats every baseline."""
    ranked: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in explanation.scores:
        if row.direction is not None and row.mean is not None and row.method:
            ranked.setdefault((row.mode, row.metric), []).append(row)
    compared = [rows for rows in ranked.values() if len({row.mean for row in rows}) > 1]
    if not compared or len(explanation.methods) < 2:
        return
    wins = Counter(filter(None, (_winner(rows, explanation) for rows in compared)))
    lost = len(compared) - wins.total()
    places = ", ".join(f"{name} in {count}" for name, count in wins.most_common())
    count = f"{len(compared)} measurements, each a score in a mode"
    if not wins:
        yield f"In none of {count}, is a method better than maps made without the network."
        return
    yield f"Of {count}, the best map is that of {places}" + (f"; in {lost} none stands out." if lost else ".")


def _winner(rows: list[ScoreRow], explanation: Explanation) -> str | None:
    sign = 1 if rows[0].direction == "higher" else -1
    best = max(sign * (row.mean or 0.0) for row in rows)
    first = [row.method for row in rows if sign * (row.mean or 0.0) == best]
    return first[0] if len(first) == 1 and first[0] in explanation.methods else None
