"""SCPL (Sun et al., 2025): SVEA that agrees with itself on salient pixels, on actions and on what comes next.

Three things are added to a critic that learns on clean and augmented observations: on both, its values on all pixels
and on the salient ones alone must agree (SGQN's consistency); the policy on augmented observations must be that on
clean ones; and both embeddings must predict the next embedding and the reward (dynamics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, Phase, Prepare, Seen, Shared, Term, in_order, with_drawn
from saccade.agents.configs import SCPL, SVEA
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, sgqn, svea
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import look_of_critic, q_maps
from saccade.agents.parts.augmentation import Augment, make_augment
from saccade.pixels.masks import fill_outside
from saccade.types import Batch, Spaces, UserError


class Transition(nn.Module):
    """``(embedding, action) -> (next embedding [batch, projection], reward [batch])``, by one hidden layer."""

    def __init__(self, embedding: int, action_dim: int, hidden: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(embedding + action_dim, hidden), nn.LayerNorm(hidden), nn.ReLU())
        self.next_embedding = nn.Linear(hidden, embedding)
        self.reward = nn.Linear(hidden, 1)

    def forward(self, embedding: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(torch.cat([embedding, action], dim=-1))
        return self.next_embedding(hidden), self.reward(hidden).squeeze(-1)


class SCPLNetworks(nn.Module):
    """SAC's networks and the transition model. The same ones regardless of which losses are on."""

    def __init__(self, actor_critic: sac.ActorCritic, config: SCPL, spaces: Spaces) -> None:
        super().__init__()
        self.actor_critic = actor_critic
        self.transition = Transition(config.sac.architecture.projection, spaces.action_dim, config.dynamics_hidden)


def masked_q_consistency(nets: sac.ActorCritic) -> Callable[[Batch, Shared], Tensor]:
    """SGQN's consistency on clean and augmented observations, a mean over both; its gradient flows into both sides."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        both = torch.cat([batch.obs, batch.drawn["augmented_obs"]])
        masked = nets.critic(fill_outside(both, shared["mask"], batch.drawn["mask_fill"]), batch.action.repeat(2, 1))
        q1, q2 = (torch.cat([shared[name], shared[f"augmented_{name}"]]) for name in ("q1", "q2"))
        return sac.twin_squared_error((q1, q2), masked)

    return loss


def diagonal_divergence(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(other mean, other variance)) of diagonal Gaussians ``[batch, dims]`` -> ``[batch]``."""
    squares = (other_mean - mean).square() / other_variance
    return 0.5 * (variance / other_variance + squares - 1 + (other_variance / variance).log()).sum(-1)


def policy_divergence(nets: sac.ActorCritic) -> Callable[[Batch, Shared], Tensor]:
    """Divergence of the policy on augmented observations from the one on clean ones."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        mean, log_std = nets.actor(batch.seen["augmented_features"])
        # Deviation: not the divergence of both policies. As in the authors' code, means are squashed and standard
        # deviations stand where variances belong; of the clean policy, they are detached and the means are not.
        clean = torch.tanh(shared["mean"]), shared["log_std"].exp().detach()
        return diagonal_divergence(*clean, torch.tanh(mean), log_std.exp()).mean()

    return loss


def next_embedding_error(batch: Batch, shared: Shared) -> Tensor:
    """Half the squared error of the next observation's embedding, which is detached: a unit-variance likelihood."""
    return 0.5 * F.mse_loss(shared["predicted_embedding"], batch.seen["next_embedding"])


def reward_error(batch: Batch, shared: Shared) -> Tensor:
    """Squared error of the reward, predicted from clean and from augmented observations."""
    return F.mse_loss(shared["predicted_reward"], batch.reward.repeat(2))


def draw_both_augmented(augment: Augment) -> Prepare:
    """Add ``augmented_obs`` and ``augmented_next_obs``, drawn together, as if their frames were one observation's."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        obs, next_obs = augment(torch.cat([batch.obs, batch.next_obs], dim=1), generator).chunk(2, dim=1)
        return with_drawn(batch, augmented_obs=obs, augmented_next_obs=next_obs)

    return prepare


def draw_mask_fill(fill: str) -> Prepare:
    """Add ``mask_fill``, SGQN's, between the darkest and the brightest value of clean and augmented observations."""
    draw = sgqn.draw_mask_fill(fill)

    def prepare(batch: Batch, generator: Generator) -> Batch:
        both = batch._replace(obs=torch.cat([batch.obs, batch.drawn["augmented_obs"]]))
        return with_drawn(batch, mask_fill=draw(both, generator).drawn["mask_fill"])

    return prepare


def critic_phase(nets: sac.ActorCritic, config: SCPL) -> Phase:
    """Return SVEA's critic phase with the consistency term, whose masks come from the pass that computes the values."""
    errors = SVEA(config.sac, clean_weight=config.clean_weight, augmented_weight=config.augmented_weight)
    plain = svea.critic_phase(nets, errors)
    if not config.consistency_weight:
        return plain
    look = look_of_critic(nets.critic, config.attribution)

    def share(batch: Batch) -> Shared:
        action = batch.action.repeat(2, 1)
        features, attribution = look(torch.cat([batch.obs, batch.drawn["augmented_obs"]]), action)
        (q1, augmented_q1), (q2, augmented_q2) = (q.chunk(2) for q in nets.critic.values(features, action))
        return {
            "q1": q1,
            "q2": q2,
            "augmented_q1": augmented_q1,
            "augmented_q2": augmented_q2,
            "target": sac.bootstrapped_return(nets, batch, discount=config.sac.discount),
            "mask": sgqn.salient_pixels(attribution, config.quantile),
        }

    terms = {**plain.terms, "consistency": Term(masked_q_consistency(nets), config.consistency_weight)}
    return dataclasses.replace(plain, terms=terms, share=share)


def actor_phase(nets: sac.ActorCritic, config: SCPL) -> Phase:
    """SAC's actor phase with the policy's consistency; looks at ``augmented_features`` too."""
    if not config.policy_consistency_weight:
        return sac.actor_phase(nets, config.sac)
    divergence = Term(policy_divergence(nets), config.policy_consistency_weight)
    plain = sac.actor_phase(nets, config.sac, policy_consistency=divergence)
    return dataclasses.replace(plain, look=sac.look_at_both(nets))


def dynamics_phase(nets: SCPLNetworks, config: SCPL) -> Phase:
    """Next embedding and reward: a second Adam over the critic's encoder, and over the transition model.

    Looks at ``next_embedding``.
    """
    critic, transition, on = nets.actor_critic.critic, nets.transition, config.dynamics_weights
    losses = {"next_embedding": next_embedding_error, "reward": reward_error}

    def look(batch: Batch) -> Seen:
        return {"next_embedding": critic.embed(torch.cat([batch.next_obs, batch.drawn["augmented_next_obs"]]))}

    def share(batch: Batch) -> Shared:
        embedding = critic.embed(torch.cat([batch.obs, batch.drawn["augmented_obs"]]))
        predicted, reward = transition(embedding, batch.action.repeat(2, 1))
        return {"predicted_embedding": predicted, "predicted_reward": reward}

    heads = [transition.get_submodule(name) for name in on]
    # One Adam in place of the code's two of the same rate: the same numbers.
    optimizer = sac.adam(critic.convolutions, critic.projection, transition.trunk, *heads, lr=config.dynamics_lr)
    terms = {name: Term(losses[name], weight) for name, weight in on.items()}
    return Phase("dynamics", terms, optimizer, look=look, share=share, every=config.dynamics_every)


def make_scpl(config: SCPL, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SVEA with a consistency in the critic's phase and one in the actor's, and the phase of the dynamics."""
    if not 0 < config.quantile < 1:
        raise UserError(f"--quantile {config.quantile} hides all or nothing: it must lie between 0 and 1, such as 0.9.")
    actor_critic = sac.make_networks(spaces, config.sac, device)
    nets = SCPLNetworks(actor_critic, config, spaces).to(device)
    phases = [critic_phase(actor_critic, config), actor_phase(actor_critic, config)]
    if config.dynamics_weights:
        phases.append(dynamics_phase(nets, config))
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        # The same draws regardless of which losses are on.
        prepare=in_order(
            random_shift(config.shift),
            sac.as_float,
            sac.draw_action_noise(spaces.action_dim),
            draw_both_augmented(make_augment(config.strong, given.images)),
            draw_mask_fill(config.mask_fill),
        ),
        phases=tuple(phases),
        batch_size=config.sac.batch_size,
        maps=q_maps(actor_critic.critic),
        pictures={"masked": sgqn.masked_picture(actor_critic, config)},
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
    )
