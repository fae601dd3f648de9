"""DrQ (Yarats et al., 2021) with one augmentation of each observation: SAC on randomly shifted pictures."""

from __future__ import annotations

import torch
from torch import Generator

from saccade.agents.agent import Agent, Prepare, in_order
from saccade.agents.configs import DrQ
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.parts.attribution import q_maps
from saccade.pixels.augmentations import draw_offsets, shift_at
from saccade.types import Batch, Spaces


def random_shift(pad: int) -> Prepare:
    """Shift obs and next_obs independently at random; with ``pad`` 0 nothing is shifted and nothing drawn."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        if pad == 0:
            return batch
        obs, next_obs = (
            shift_at(pixels, draw_offsets(len(pixels), 2 * pad + 1, generator), pad)
            for pixels in (batch.obs, batch.next_obs)
        )
        return batch._replace(obs=obs, next_obs=next_obs)

    return prepare


def make_drq(config: DrQ, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC whose minibatches are randomly shifted."""
    nets = sac.make_networks(spaces, config.sac, device)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=in_order(
            random_shift(config.shift),
            sac.as_pixels(nets.critic.convolutions),
            sac.draw_action_noise(spaces.action_dim),
        ),
        phases=(sac.critic_phase(nets, config.sac), sac.actor_phase(nets, config.sac)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
