"""RAD (Laskin et al., 2020): SAC on random crops of larger pictures."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from saccade.agents.agent import Agent, Prepare, in_order
from saccade.agents.configs import RAD
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.parts.attribution import q_maps
from saccade.pixels.augmentations import crop_at, draw_offsets
from saccade.types import Batch, Spaces


def random_crop(size: int, positions: int) -> Prepare:
    """Crop obs and next_obs independently at random."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        obs, next_obs = (draw_crops(pixels, size, positions, generator) for pixels in (batch.obs, batch.next_obs))
        return batch._replace(obs=obs, next_obs=next_obs)

    return prepare


def draw_crops(obs: Tensor, size: int, positions: int, generator: Generator) -> Tensor:
    """Return a random crop of each sample; the whole picture if it is already that small."""
    count = min(positions, obs.shape[-1] - size + 1)
    return crop_at(obs, draw_offsets(len(obs), count, generator), size)


def make_rad(config: RAD, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC whose minibatches are randomly cropped."""
    nets = sac.make_networks(spaces, config.sac, device)
    crop = random_crop(config.sac.architecture.image_size, config.crop_positions)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=in_order(crop, sac.as_pixels(nets.critic.convolutions), sac.draw_action_noise(spaces.action_dim)),
        phases=(sac.critic_phase(nets, config.sac), sac.actor_phase(nets, config.sac)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
