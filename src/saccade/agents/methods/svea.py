"""SVEA (Hansen et al., 2021): SAC whose critic also learns on strongly augmented observations, with clean targets."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.agents.agent import Agent, Phase, Prepare, Shared, Term, in_order
from saccade.agents.configs import SVEA
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import q_maps
from saccade.agents.parts.augmentation import Images, draw_augmented, make_augment
from saccade.types import Batch, Spaces


def stabilized_bellman_error(batch: Batch, shared: Shared) -> Tensor:
    """Bellman residual on the augmented observations against the clean targets (Hansen et al., 2021, equation 6)."""
    target = shared["target"]
    return sac.twin_squared_error((shared["augmented_q1"], shared["augmented_q2"]), (target, target))


def critic_phase(nets: sac.ActorCritic, config: SVEA) -> Phase:
    """SAC's critic phase on clean and augmented observations, which pass the encoder as one batch."""
    plain = sac.critic_phase(nets, config.sac)

    def share(batch: Batch) -> Shared:
        both = torch.cat([batch.obs, batch.drawn["augmented_obs"]])
        q1, q2 = nets.critic(both, batch.action.repeat(2, 1))
        (q1, augmented_q1), (q2, augmented_q2) = q1.chunk(2), q2.chunk(2)
        target = sac.bootstrapped_return(nets, batch, discount=config.sac.discount)
        return {
            "q1": q1,
            "q2": q2,
            "augmented_q1": augmented_q1,
            "augmented_q2": augmented_q2,
            "target": target,
        }

    terms = {
        "bellman": Term(sac.bellman_error, config.clean_weight),
        "stabilized_bellman": Term(stabilized_bellman_error, config.augmented_weight),
    }
    return Phase("critic", terms, plain.optimizer, share=share, after=plain.after, after_every=plain.after_every)


def prepare_svea(config: SVEA, action_dim: int, images: Images | None) -> Prepare:
    """Shift, then the strong augmentation of the shifted observation."""
    augment = draw_augmented(make_augment(config.strong, images))
    return in_order(random_shift(config.shift), sac.as_float, sac.draw_action_noise(action_dim), augment)


def make_svea(config: SVEA, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC with the stabilised critic; the actor learns on clean observations alone."""
    nets = sac.make_networks(spaces, config.sac, device)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=prepare_svea(config, spaces.action_dim, given.images),
        phases=(critic_phase(nets, config), sac.actor_phase(nets, config.sac)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
