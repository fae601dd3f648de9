"""Scores of one map of one moment: whether the policy follows what it shows, and whether it shows the task."""

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
    """One number.

    Attributes:
        metric: of ``saccade.metrics.METRICS``.
        value: None where it is undefined: the policy does the same without any pixel, or no pixel shows the task.
        by_chance: of a map of random numbers.
    """

    metric: str
    value: float | None
    by_chance: float | None

    @property
    def direction(self) -> str:
        """``higher`` or ``lower``: what is better."""
        return METRICS[self.metric].direction


def metrics_of(knows_truth: bool) -> tuple[str, ...]:
    """What a map of a moment can be scored by."""
    return (*FAITHFUL, *(AGAINST_TRUTH if knows_truth else ()))


def scored(
    policy: Policy, obs: np.ndarray, saliency: np.ndarray, truth: np.ndarray | None, asked: Sequence[str], seed: int = 0
) -> tuple[Scored, ...]:
    """The scores of a map of one observation, those of them that can be had.

    Insertion and deletion are divided by the largest change that this map or the random one makes: ``saccade score``
    divides by that of all maps together, so that its numbers can be smaller.

    Args:
        obs: as the environment gives it.
        saliency: unsigned ``[height, width]``.
        truth: bool ``[height, width]`` of the pixels that show the task; None where nobody knows.
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
