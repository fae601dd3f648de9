"""How well the maps that an agent computes itself find the task, in states of its evaluation episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.envs.streams import masks_of
from saccade.metrics.localisation import area_under_roc

STATES_AT_ONCE = 64
AREA_UNDER_ROC = "area_under_roc"

MapsOf = Callable[[Tensor], Mapping[str, Tensor]]
"""Observations uint8 ``[n, channels, height, width]`` -> maps by name, each ``[n, frames, height, width]``."""


@final
class WatchedStates:
    """A random sample of the states that pass by, with the simulator's mask of each; all are equally likely.

    Args:
        count: how many are kept.
        seed: the same seed keeps the same places of a sequence.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._numbers, self._passed = count, np.random.default_rng(seed), 0
        self._states: dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}

    def look(self, obs: NDArray[np.uint8], infos: Sequence[Mapping[str, Any]]) -> None:
        """Add ``obs [n, channels, height, width]``, whose ``infos`` hold masks, to the states that may be kept."""
        masks = masks_of(infos)
        assert masks is not None, "an environment that knows the truth gives it"
        for seen, mask in zip(obs, masks, strict=True):
            self._passed += 1
            full = self._passed > self._count
            place = int(self._numbers.integers(self._passed)) if full else self._passed - 1
            if place < self._count:
                # Copied: a view would keep the observations of all environments in memory.
                self._states[place] = seen.copy(), mask.copy()

    def area_under_roc(self, maps_of: MapsOf) -> dict[str, float | None]:
        """Return, for each map, how likely a pixel of the task is more salient than another, averaged over the states.

        It is computed on the newest frame; None if no state has both kinds of pixel.
        """
        states, found = list(self._states.values()), dict[str, list[Tensor]]()
        for first in range(0, len(states), STATES_AT_ONCE):
            some = states[first : first + STATES_AT_ONCE]
            obs = torch.from_numpy(np.stack([obs for obs, _ in some]))
            truth = torch.from_numpy(np.stack([mask[-1] for _, mask in some]))
            for name, maps in maps_of(obs).items():
                found.setdefault(name, []).append(area_under_roc(maps[:, -1].float().cpu(), truth))
        return {name: _mean(torch.cat(scores)) for name, scores in found.items()}


def _mean(scores: Tensor) -> float | None:
    known = scores[~scores.isnan()]
    return float(known.mean()) if len(known) else None
