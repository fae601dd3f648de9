"""Small networks and their scores: what the tests of saliency run over."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.saliency import METHODS
from saccade.types import Score

CHANNELS, SIDE, BATCH = 4, 12, 3

every_method = pytest.mark.parametrize("name", METHODS)
FEW = {"rise": {"masks": 50}}


class Network(nn.Module):
    """Two convolutions and two linear layers: ``[batch, 4, 12, 12] -> [batch, 3]``."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(CHANNELS, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Sequential(nn.Linear(45, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.convolutions(obs))


def network(dtype: torch.dtype = torch.float32) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Network().to(dtype)
        with torch.no_grad():  # no unit is dead, and none is always alive
            for parameter in made.parameters():
                parameter.mul_(2)
    return made


def observations(count: int = BATCH, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.rand(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)).to(dtype)


def entry(net: nn.Module, obs: Tensor, index: Tensor) -> Tensor:
    return net(obs).gather(1, index[:, None])[:, 0]


def entry_score(net: nn.Module, count: int = BATCH) -> Score:
    """A different output of the network for each sample."""
    device = next(net.parameters()).device
    return Score(net, entry, (torch.arange(count, device=device) % 3,))


def half_squared_change(net: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    return 0.5 * (net(obs) - clean).square().sum(1)


def distance_score(net: nn.Module, obs: Tensor) -> Score:
    with torch.no_grad():
        return Score(net, half_squared_change, (net(obs),), distance=True)


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
    return dataclasses.replace(score, name=METHODS[name].score or "")


def score_for(name: str, net: nn.Module, obs: Tensor) -> Score:
    if METHODS[name].score is None:
        return entry_score(net, len(obs))
    return named_for(name, distance_score(net, obs))


def explained(name: str, obs: Tensor, net: nn.Module | None = None, **options: Any) -> Tensor:
    net = network() if net is None else net
    return METHODS[name](score_for(name, net, obs), obs, **FEW.get(name, {}), **options)
