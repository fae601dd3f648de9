"""Hyper-parameters of the methods that learn from rollouts, otherwise as in ``configs``; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from saccade.agents.settings import AT_LEAST_ONE, LOG_STD, NOT_NEGATIVE, POSITIVE, SHARE


@dataclass(frozen=True)
class Trunk:
    """Sizes of PPO's networks; the defaults are those of Mnih et al. (2015)."""

    network: Literal["nature", "small"] = "nature"
    """nature: convolutions of 8, 4 and 3 pixels; small: three of 3 pixels that halve a picture of any size."""
    image_size: Annotated[int, AT_LEAST_ONE] = 84
    """Side of the square image that the convolutions see, in pixels."""
    filters: Annotated[tuple[int, int, int], AT_LEAST_ONE] = (32, 64, 64)
    """Channels of the three convolutions."""
    hidden: Annotated[int, AT_LEAST_ONE] = 512
    """Width of the layer that heads read."""
    shared_trunk: bool = True
    """Whether policy and value read the same convolutions and layer; otherwise each has its own."""


@dataclass(frozen=True)
class PPO:
    """Hyper-parameters of PPO; the defaults are those of OpenAI's Baselines for Atari."""

    trunk: Trunk = field(default_factory=Trunk)
    rollout_steps: Annotated[int, AT_LEAST_ONE] = 128
    """Agent steps of every environment between two rounds of updates."""
    epochs: Annotated[int, AT_LEAST_ONE] = 4
    """How often the updates of a round go through the rollout."""
    minibatches: Annotated[int, AT_LEAST_ONE] = 4
    """Parts that a rollout is split into, again in every epoch; each is one update."""
    discount: Annotated[float, SHARE] = 0.99
    """Discount per agent step, regardless of the action repeat."""
    gae_lambda: Annotated[float, SHARE] = 0.95
    """Lambda of the advantages: 0 looks one step ahead, 1 to the end of the episode."""
    truncation: Literal["bootstrap", "end"] = "bootstrap"
    """An episode that ran out of time has the value of its last observation (bootstrap), or none, as if it had
    ended (end)."""
    advantage_normalization: Literal["minibatch", "rollout", "none"] = "minibatch"
    """Over what advantages are normalised to mean 0 and standard deviation 1."""
    advantage_epsilon: Annotated[float, NOT_NEGATIVE] = 1e-8
    """What is added to the standard deviation by which advantages are divided."""
    clip_range: Annotated[float, SHARE] = 0.1
    """How far from 1 the ratio of new to old probability may move before it is clipped."""
    clip_schedule: Literal["constant", "linear"] = "constant"
    """Whether the clip ranges, the value's too, stay or fall to 0 as training goes on."""
    value_clip: Annotated[float | None, NOT_NEGATIVE] = 0.1
    """How far a value may move from its old one before it is clipped; none, or a large number such as 1e9, lets it move
    freely."""
    value_weight: Annotated[float, NOT_NEGATIVE] = 0.5
    """Weight of the value's error."""
    entropy_weight: Annotated[float, NOT_NEGATIVE] = 0.01
    """Weight of the policy's entropy, which is encouraged."""
    learning_rate: Annotated[float, NOT_NEGATIVE] = 2.5e-4
    """Learning rate at the start."""
    learning_rate_schedule: Literal["constant", "linear"] = "linear"
    """Whether the learning rate stays or falls to 0 as training goes on."""
    adam: Literal["pytorch", "tensorflow"] = "pytorch"
    """tensorflow: does not correct epsilon for the moments' bias, as TensorFlow 1 did not."""
    adam_epsilon: Annotated[float, POSITIVE] = 1e-5
    """What Adam adds to the root of the second moment that it divides by."""
    max_gradient_norm: Annotated[float, POSITIVE] = 0.5
    """Largest norm of the gradient of all parameters together; longer ones are scaled down to it."""
    initial_log_std: Annotated[float, LOG_STD] = 0.0
    """For continuous actions: initial logarithm of their standard deviation, which does not depend on observations."""


@dataclass(frozen=True)
class FLS:
    """Hyper-parameters of Free-Lunch Saliency; the defaults are the authors' code."""

    ppo: PPO = field(default_factory=lambda: PPO(adam="tensorflow", truncation="end"))
    attention: Literal[
        "none",
        "daqn",
        "rsppo",
        "rsppo_nopad",
        "sparse",
        "sparse_sumpool",
        "sparse_norm",
        "sparse_1x1",
        "sparse_softplus2",
        "sparse_no_relu",
        "sparse_no_relu_sumpool",
        "sparse_after_first",
        "sparse_after_each",
        "dense",
        "dense_no_relu",
    ] = "sparse"
    """Which attention is used, and where. sparse: after the third convolution; dense: after three of its own that keep
    the picture's size, regardless of --network, at a hundred times the arithmetic."""
    attention_filters: Annotated[int, AT_LEAST_ONE] = 256
    """Channels inside the attention; rsppo has twice as many."""
    accumulate: Annotated[int, AT_LEAST_ONE] = 1
    """Parts in which a minibatch is learned, one after the other, with the same result in less memory."""
