"""Scores: the numbers of a policy that a saliency map can explain, by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from saccade.policies.policy import Policy
from saccade.policies.score_kinds import DEFAULTS, SCORES
from saccade.types import Score, UserError

NEAREST_TO_ONE = 1.0 - 1e-6  # a squashed action of exactly 1 has no finite pre-image


def q(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return the value of the action: an entry of a discrete Q-network, or a critic's output."""
    if policy.discrete:
        return Score(policy.network, _entry(policy, "q_values"), (action,))
    return Score(policy.network, policy.outputs["q"], (action,))


def value(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return the state value."""
    return Score(policy.network, policy.outputs["value"])


def logit(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return the action's logit: its unnormalised preference."""
    return Score(policy.network, _entry(policy, "logits"), (action,))


def log_probability(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return the log-probability of the action; for a Gaussian its log-density, before any squashing."""
    if policy.discrete:
        logits = policy.outputs["logits"]

        def discrete(network: nn.Module, pixels: Tensor, action: Tensor) -> Tensor:
            return logits(network, pixels).log_softmax(-1).gather(-1, action[:, None])[:, 0]

        return Score(policy.network, discrete, (action,))
    mean_and_log_std = _gaussian(policy)
    with torch.no_grad():
        # The density of the squashed action differs by a term that does not depend on the observation.
        raw = _unsquashed(policy, obs, action)
        if torch.allclose(raw, mean_and_log_std(policy.network, obs)[0], atol=1e-5):
            raise UserError(
                "The log-density of a deterministic action is at its peak, where no pixel changes it: explain "
                "action_mean or kl, or give the actions that were sampled."
            )

    def gaussian(network: nn.Module, pixels: Tensor, raw: Tensor) -> Tensor:
        mean, spread = mean_and_log_std(network, pixels)
        standardised = (raw - mean) * torch.exp(-spread)
        return -(0.5 * standardised.square() + spread + 0.5 * math.log(2 * math.pi)).sum(-1)

    return Score(policy.network, gaussian, (raw,))


def action_mean(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return one dimension of the deterministic action; by default each sample's largest in magnitude, signed."""
    output = policy.outputs["action"]
    if dimension is not None:
        if not 0 <= dimension < action.shape[-1]:
            raise UserError(f"There is no action dimension {dimension}: this policy has 0 to {action.shape[-1] - 1}.")
        chosen = torch.full((len(action),), dimension, device=action.device)
        sign = torch.ones(len(action), device=action.device)
    else:
        chosen = action.abs().argmax(-1)
        sign = action.gather(-1, chosen[:, None])[:, 0].sign()

    def mean(network: nn.Module, pixels: Tensor, chosen: Tensor, sign: Tensor) -> Tensor:
        return sign * output(network, pixels).gather(-1, chosen[:, None])[:, 0]

    return Score(policy.network, mean, (chosen, sign))


def confidence(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return half the sum of squared probabilities: its gradient weights their gradients by probability (DIGR)."""
    logits = policy.outputs["logits"]

    def half_sum_of_squares(network: nn.Module, pixels: Tensor) -> Tensor:
        return 0.5 * logits(network, pixels).softmax(-1).square().sum(-1)

    return Score(policy.network, half_sum_of_squares)


def kl(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return KL(policy at the observation || policy at a perturbed one), for categorical or Gaussian policies.

    It is computed in float64 after the network: a small patch changes logarithms by less than float32 can resolve.
    """
    if policy.discrete:
        logits = policy.preferences
        with torch.no_grad():
            clean = logits(policy.network, obs).double().log_softmax(-1)

        def categorical(network: nn.Module, pixels: Tensor, clean: Tensor) -> Tensor:
            perturbed = logits(network, pixels).double().log_softmax(-1)
            return (clean.exp() * (clean - perturbed)).sum(-1).to(pixels.dtype)

        return Score(policy.network, categorical, (clean,), distance=True)
    mean_and_log_std = _gaussian(policy)
    with torch.no_grad():
        clean_mean, clean_log_std = (value.double() for value in mean_and_log_std(policy.network, obs))

    def gaussian(network: nn.Module, pixels: Tensor, clean_mean: Tensor, clean_log_std: Tensor) -> Tensor:
        mean, spread = (value.double() for value in mean_and_log_std(network, pixels))
        ratio = (2 * (clean_log_std - spread)).exp()
        shift = ((clean_mean - mean) * torch.exp(-spread)).square()
        return (0.5 * (ratio + shift - 1) + spread - clean_log_std).sum(-1).to(pixels.dtype)

    return Score(policy.network, gaussian, (clean_mean, clean_log_std), distance=True)


def action_distance(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return half the squared distance between logits, Q values or greedy actions (Greydanus' actor saliency)."""
    output = policy.preferences if policy.discrete else policy.outputs["action"]
    return _half_squared_distance(policy, output, obs)


def value_distance(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return half the squared change of the value, or of Q if there is none (Greydanus' critic saliency)."""
    if "value" in policy.outputs:
        return _half_squared_distance(policy, policy.outputs["value"], obs)
    score = q(policy, obs, action, dimension)
    return _half_squared_distance(policy, score.function, obs, *score.given)


def sarfa(policy: Policy, obs: Tensor, action: Tensor, dimension: int | None) -> Score:
    """Return the specific and relevant feature attribution (Puri et al., 2020): 2 dP K / (dP + K), 0 where dP <= 0.

    dP is the drop of the action's probability, K = 1 / (1 + KL of the other actions' probabilities), both under the
    softmax of logits or Q values. As in the authors' code the KL is from before to after.
    """
    logits = policy.preferences
    with torch.no_grad():
        clean = logits(policy.network, obs)

    def harmonic_mean(network: nn.Module, pixels: Tensor, clean: Tensor, action: Tensor) -> Tensor:
        after = logits(network, pixels)
        chosen = action[:, None]
        drop = (clean.softmax(-1) - after.softmax(-1)).gather(-1, chosen)[:, 0]
        others_before = clean.scatter(-1, chosen, -math.inf).log_softmax(-1)
        others_after = after.scatter(-1, chosen, -math.inf).log_softmax(-1)
        difference = (others_before - others_after).scatter(-1, chosen, 0.0)
        kept = 1 / (1 + (others_before.exp() * difference).sum(-1))
        return torch.where(drop > 0, 2 * drop * kept / (drop.clamp(min=0) + kept), 0.0)

    return Score(policy.network, harmonic_mean, (clean, action), distance=True)


def parse_score(name: str) -> tuple[str, int | None]:
    """Split ``q`` or ``action_mean:2`` into the entry of ``SCORES`` and the action dimension. Raises UserError."""
    kind, colon, number = name.partition(":")
    if kind not in SCORES or (colon and (kind != "action_mean" or not number.isdecimal())):
        raise UserError(f"There is no score {name!r}: choose from {', '.join(SCORES)} (or action_mean:0, :1, ...).")
    return kind, int(number) if colon else None


def has_score(policy: Policy, name: str) -> bool:
    """Return whether a policy computes what a score needs. Raises UserError for a score that does not exist."""
    kind, _ = parse_score(name)
    return any(need <= set(policy.outputs) for need in SCORES[kind].needs)


def default_score(policy: Policy) -> str:
    """Return the score that is explained by default."""
    return next(name for name in DEFAULTS if has_score(policy, name))


def make_score(policy: Policy, name: str, obs: Tensor, action: Tensor | None = None) -> Score:
    """Make the named score for the samples in ``obs``, for the actions given or the greedy ones.

    Args:
        name: a name in ``SCORES``; ``action_mean:2`` is the mean of action dimension 2.
        obs: ``[batch, channel, height, width]``, as ``policy.tensor`` returns it.
        action: as ``policy.greedy`` returns it.

    Raises:
        UserError: there is no such score, or this policy's network does not compute what it needs.
    """
    kind, dimension = parse_score(name)
    if not has_score(policy, kind):
        have = ", ".join(other for other in SCORES if has_score(policy, other))
        raise UserError(f"{policy.name} has no score {kind!r}: its network outputs {have}.")
    chosen = policy.greedy(obs) if action is None else action
    return dataclasses.replace(SCORES[kind].make(policy, obs, chosen, dimension), name=kind)


def _gaussian(policy: Policy) -> Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]:
    """Mean and log standard deviation, from one pass of the network where possible."""
    outputs = policy.outputs

    def both(network: nn.Module, obs: Tensor) -> tuple[Tensor, Tensor]:
        if "gaussian" in outputs:
            mean, log_std = outputs["gaussian"](network, obs).unbind(1)
            return mean, log_std
        return outputs["mean"](network, obs), outputs["log_std"](network, obs)

    return both


def _entry(policy: Policy, name: str) -> Callable[..., Tensor]:
    """The entry of an output that belongs to an action."""
    output = policy.outputs[name]

    def entry(network: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        return output(network, obs).gather(-1, action[:, None])[:, 0]

    return entry


def _half_squared_distance(policy: Policy, output: Callable[..., Tensor], obs: Tensor, *given: Tensor) -> Score:
    """Half the squared Euclidean distance of an output, ``[batch]`` or ``[batch, n]``, from its value at ``obs``."""
    with torch.no_grad():
        clean = output(policy.network, obs, *given)

    def distance(network: nn.Module, pixels: Tensor, clean: Tensor, *given: Tensor) -> Tensor:
        return 0.5 * (output(network, pixels, *given) - clean).square().reshape(len(pixels), -1).sum(-1)

    return Score(policy.network, distance, (clean, *given), distance=True)


def _unsquashed(policy: Policy, obs: Tensor, action: Tensor) -> Tensor:
    """The action as the Gaussian sampled it: before the tanh, if the policy has one."""
    mean = policy.outputs["mean"](policy.network, obs)
    if torch.allclose(mean, policy.outputs["action"](policy.network, obs)):
        return action
    return torch.atanh(action.clamp(-NEAREST_TO_ONE, NEAREST_TO_ONE))
