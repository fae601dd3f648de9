"""Small networks and their scores: what the tests of saliency run over."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from saccade.saliency import METHODS
from saccade.testing import saliency_cases
from saccade.testing.saliency_cases import (
    BATCH,
    CHANNELS,
    SIDE,
    SmallNetwork,
    distance_score,
    entry_score,
    observations,
    small_network,
)
from saccade.types import Score

__all__ = [
    "BATCH",
    "CHANNELS",
    "FEW",
    "SIDE",
    "Linear",
    "Network",
    "distance_score",
    "entry_score",
    "every_method",
    "explained",
    "named_for",
    "network",
    "observations",
    "output",
    "score_for",
]

Network, network = SmallNetwork, small_network

every_method = pytest.mark.parametrize("name", METHODS)
FEW = {"rise": {"masks": 50}}


def output(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs)[:, 0]


class Linear(nn.Module):
    """Weights times pixels, plus 2: ``[batch, *weight.shape] -> [batch, 1]``."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, obs: Tensor) -> Tensor:
        return (obs * self.weight).sum((1, 2, 3))[:, None] + 2


def named_for(name: str, score: Score) -> Score:
    """The score under the name that the method takes."""
    return saliency_cases.named_for(METHODS[name], score)


def score_for(name: str, net: nn.Module, obs: Tensor) -> Score:
    return saliency_cases.score_for(METHODS[name], net, obs)


def explained(name: str, obs: Tensor, net: nn.Module | None = None, **options: Any) -> Tensor:
    net = network() if net is None else net
    return METHODS[name](score_for(name, net, obs), obs, **FEW.get(name, {}), **options)
