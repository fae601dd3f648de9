"""Small networks to check maps with: an ordinary one, a linear one, and one that depends on a corner alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from saccade.saliency.method import Method
from saccade.types import Score

CHANNELS, SIDE, BATCH, OUTPUTS = 4, 12, 3, 3
WEIGHTS = (0.5, -1.0, 2.0, 0.25)  # of the channels, in the linear score
ALWAYS_ON = 100.0  # moves every unit of a ReLU above 0, so that it changes nothing

Find = Callable[..., Tensor]


class SmallNetwork(nn.Module):
    """Two convolutions and two linear layers: ``[batch, 4, 12, 12] -> [batch, 3]``."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(CHANNELS, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Sequential(nn.Linear(45, 16), nn.ReLU(), nn.Linear(16, OUTPUTS))

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.convolutions(obs))


def small_network(dtype: torch.dtype = torch.float32) -> SmallNetwork:
    """Return always the same network; global random states stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        made = SmallNetwork().to(dtype)
        with torch.no_grad():  # no unit is dead, and none is always alive
            for parameter in made.parameters():
                parameter.mul_(2)
    return made


def observations(count: int = BATCH, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Return noise ``[count, 4, 12, 12]`` in 0..1."""
    return torch.rand(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)).to(dtype)


def _entry(net: nn.Module, obs: Tensor, index: Tensor) -> Tensor:
    return net(obs).gather(1, index[:, None])[:, 0]


def entry_score(net: nn.Module, count: int = BATCH) -> Score:
    """Return a score of a different output of the network for each sample."""
    device = next(net.parameters()).device
    return Score(net, _entry, (torch.arange(count, device=device) % OUTPUTS,))


def _half_squared_change(net: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    return 0.5 * (net(obs) - clean).square().sum(1)


def distance_score(net: nn.Module, obs: Tensor) -> Score:
    """Return a score of how far the network's outputs are from those at these observations."""
    with torch.no_grad():
        return Score(net, _half_squared_change, (net(obs),), distance=True)


def named_for(method: Any, score: Score) -> Score:
    """Return the score under the name that a method takes."""
    name = method.score if isinstance(method, Method) else None
    return dataclasses.replace(score, name=name or "")


def score_for(method: Any, net: nn.Module, obs: Tensor) -> Score:
    """Return a score that a method can explain: a distance for methods that are defined with one."""
    if isinstance(method, Method) and method.score is not None:
        return named_for(method, distance_score(net, obs))
    return entry_score(net, len(obs))


class _Plus(nn.Module):
    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, value: Tensor) -> Tensor:
        return value + self.number


def _sum(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs).sum((1, 2, 3))


def linear_score() -> tuple[Score, Tensor]:
    """Return the sum of weights times pixels in float64, and the weights ``[channel, 1, 1]``.

    It has a ReLU, since guided methods need one, but this changes nothing.
    """
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)[:, None, None]
    convolution = nn.Conv2d(CHANNELS, 1, 1, bias=False).double()
    with torch.no_grad():
        convolution.weight.copy_(weights[None])
    return Score(nn.Sequential(convolution, _Plus(ALWAYS_ON), nn.ReLU(), _Plus(-ALWAYS_ON)), _sum), weights


def _corner(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs)[:, :, 0, 0].sum(1)


def corner_score() -> Score:
    """Return a score that depends on the first pixel of the first row, and on no other."""
    convolution = nn.Conv2d(CHANNELS, 3, 1, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.linspace(0.1, 1, 3 * CHANNELS).view(3, CHANNELS, 1, 1))
    return Score(nn.Sequential(convolution, nn.ReLU(), nn.Tanh()), _corner)
