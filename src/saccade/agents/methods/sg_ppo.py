"""SG-PPO: PPO with SGQN's two losses (Bertoin et al., 2022), which its authors suggest as future work.

Policy and value on the observation and on its salient pixels alone must agree (consistency), and the trunk must
predict, from an observation with a picture blended in, which pixels of the clean one are salient (self-supervision).
Salient pixels are computed once for a whole rollout, as values are, or for each of its epochs.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, Look, Phase, Seen, Shared, Term, in_order
from saccade.agents.configs_discrete import SGPPO, Guidance
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import ppo, sgqn
from saccade.agents.methods.dqn import choices_of
from saccade.agents.methods.sg_dqn import look_at_mask, saliency_phase
from saccade.agents.parts.attribution import Attribution, as_map, attribution_of
from saccade.agents.parts.distributions import Categorical, Distribution
from saccade.agents.parts.guidance import Draw, MaskPredictor, draw_noise, noise_like, salient, seen_through
from saccade.data.rollout import Mark
from saccade.nets.precision import MixedPrecision
from saccade.pixels.masks import fill_outside
from saccade.types import Decisions, Spaces


class SGPPONetworks(nn.Module):
    """PPO's networks, and the predictor of masks from the trunk's features and the action."""

    def __init__(self, nets: ppo.PolicyAndValue, config: SGPPO, spaces: Spaces) -> None:
        super().__init__()
        self.ppo = nets
        choices, hidden = choices_of(spaces), config.ppo.trunk.hidden
        filters = config.guidance.decoder_filters
        self.predictor = MaskPredictor(spaces, choices, hidden, filters) if config.guidance.self_supervision else None

    def forward(self, obs: Tensor) -> tuple[Distribution, Tensor]:
        return self.ppo(obs)

    def distribution(self, obs: Tensor) -> Distribution:
        """Return the distribution of actions."""
        return self.ppo.distribution(obs)

    def values(self, obs: Tensor) -> Tensor:
        """Values ``[batch]``."""
        return self.ppo.values(obs)

    def predict(self, obs: Tensor, action: Tensor) -> Tensor:
        """Mask logits ``[batch, frames * colours, height, width]``."""
        assert self.predictor is not None, "masks are predicted with self-supervision alone"
        return self.predictor(self.ppo.trunk(obs), action)


def policy_consistency(difference: str) -> ppo.Loss:
    """Return how far the policy on the salient pixels is from the one on all pixels.

    Either their KL divergence, or the squared change of the chosen action's log-probability. The gradient flows into
    both sides, as in SGQN's code.
    """

    def kl(batch: Decisions, shared: Shared) -> Tensor:
        return Categorical(shared["logits"]).divergence(Categorical(shared["masked_logits"])).mean()

    def squared(batch: Decisions, shared: Shared) -> Tensor:
        return F.mse_loss(Categorical(shared["masked_logits"]).log_probability(batch.action), shared["log_probability"])

    return {"kl": kl, "squared": squared}[difference]


def value_consistency(batch: Decisions, shared: Shared) -> Tensor:
    """Squared difference between the value of the observation and of its salient pixels (L_C of SGQN)."""
    return F.mse_loss(shared["masked_value"], shared["value"])


def learning_phase(nets: ppo.PolicyAndValue, config: SGPPO, draw: Draw, colours: int) -> Phase[Decisions]:
    """PPO's phase with the consistency terms whose weight is not 0.

    Shares ``logits masked_logits masked_value`` besides what PPO's phase does, and computes nothing twice.
    """
    plain = ppo.learning_phase(nets, config.ppo)
    weights = {"policy": config.guidance.consistency_weight, "value": config.value_consistency_weight}
    if not any(weights.values()):
        return plain
    losses = {"policy": policy_consistency(config.policy_difference), "value": value_consistency}
    terms = {f"{name}_consistency": Term(losses[name], weight) for name, weight in weights.items() if weight}

    def share(batch: Decisions) -> Shared:
        distribution, value = nets(batch.obs)
        assert isinstance(distribution, Categorical)
        masked, masked_value = nets(fill_outside(batch.obs, batch.seen["mask"], batch.drawn["mask_fill"], colours))
        of_all = ppo.shared_of(distribution, value, batch, config.ppo)
        return {**of_all, "logits": distribution.logits, "masked_logits": masked.logits, "masked_value": masked_value}

    return dataclasses.replace(plain, terms={**plain.terms, **terms}, share=share, look=look_if_unmarked(draw))


def look_if_unmarked(draw: Draw) -> Look[Decisions]:
    """Return ``look_at_mask`` for decisions that come without a rollout, and so without a mask."""
    look_anew = look_at_mask(draw)

    def look(batch: Decisions) -> Seen:
        return {} if "mask" in batch.seen else look_anew(batch)

    return look


def attribution_for(nets: ppo.PolicyAndValue, salient_for: str, method: str) -> Attribution:
    """Return each pixel's importance for the log-probability of the chosen action, or for the value."""

    def action(network: ppo.PolicyAndValue, obs: Tensor, chosen: Tensor) -> Tensor:
        return network.distribution(obs).log_probability(chosen)

    def value(network: ppo.PolicyAndValue, obs: Tensor, chosen: Tensor) -> Tensor:
        return network.values(obs)

    return attribution_of(nets, {"action": action, "value": value}[salient_for], method)


def marked_by(draw: Draw, guidance: Guidance, colours: int, convolutions: MixedPrecision) -> Mark:
    """Return a function that marks salient pixels of a rollout, according to the current networks."""

    @torch.no_grad()
    def mark(obs: Tensor, action: Tensor, truth: Tensor | None, generator: Generator) -> Tensor:
        noise = noise_like(obs, colours, generator) if guidance.mask == "random" else None
        return draw(ppo.pixels_of(obs, convolutions), action, truth, noise)

    return mark


def make_sg_ppo(config: SGPPO, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Decisions]:
    """Make PPO with the consistency terms in its phase and a phase that predicts saliency."""
    guidance, colours = config.guidance, spaces.colours
    sgqn.check_quantile(guidance.quantile)
    choices_of(spaces)  # raises UserError for continuous actions
    nets = ppo.make_networks(spaces, config.ppo, device)
    networks = SGPPONetworks(nets, config, spaces).to(device)
    attribute = attribution_for(nets, config.salient_for, guidance.attribution)
    draw = salient(guidance, attribute, colours)
    phases = [learning_phase(nets, config, draw, colours)]
    maps = {"policy_attribution": as_map(attribute, colours)}
    if networks.predictor is not None:
        maps["predicted_mask"] = sgqn.predicted_mask(networks, colours)
        learned = (nets.trunk, networks.predictor)
        phases.append(saliency_phase(networks, learned, guidance, colours, given.images, look_if_unmarked(draw)))
    plain, convolutions = ppo.agent_of(nets, config.ppo, spaces), nets.trunk[0]
    assert plain.rollouts is not None and isinstance(convolutions, MixedPrecision)
    act = plain.act
    masked = {"masked": seen_through(draw, lambda obs: act(obs, None), colours)}
    return dataclasses.replace(
        plain,
        networks=networks,
        prepare=in_order(sgqn.draw_mask_fill(guidance.mask_fill), plain.prepare, draw_noise(guidance, colours)),
        phases=tuple(phases),
        maps=maps,
        pictures=masked if guidance.mask == "attribution" else {},
        mark=marked_by(draw, guidance, colours, convolutions),
        rollouts=dataclasses.replace(plain.rollouts, mark_epochs=config.masks_every == "epoch"),
    )
