"""PPO (Schulman et al., 2017): several updates on every rollout, none of which gains from moving far from its policy.

Policy and value learn from the decisions of a rollout. The loop asks ``Agent.judge`` for their values and
log-probabilities, ``appraised`` for advantages and targets, and then makes ``epochs`` times ``minibatches`` updates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from saccade.agents.agent import (
    Act,
    Agent,
    Look,
    Phase,
    Prepare,
    Rollouts,
    Seen,
    Shared,
    Term,
    sees_nothing,
    set_learning_rate,
)
from saccade.agents.configs_discrete import PlainTrunk
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.agents.given import NOTHING, Given
from saccade.agents.parts.advantages import gae, normalised
from saccade.agents.parts.distributions import Categorical, Distribution, Gaussian
from saccade.agents.parts.tensorflow_adam import TensorFlowAdam
from saccade.data.rollout import Outcome
from saccade.nets.encoders import Convolutions
from saccade.nets.initialization import orthogonal
from saccade.nets.nature import nature_convolutions, small_convolutions
from saccade.nets.precision import MixedPrecision
from saccade.types import Decisions, Discrete, Spaces

POLICY_GAIN, VALUE_GAIN = 0.01, 1.0  # of the heads' orthogonal weights: at first all actions are equally likely
THE_LOOPS_MINIBATCHES = 0  # the loop splits its rollouts itself, so this size is ignored

Loss = Callable[[Decisions, Shared], Tensor]


class PolicyAndValue(nn.Module):
    """Everything PPO trains: convolutions and a layer, a head for the policy, a head for the value.

    convolutions: makes the start of the trunk; it is called once, or twice if the value has its own.
    """

    def __init__(self, spaces: Spaces, config: PPO, convolutions: Callable[[], Convolutions]) -> None:
        super().__init__()
        hidden, actions = config.trunk.hidden, spaces.actions
        self.trunk = trunk_of(convolutions(), hidden)
        self.value_trunk = None if config.trunk.shared_trunk else trunk_of(convolutions(), hidden)
        self.policy = nn.Linear(hidden, actions.count if isinstance(actions, Discrete) else actions.dims)
        self.value = nn.Linear(hidden, 1)
        self.apply(orthogonal)
        orthogonal(self.policy, POLICY_GAIN)
        orthogonal(self.value, VALUE_GAIN)
        self.log_std = (
            None
            if isinstance(actions, Discrete)
            else nn.Parameter(torch.full((actions.dims,), float(config.initial_log_std)))
        )

    def forward(self, obs: Tensor) -> tuple[Distribution, Tensor]:
        """Distribution of actions, and values ``[batch]``, for observations ``[batch, channels, height, width]``."""
        features = self.trunk(obs)
        others = features if self.value_trunk is None else self.value_trunk(obs)
        return self._distribution(features), self.value(others).squeeze(-1)

    def distribution(self, obs: Tensor) -> Distribution:
        """Return the distribution of actions."""
        return self._distribution(self.trunk(obs))

    def values(self, obs: Tensor) -> Tensor:
        """Values ``[batch]``."""
        return self.value((self.value_trunk or self.trunk)(obs)).squeeze(-1)

    def _distribution(self, features: Tensor) -> Distribution:
        output = self.policy(features)
        return Categorical(output) if self.log_std is None else Gaussian(output, self.log_std.expand_as(output))


def trunk_of(convolutions: Convolutions, hidden: int) -> nn.Sequential:
    """Map pixels to the features ``[batch, hidden]`` that heads read."""
    return nn.Sequential(convolutions, nn.Flatten(), nn.Linear(convolutions.out_features, hidden), nn.ReLU())


def picture_of(spaces: Spaces) -> tuple[int, tuple[int, int]]:
    """Return an observation's channels, and its height and width."""
    channels, height, width = spaces.obs_shape
    return channels, (height, width)


def convolutions_for(spaces: Spaces, trunk: Trunk | PlainTrunk) -> Convolutions:
    """Convolutions that a configuration names, for an environment's pictures. Raises UserError if too small."""
    make = {"nature": nature_convolutions, "small": small_convolutions}[trunk.network]
    return make(*picture_of(spaces), trunk.filters)


def clipped_policy_loss(clip_range: Tensor) -> Loss:
    """Minus the smaller of two surrogates: ratio times advantage, and with the ratio clipped (equation 7).

    clip_range: a number in a tensor, as in the other losses, so that it can change in compiled and recorded updates.
    """

    def loss(batch: Decisions, shared: Shared) -> Tensor:
        ratio, advantage = shared["ratio"], shared["advantage"]
        clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
        return -torch.minimum(ratio * advantage, clipped * advantage).mean()

    return loss


def value_loss(batch: Decisions, shared: Shared) -> Tensor:
    """Return half the squared error of the value (equation 9, L_VF, with the half of OpenAI's Baselines)."""
    return 0.5 * (shared["value"] - batch.target).square().mean()


def clipped_value_loss(value_clip: Tensor) -> Loss:
    """Return half the larger of two squared errors: the value's, and that of the value clipped around its old one.

    Not in the paper: OpenAI's Baselines.
    """

    def loss(batch: Decisions, shared: Shared) -> Tensor:
        value = shared["value"]
        clipped = batch.value + (value - batch.value).clamp(-value_clip, value_clip)
        errors = torch.maximum((value - batch.target).square(), (clipped - batch.target).square())
        return 0.5 * errors.mean()

    return loss


def entropy(batch: Decisions, shared: Shared) -> Tensor:
    """Return the policy's entropy in nats (equation 9, S)."""
    return shared["entropy"].mean()


def approximate_kl(batch: Decisions, shared: Shared) -> Tensor:
    """Return half the squared difference of new and old log-probabilities, which approximates their KL; only logged."""
    return 0.5 * (shared["log_probability"].detach() - batch.log_probability).square().mean()


def clip_fraction(clip_range: Tensor) -> Loss:
    """Return the share of decisions whose ratio is out of range; only logged."""

    def loss(batch: Decisions, shared: Shared) -> Tensor:
        ratio = shared["ratio"].detach()
        return ((ratio - 1).abs() > clip_range).to(ratio.dtype).mean()

    return loss


def appraised(config: PPO, outcome: Outcome) -> tuple[Tensor, Tensor]:
    """Return the advantages of a rollout and the values' targets, each ``[steps, envs]``.

    Advantages are already normalised if that is done over the whole rollout.
    """
    found = gae(
        outcome.reward,
        outcome.value,
        outcome.last_value,
        outcome.terminated,
        outcome.truncated,
        outcome.truncated_value if config.truncation == "bootstrap" else None,
        discount=config.discount,
        lam=config.gae_lambda,
    )
    whole = config.advantage_normalization == "rollout"
    return normalised(found, config.advantage_epsilon) if whole else found, found + outcome.value


def normalised_advantages(config: PPO) -> Look[Decisions]:
    """Look at a whole minibatch's normalised advantages, ``advantage``, for losses that see only part of it."""

    def look(batch: Decisions) -> Seen:
        return {"advantage": normalised(batch.advantage, config.advantage_epsilon)}

    return look


def learning_phase(nets: PolicyAndValue, config: PPO, accumulate: int = 1) -> Phase[Decisions]:
    """Return PPO's one phase: policy, value and entropy (equation 9).

    Shares ``log_probability ratio value entropy advantage``.

    accumulate: parts in which a minibatch is learned, one after the other.
    """
    device = nets.value.weight.device
    clip_range = torch.tensor(config.clip_range, dtype=torch.float64, device=device)
    value_clip = torch.tensor(config.value_clip or 0.0, dtype=torch.float64, device=device)
    optimizer = adam(nets, config)
    within = config.advantage_normalization == "minibatch"
    looks = within and accumulate > 1  # a part has another mean

    def share(batch: Decisions) -> Shared:
        distribution, value = nets(batch.obs)
        return shared_of(distribution, value, batch, config)

    def anneal(share_done: float) -> None:
        set_learning_rate(optimizer, config.learning_rate * left(config.learning_rate_schedule, share_done))
        factor = left(config.clip_schedule, share_done)
        clip_range.fill_(config.clip_range * factor)
        value_clip.fill_((config.value_clip or 0.0) * factor)

    value_error = value_loss if config.value_clip is None else clipped_value_loss(value_clip)
    terms = {
        "policy": Term(clipped_policy_loss(clip_range)),
        "value": Term(value_error, config.value_weight),
        "entropy": Term(entropy, -config.entropy_weight),
        "approximate_kl": Term(approximate_kl, 0.0),
        "clip_fraction": Term(clip_fraction(clip_range), 0.0),
    }
    return Phase(
        "ppo",
        terms,
        optimizer,
        look=normalised_advantages(config) if looks else sees_nothing,
        share=share,
        accumulate=accumulate,
        max_gradient_norm=config.max_gradient_norm,
        anneal=anneal,
    )


def shared_of(distribution: Distribution, value: Tensor, batch: Decisions, config: PPO) -> Shared:
    """Return what PPO's terms read about a batch: ``log_probability ratio value entropy advantage``."""
    log_probability, advantage = distribution.log_probability(batch.action), batch.advantage
    if "advantage" in batch.seen:  # over a whole minibatch that is learned in parts
        advantage = batch.seen["advantage"]
    elif config.advantage_normalization == "minibatch":
        advantage = normalised(advantage, config.advantage_epsilon)
    return {
        "log_probability": log_probability,
        "ratio": (log_probability - batch.log_probability).exp(),
        "value": value,
        "entropy": distribution.entropy(),
        "advantage": advantage,
    }


def left(schedule: str, share_done: float) -> float:
    """Return the factor that a schedule leaves of a number when a share of training is done."""
    return {"constant": 1.0, "linear": 1.0 - share_done}[schedule]


def adam(nets: nn.Module, config: PPO) -> torch.optim.Optimizer:
    """Return the Adam that a configuration names; it may become part of a CUDA graph."""
    parameters = list(nets.parameters())
    rate, epsilon = config.learning_rate, config.adam_epsilon
    if config.adam == "tensorflow":
        return TensorFlowAdam(parameters, lr=rate, eps=epsilon)
    return torch.optim.Adam(parameters, lr=rate, eps=epsilon, fused=True, capturable=parameters[0].is_cuda)


def pixels_of(obs: Tensor, convolutions: MixedPrecision) -> Tensor:
    """Return observations, still 0..255, in the type and memory layout that the convolutions are fastest in."""
    return obs.to(convolutions.compute_dtype, memory_format=torch.channels_last)


def as_pixels(convolutions: MixedPrecision) -> Prepare[Any]:
    """Apply ``pixels_of`` to a minibatch's ``obs``."""

    def prepare(batch: Any, generator: Generator) -> Any:
        return batch._replace(obs=pixels_of(batch.obs, convolutions))

    return prepare


def sampled_policy(nets: PolicyAndValue) -> Act:
    """Return a function that acts: it samples from the policy, or without a generator takes the most likely action.

    Gaussian actions are not clipped: the loop does that, and the policy learns from what it sampled.
    """

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        distribution = nets.distribution(obs)
        return distribution.greedy if generator is None else distribution.sample(generator)

    return act


def judged_by(nets: PolicyAndValue, parts: int = 1) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return log-probabilities of actions, and values of observations, each ``[batch]``.

    parts: in which observations go through the networks, one after the other.
    """

    def judge_together(obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        distribution, value = nets(obs)
        return distribution.log_probability(action), value

    @torch.no_grad()
    def judge(obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        judged = [judge_together(*part) for part in zip(obs.chunk(parts), action.chunk(parts), strict=True)]
        log_probabilities, values = zip(*judged, strict=True)
        return torch.cat(log_probabilities), torch.cat(values)

    return judge if parts > 1 else torch.no_grad()(judge_together)


def policy_outputs(spaces: Spaces) -> Mapping[str, Callable[..., Tensor]]:
    """Return the networks' outputs, for scores: ``logits`` or ``mean log_std gaussian action``, and ``value``."""

    def value(networks: PolicyAndValue, obs: Tensor) -> Tensor:
        return networks.values(obs)

    def logits(networks: PolicyAndValue, obs: Tensor) -> Tensor:
        distribution = networks.distribution(obs)
        assert isinstance(distribution, Categorical)
        return distribution.logits

    def gaussian(networks: PolicyAndValue, obs: Tensor) -> Tensor:
        return torch.stack([*networks.distribution(obs)], dim=1)

    def mean(networks: PolicyAndValue, obs: Tensor) -> Tensor:
        return gaussian(networks, obs)[:, 0]

    def log_std(networks: PolicyAndValue, obs: Tensor) -> Tensor:
        return gaussian(networks, obs)[:, 1]

    if isinstance(spaces.actions, Discrete):
        return {"logits": logits, "value": value}
    return {"mean": mean, "log_std": log_std, "gaussian": gaussian, "action": mean, "value": value}


def make_networks(
    spaces: Spaces, config: PPO, device: torch.device, convolutions: Callable[[], Convolutions] | None = None
) -> PolicyAndValue:
    """Make PPO's networks for an environment. Raises UserError if convolutions leave nothing of its pictures.

    convolutions: makes others than those that the configuration names.
    """
    make = convolutions or (lambda: convolutions_for(spaces, config.trunk))
    return PolicyAndValue(spaces, config, make).to(device)


def make_ppo(config: PPO, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Decisions]:
    """Make PPO on pixels, for either kind of action."""
    return agent_of(make_networks(spaces, config, device), config, spaces)


def agent_of(nets: PolicyAndValue, config: PPO, spaces: Spaces, accumulate: int = 1) -> Agent[Decisions]:
    """Return the agent that trains given networks as PPO does.

    accumulate: parts in which a minibatch, and what is judged, go through the networks.
    """
    convolutions = nets.trunk[0]
    assert isinstance(convolutions, MixedPrecision)
    return Agent(
        networks=nets,
        act=sampled_policy(nets),
        prepare=as_pixels(convolutions),
        phases=(learning_phase(nets, config, accumulate),),
        batch_size=THE_LOOPS_MINIBATCHES,
        outputs=policy_outputs(spaces),
        judge=judged_by(nets, accumulate),
        rollouts=Rollouts(config.rollout_steps, config.epochs, config.minibatches, partial(appraised, config)),
    )
