"""CURL (Laskin, Srinivas and Abbeel, 2020): RAD whose encoder must recognise an observation from another crop of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, Phase, Prepare, Shared, Term, in_order, with_drawn
from saccade.agents.configs import CURL
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac
from saccade.agents.methods.rad import draw_crops, random_crop
from saccade.agents.parts.attribution import q_maps
from saccade.types import Batch, Spaces


class Similarity(nn.Module):
    """How similar every embedding is to every other: the bilinear product ``a_i W b_j``, ``[batch, batch]``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width, width))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first @ self.weight @ second.T


class CURLNetworks(nn.Module):
    """SAC's networks and the learned similarity of embeddings. The slow encoder is the target critic's."""

    def __init__(self, actor_critic: sac.ActorCritic, width: int) -> None:
        super().__init__()
        self.actor_critic = actor_critic
        self.similarity = Similarity(width)


def instance_discrimination(nets: CURLNetworks) -> Callable[[Batch, Shared], Tensor]:
    """Cross-entropy of finding, in the batch, the other crop of the same observation (InfoNCE).

    The query is the encoder's embedding; the keys are the slow encoder's of the other crops, without gradient.
    """

    def loss(batch: Batch, shared: Shared) -> Tensor:
        query = nets.actor_critic.critic.embed(batch.obs)
        with torch.no_grad():
            keys = nets.actor_critic.target_critic.embed(batch.drawn["other_crop"])
        return F.cross_entropy(nets.similarity(query, keys), torch.arange(len(query), device=query.device))

    return loss


def draw_other_crop(size: int, positions: int) -> Prepare:
    """Add the drawn tensor ``other_crop``: a random crop of obs, which must not be cropped yet."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        return with_drawn(batch, other_crop=draw_crops(batch.obs, size, positions, generator).float())

    return prepare


def contrast_phase(nets: CURLNetworks, config: CURL) -> Phase:
    """The contrastive task: a second Adam over the critic's encoder, and one over the similarity."""
    critic = nets.actor_critic.critic
    return Phase(
        "contrast",
        {"instance_discrimination": Term(instance_discrimination(nets))},
        sac.adam(critic.convolutions, critic.projection, nets.similarity, lr=config.contrast_lr),
        every=config.contrast_every,
    )


def make_curl(config: CURL, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """SAC on random crops, and the contrastive task on the same minibatch."""
    actor_critic = sac.make_networks(spaces, config.sac, device)
    size = config.sac.architecture
    nets = CURLNetworks(actor_critic, size.projection).to(device)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        prepare=in_order(
            draw_other_crop(size.image_size, config.crop_positions),
            random_crop(size.image_size, config.crop_positions),
            sac.as_float,
            sac.draw_action_noise(spaces.action_dim),
        ),
        phases=(
            sac.critic_phase(actor_critic, config.sac),
            sac.actor_phase(actor_critic, config.sac),
            contrast_phase(nets, config),
        ),
        batch_size=config.sac.batch_size,
        maps=q_maps(actor_critic.critic),
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
    )
