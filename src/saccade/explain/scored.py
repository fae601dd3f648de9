"""Score one map of one moment: whether the policy depends on what it shows, and whether it shows the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from saccade.data.user_code import running
from saccade.explain.measuring import FAITHFUL, RANDOM, relative_curves
from saccade.metrics import METRICS, TRUTH
from saccade.policies.policy import Policy

OWN = "map"
AGAINST_TRUTH = tuple(name for name, metric in METRICS.items() if metric.takes == TRUTH)
MAX_BATCH = 256


@final
@dataclass(frozen=True)
class Scored:
    """One score of a map.

    Attributes:
        metric: a name in ``saccade.metrics.METRICS``.
        value: None where it is undefined: hiding pixels changes nothing, or no pixel shows the task.
        by_chance: the same score of a random map.
    """

    metric: str
    value: float | None
    by_chance: float | None

    @property
    def direction(self) -> str:
        """Which is better: ``higher`` or ``lower``."""
        return METRICS[self.metric].direction


def metrics_of(knows_truth: bool) -> tuple[str, ...]:
    """Return the metrics that a map of a moment can be scored by."""
    return (*FAITHFUL, *(AGAINST_TRUTH if knows_truth else ()))


def scored(
    policy: Policy, obs: np.ndarray, saliency: np.ndarray, truth: np.ndarray | None, asked: Sequence[str], seed: int = 0
) -> tuple[Scored, ...]:
    """Compute those of the wanted scores of one observation's map that are available.

    Insertion and deletion are divided by the largest change that this map or the random one makes. ``saccade score``
    divides by the largest over all maps together, so that its numbers can be smaller.

    Args:
        obs: as the environment gives it.
        saliency: unsigned ``[height, width]``.
        truth: bool ``[height, width]`` of the pixels that show the task; None if unknown.
        seed: of the random map.
    """
    maps = torch.from_numpy(np.ascontiguousarray(saliency))[None]
    noise = torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed))
    found: dict[str, tuple[Tensor, Tensor]] = {}
    if any(name in FAITHFUL for name in asked):
        with running(f"The policy {policy.name}"):
            curves = relative_curves(policy, obs[None], {OWN: maps, RANDOM: noise}, MAX_BATCH)
        found |= {name: (curves[OWN, name].area, curves[RANDOM, name].area) for name in FAITHFUL}
    if truth is not None:
        shown = torch.from_numpy(np.ascontiguousarray(truth))[None]
        for name in AGAINST_TRUTH:
            found[name] = METRICS[name].function(maps, shown), METRICS[name].function(noise, shown)
    return tuple(Scored(name, *map(_number, found[name])) for name in asked if name in found)


def _number(value: Tensor) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
