"""SGQN (Bertoin et al., 2022): SAC whose critic must agree with itself on its own salient pixels.

Two losses are added to a randomly shifted SAC. The critic's values on an observation and on its most
salient pixels alone must agree (consistency), and the encoder must predict, from an observation with a
picture blended in, which pixels of the clean one are salient (self-supervision).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, Phase, Prepare, Seen, Shared, Term, in_order, sees_nothing, with_drawn
from saccade.agents.configs import SCPL, SGQN
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import attribution_of_q1, look_of_critic, q_maps
from saccade.agents.parts.augmentation import Images, draw_augmented, make_augment
from saccade.nets.decoders import ImageDecoder
from saccade.pixels.masks import fill_outside, largest_per_frame, per_channel, quantile_mask
from saccade.types import Batch, Spaces, UserError


class SGQNNetworks(nn.Module):
    """SAC's networks and the decoder that predicts masks from the critic's embedding and the action."""

    def __init__(self, actor_critic: sac.ActorCritic, config: SGQN, spaces: Spaces) -> None:
        super().__init__()
        self.actor_critic = actor_critic
        size = config.sac.architecture
        channels = spaces.obs_shape[0]
        width = size.projection + spaces.action_dim
        self.decoder = ImageDecoder(width, size.image_size, channels, config.decoder_filters)

    def predict(self, obs: Tensor, action: Tensor) -> Tensor:
        """Mask logits ``[batch, frames * 3, height, width]``."""
        return self.decoder(torch.cat([self.actor_critic.critic.embed(obs), action], dim=-1))


class PredictsMasks(Protocol):
    """Networks that predict mask logits ``[batch, frames * colours, height, width]``."""

    def predict(self, obs: Tensor, action: Tensor) -> Tensor: ...


def salient_pixels(attribution: Tensor, quantile: float, colours: int = 3) -> Tensor:
    """Each frame's most important pixels, bool ``[batch, frames, height, width]``, from their signed importance."""
    return quantile_mask(largest_per_frame(attribution, colours), quantile)


def masked_q_consistency(nets: sac.ActorCritic) -> Callable[[Batch, Shared], Tensor]:
    """Squared difference between Q on the observation and Q on its salient pixels (section 3, L_C).

    The gradient flows into both sides, as in the published code.
    """

    def loss(batch: Batch, shared: Shared) -> Tensor:
        masked = nets.critic(fill_outside(batch.obs, shared["mask"], batch.drawn["mask_fill"]), batch.action)
        return sac.twin_squared_error((shared["q1"], shared["q2"]), masked)

    return loss


def saliency_prediction(nets: PredictsMasks, colours: int = 3) -> Callable[[Any, Shared], Tensor]:
    """Cross-entropy of the mask predicted from the augmented observation against the clean one's (section 3, L_SL)."""

    def loss(batch: Any, shared: Shared) -> Tensor:
        predicted = nets.predict(batch.drawn["augmented_obs"], batch.action)
        mask = per_channel(batch.seen["mask"].to(predicted.dtype), colours)
        return F.binary_cross_entropy_with_logits(predicted, mask)

    return loss


def draw_mask_fill(fill: str) -> Prepare[Any]:
    """Add ``mask_fill``: one level for the whole batch, uniform between its darkest and brightest value, or 0."""

    def prepare(batch: Any, generator: Generator) -> Any:
        position = torch.rand((), generator=generator, device=generator.device)
        level = torch.lerp(batch.obs.amin().to(position), batch.obs.amax().to(position), position)
        return with_drawn(batch, mask_fill=level if fill == "random_grey" else torch.zeros_like(level))

    return prepare


def predicted_mask(nets: PredictsMasks, colours: int = 3) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mask that the agent predicts, as probabilities: the largest over each frame's channels."""

    @torch.no_grad()
    def mask(obs: Tensor, action: Tensor) -> Tensor:
        return largest_per_frame(torch.sigmoid(nets.predict(obs, action)), colours)

    return mask


def masked_picture(nets: sac.ActorCritic, config: SGQN | SCPL) -> Callable[[Tensor], Tensor]:
    """Return the observation's salient pixels for Q1 of the greedy action, with black in place of the others."""
    attribute, quantile = attribution_of_q1(nets.critic, config.attribution), config.quantile
    act = sac.squashed_gaussian_policy(nets)

    @torch.no_grad()
    def masked(obs: Tensor) -> Tensor:
        seen = obs.float()
        return fill_outside(seen, salient_pixels(attribute(seen, act(seen, None)), quantile), 0.0)

    return masked


def check_quantile(quantile: float) -> None:
    """Raise UserError for a quantile that hides all or nothing."""
    if not 0 < quantile < 1:
        raise UserError(f"--quantile {quantile} hides all or nothing: it must lie between 0 and 1, such as 0.95.")


def make_sgqn(config: SGQN, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC with the consistency term in the critic's phase and a phase that predicts saliency."""
    check_quantile(config.quantile)
    actor_critic = sac.make_networks(spaces, config.sac, device)
    nets = SGQNNetworks(actor_critic, config, spaces).to(device)
    phases = [critic_phase(actor_critic, config), sac.actor_phase(actor_critic, config.sac)]
    pixels = sac.as_pixels(actor_critic.critic.convolutions)
    prepare = [random_shift(config.shift), pixels, sac.draw_action_noise(spaces.action_dim)]
    prepare.append(draw_mask_fill(config.mask_fill))
    maps = dict(q_maps(actor_critic.critic))
    if config.self_supervision:
        maps["predicted_mask"] = predicted_mask(nets)
        phases[1:] = phases_after_critic(nets, config, given.images)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        prepare=in_order(*prepare),
        phases=tuple(phases),
        batch_size=config.sac.batch_size,
        maps=maps,
        pictures={"masked": masked_picture(actor_critic, config)},
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
    )


def critic_phase(nets: sac.ActorCritic, config: SGQN) -> Phase:
    """Return SAC's critic phase with the consistency term, whose mask comes from the pass that computes the values.

    Shares ``q1 q2 target mask``.
    """
    if not config.consistency_weight:
        return sac.critic_phase(nets, config.sac)
    plain = sac.critic_phase(nets, config.sac, consistency=Term(masked_q_consistency(nets), config.consistency_weight))
    look = look_of_critic(nets.critic, config.attribution)

    def share(batch: Batch) -> Shared:
        features, attribution = look(batch.obs, batch.action)
        q1, q2 = nets.critic.values(features, batch.action)
        target = sac.bootstrapped_return(nets, batch, discount=config.sac.discount)
        return {"q1": q1, "q2": q2, "target": target, "mask": salient_pixels(attribution, config.quantile)}

    return dataclasses.replace(plain, share=share)


def phases_after_critic(nets: SGQNNetworks, config: SGQN, images: Images | None) -> tuple[Phase, Phase]:
    """Return the actor's phase and the prediction of saliency, which share one look at the observations.

    Neither changes what the other reads from the critic before both have run; if they run in different updates, each
    looks for itself.
    """
    actor, saliency = sac.actor_phase(nets.actor_critic, config.sac), saliency_phase(nets, config, images)
    if actor.every == saliency.every:
        return dataclasses.replace(actor, look=saliency.look), dataclasses.replace(saliency, look=sees_nothing)
    return actor, saliency


def saliency_phase(nets: SGQNNetworks, config: SGQN, images: Images | None) -> Phase:
    """Return the self-supervision phase: a second Adam over the critic's encoder, and the decoder.

    Draws ``augmented_obs``, looks at ``features mask``.
    """
    critic = nets.actor_critic.critic
    look_at = look_of_critic(critic, config.attribution)

    def look(batch: Batch) -> Seen:
        features, attribution = look_at(batch.obs, batch.action)
        return {"features": features, "mask": salient_pixels(attribution, config.quantile)}

    return Phase(
        "saliency",
        {"prediction": Term(saliency_prediction(nets))},
        sac.adam(critic.convolutions, critic.projection, nets.decoder, lr=config.saliency_lr),
        draw=draw_augmented(make_augment(config.strong, images)),
        look=look,
        every=config.saliency_every,
    )
