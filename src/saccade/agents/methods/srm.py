"""SAC whose critic and actor learn on strongly augmented observations alone: SRM, and SAC with overlays.

SRM (Huang et al., 2022) is DrQ with a ring of frequencies removed from its pictures. It and SAC with overlays are one
algorithm with two augmentations. Unlike in SVEA, no loss uses a clean copy of an observation.
"""

from __future__ import annotations

import torch
from torch import Generator

from saccade.agents.agent import Agent, Prepare, in_order
from saccade.agents.configs import AugmentedSAC
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import q_maps
from saccade.agents.parts.augmentation import Augment, make_augment
from saccade.types import Batch, Spaces


def augmented(augment: Augment, next_obs: bool) -> Prepare:
    """Replace obs, and next_obs if wanted, by augmented ones."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        batch = batch._replace(obs=augment(batch.obs, generator))
        return batch._replace(next_obs=augment(batch.next_obs, generator)) if next_obs else batch

    return prepare


def make_augmented_sac(config: AugmentedSAC, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC whose minibatches are shifted and strongly augmented."""
    nets = sac.make_networks(spaces, config.sac, device)
    augment = augmented(make_augment(config.strong, given.images), config.augment_next_obs)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=in_order(random_shift(config.shift), sac.as_float, augment, sac.draw_action_noise(spaces.action_dim)),
        phases=(sac.critic_phase(nets, config.sac), sac.actor_phase(nets, config.sac)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
