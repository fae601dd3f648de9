"""Hyper-parameters of the methods for discrete actions, otherwise as in ``configs``; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from saccade.agents.configs import Augmentation
from saccade.agents.configs_on_policy import PPO
from saccade.agents.settings import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, SHARE


@dataclass(frozen=True)
class PlainTrunk:
    """Sizes of a network with one trunk and one head; the defaults are those of Mnih et al. (2015)."""

    network: Literal["nature", "small"] = "nature"
    """nature: convolutions of 8, 4 and 3 pixels; small: three of 3 pixels that halve a picture of any size."""
    image_size: Annotated[int, AT_LEAST_ONE] = 84
    """Side of the square image that the convolutions see, in pixels."""
    filters: Annotated[tuple[int, int, int], AT_LEAST_ONE] = (32, 64, 64)
    """Channels of the three convolutions."""
    hidden: Annotated[int, AT_LEAST_ONE] = 512
    """Width of the layer that the head reads."""


@dataclass(frozen=True)
class DQN:
    """Hyper-parameters of DQN; the defaults are those of Mnih et al. (2015), for Adam those of Hessel et al. (2018)."""

    trunk: PlainTrunk = field(default_factory=PlainTrunk)
    batch_size: Annotated[int, AT_LEAST_ONE] = 32
    """Transitions in a minibatch."""
    discount: Annotated[float, SHARE] = 0.99
    """Discount per agent step, regardless of the action repeat."""
    double: bool = True
    """Whether the online network chooses the action that the target network values (van Hasselt et al., 2016)."""
    n_steps: Annotated[int, AT_LEAST_ONE] = 1
    """Rewards in a target before it bootstraps from a value; Hessel et al. (2018) use 3."""
    error: Literal["huber", "squared"] = "huber"
    """Error of values: squared up to 1 and linear beyond (huber), or squared throughout."""
    learning_rate: Annotated[float, NOT_NEGATIVE] = 6.25e-5
    """Learning rate of Adam (Hessel et al., 2018)."""
    adam_epsilon: Annotated[float, POSITIVE] = 1.5e-4
    """What Adam adds to the root of the second moment that it divides by (Hessel et al., 2018)."""
    target_every: Annotated[int, AT_LEAST_ONE] = 10_000
    """Updates between updates of the target network."""
    target_rate: Annotated[float, SHARE] = 1.0
    """Fraction of the way that the target network moves in each of its updates; 1 makes it a copy."""
    epsilon_start: Annotated[float, SHARE] = 1.0
    """Probability of a uniformly random action at the start. The deterministic action is never random."""
    epsilon_end: Annotated[float, SHARE] = 0.1
    """Probability of a random action once it has fallen; evaluations that sample actions use its current value."""
    epsilon_share: Annotated[float, SHARE] = 0.02
    """Share of training in which this probability falls, linearly: the first million of fifty million steps."""


@dataclass(frozen=True)
class Guidance:
    """How an agent is guided by its salient pixels; the defaults are SGQN's code where it has the same."""

    mask: Literal["attribution", "oracle", "random"] = "attribution"
    """Which pixels count as salient: those the agent's own output depends on most; the simulator's own mask of the
    task, as a ceiling; or random ones, as a floor."""
    attribution: Literal["guided_backpropagation", "gradient", "integrated_gradients"] = "guided_backpropagation"
    """How the pixels' importance is computed."""
    quantile: float = 0.95
    """Share of the pixels that a mask hides, unless it is the simulator's own."""
    consistency_weight: float = 0.5
    """Weight of the change in the output that decides actions when only salient pixels remain; 0 drops this loss."""
    mask_fill: Literal["random_grey", "zero"] = "random_grey"
    """What hidden pixels become: one random grey level per update, or black."""
    self_supervision: bool = True
    """Whether the auxiliary mask prediction is trained."""
    saliency_lr: float = 3e-4
    """Learning rate of the mask prediction."""
    saliency_every: int = 16
    """Updates between steps of the mask prediction."""
    decoder_filters: tuple[int, int] = (16, 8)
    """Channels inside the mask predictor; SGQN's 128 and 64 take twelve times the arithmetic of the nature trunk."""
    strong: Augmentation = field(default_factory=Augmentation)
    """Augmentation of the observation from which the mask is predicted."""


@dataclass(frozen=True)
class SGDQN:
    """Hyper-parameters of SG-DQN: DQN's, and SGQN's where it has the same."""

    dqn: DQN = field(default_factory=DQN)
    guidance: Guidance = field(default_factory=Guidance)


@dataclass(frozen=True)
class SGPPO:
    """Hyper-parameters of SG-PPO: PPO's, and SGQN's where it has the same."""

    ppo: PPO = field(default_factory=PPO)
    guidance: Guidance = field(default_factory=Guidance)
    salient_for: Literal["action", "value"] = "action"
    """Whether pixels are salient for the log-probability of the action that was chosen, or for the value."""
    masks_every: Literal["rollout", "epoch"] = "rollout"
    """When masks are computed: once for a whole rollout, before its updates, or again before each of its epochs."""
    policy_difference: Literal["kl", "squared"] = "kl"
    """Which change of the policy the consistency loss penalises: the KL divergence from the policy on all pixels to the
    one on salient pixels, or the squared change of the chosen action's log-probability."""
    value_consistency_weight: Annotated[float, NOT_NEGATIVE] = 0.5
    """Weight of the squared change of the value when only salient pixels remain; 0 drops this loss."""
