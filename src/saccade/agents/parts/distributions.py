"""Distributions of actions; plain functions of tensors, which compile and never wait for the device."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor


class Categorical(NamedTuple):
    """A categorical distribution over several actions, given by their numbers."""

    logits: Tensor  # [batch, actions], not normalised

    @property
    def greedy(self) -> Tensor:
        """The most probable action, long ``[batch]``."""
        return self.logits.argmax(-1)

    def log_probability(self, action: Tensor) -> Tensor:
        """``[batch]``, of actions long ``[batch]``."""
        return self.logits.log_softmax(-1).gather(-1, action[:, None]).squeeze(-1)

    def entropy(self) -> Tensor:
        """``[batch]``, in nats."""
        log_probability = self.logits.log_softmax(-1)
        return -(log_probability.exp() * log_probability).sum(-1)

    def divergence(self, other: Categorical) -> Tensor:
        """KL(self || other) ``[batch]``, in nats."""
        own, others = self.logits.log_softmax(-1), other.logits.log_softmax(-1)
        return (own.exp() * (own - others)).sum(-1)

    def sample(self, generator: Generator) -> Tensor:
        """Sample actions long ``[batch]``: a race of exponential clocks, each ringing at its action's rate."""
        clocks = torch.empty(self.logits.shape, device=generator.device).exponential_(generator=generator)
        return (self.logits - clocks.log().to(self.logits)).argmax(-1)


class Gaussian(NamedTuple):
    """A diagonal Gaussian over action vectors, without bounds."""

    mean: Tensor  # [batch, dims]
    log_std: Tensor  # [batch, dims], natural logarithm

    @property
    def greedy(self) -> Tensor:
        """The mean."""
        return self.mean

    def log_probability(self, action: Tensor) -> Tensor:
        """Logarithm of the density ``[batch]``, of actions ``[batch, dims]``."""
        deviation = (action - self.mean) * (-self.log_std).exp()
        return -(0.5 * (deviation.square() + math.log(2 * math.pi)) + self.log_std).sum(-1)

    def entropy(self) -> Tensor:
        """``[batch]``, in nats."""
        return (self.log_std + 0.5 * (1 + math.log(2 * math.pi))).sum(-1)

    def divergence(self, other: Gaussian) -> Tensor:
        """KL(self || other) ``[batch]``, in nats."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        shift = ((self.mean - other.mean) * (-other.log_std).exp()).square()
        return (0.5 * (ratio + shift - 1) + other.log_std - self.log_std).sum(-1)

    def sample(self, generator: Generator) -> Tensor:
        """Actions ``[batch, dims]``."""
        noise = torch.randn(self.mean.shape, generator=generator, device=generator.device).to(self.mean)
        return self.mean + self.log_std.exp() * noise


Distribution = Categorical | Gaussian
