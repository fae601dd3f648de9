"""Weight initialisation of reinforcement-learning networks: the benchmark's, and PPO's."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def orthogonal_and_delta(module: nn.Module) -> None:
    """Initialise linear layers orthogonally with zero bias, convolutions delta-orthogonally (zero but for the centre).

    As in the benchmark's code (gain 1 and sqrt 2). At first a delta-orthogonal stack with one stride of
    2 sees every other pixel of every other row only, through its centres: 1/16 of the input has a gradient.
    Use with ``module.apply``.
    """
    if isinstance(module, nn.Linear):
        nn.init.orthogonal_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        middle = module.kernel_size[0] // 2
        module.weight.zero_()
        nn.init.orthogonal_(module.weight[:, :, middle, middle], nn.init.calculate_gain("relu"))
        if module.bias is not None:
            module.bias.zero_()


@torch.no_grad()
def orthogonal(module: nn.Module, gain: float = math.sqrt(2)) -> None:
    """Initialise linear layers and convolutions orthogonally with a gain and zero bias, as in OpenAI's and most PPOs.

    The gain of the square root of 2 is for layers before a ReLU. Use with ``module.apply``.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.orthogonal_(module.weight, gain)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
