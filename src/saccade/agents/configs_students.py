"""Hyper-parameters of the methods that learn from a teacher, otherwise as in ``configs``; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from saccade.agents.configs_discrete import PlainTrunk
from saccade.agents.settings import AT_LEAST_ONE, LOG_STD, NOT_NEGATIVE, SHARE


@dataclass(frozen=True)
class DIGR:
    """Hyper-parameters of DIGR; the defaults are the paper's for Red-Fetch-Green, and ours where it gives none."""

    trunk: PlainTrunk = field(default_factory=PlainTrunk)
    batch_size: Annotated[int, AT_LEAST_ONE] = 64
    """The student's own states in a minibatch, and as many from the saliency data."""
    learning_rate: Annotated[float, NOT_NEGATIVE] = 1e-3
    """Learning rate, which is constant."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimizer from PyTorch, with PyTorch's defaults."""
    regularised: bool = True
    """Whether the gradient is trained on the saliency data; otherwise this is distillation alone."""
    distillation_weight: Annotated[float, NOT_NEGATIVE] = 0.01
    """Weight of the distance to the teacher's actions relative to the gradient's share: the paper's alpha."""
    threshold: Annotated[float, SHARE] = 0.1
    """Where the teacher's saliency is at most this share of its largest, the student's gradient should vanish."""
    normalisation: Literal["maximum", "mass"] = "maximum"
    """What the gradient's map is divided by: its largest value, as published, or its sum, times its pixels."""
    channels: Literal["max", "sum", "all"] = "max"
    """How the gradient's channels, the colours of all frames, become one map: by maximum, by sum, or not at all."""
    log_std_min: Annotated[float, LOG_STD] = -10.0
    """For continuous actions: smallest logarithm of their standard deviation."""
    log_std_max: Annotated[float, LOG_STD] = 2.0
    """For continuous actions: largest logarithm of their standard deviation."""
