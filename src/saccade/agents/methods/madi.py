"""MaDi (Grooten et al., 2024): SVEA with a small network in front that masks what does not matter.

The masker computes a soft mask for every frame, and everything that critic, target and actor see is multiplied by it.
Only the critic's loss trains it: there is no loss on masks, and none of the actor's gradient reaches it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn

from saccade.agents.agent import Act, Agent, Phase, Seen, Shared
from saccade.agents.configs import MaDi
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, svea
from saccade.agents.parts.attribution import q_maps
from saccade.nets.encoders import COLOURS
from saccade.nets.masker import Masker
from saccade.pixels.masks import per_channel
from saccade.types import Batch, Spaces, UserError


class MaDiNetworks(nn.Module):
    """The masker, and SAC's networks, which see only masked observations.

    As a function it is the critic of unmasked ones: ``(obs, action) -> (q1, q2)``, each ``[batch]``.
    """

    def __init__(self, actor_critic: sac.ActorCritic, config: MaDi) -> None:
        super().__init__()
        self.masker = Masker(config.masker_filters, config.masker_layers)
        self.actor_critic = actor_critic

    def masked(self, obs: Tensor) -> Tensor:
        """Return every frame times its mask: ``[batch, frames * 3, height, width]`` in 0..255."""
        return obs * per_channel(self.masker(obs))

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor_critic.critic(self.masked(obs), action)


def critic_phase(nets: MaDiNetworks, config: MaDi) -> Phase:
    """SVEA's critic phase on masked observations; its gradient reaches the masker, which has its own learning rate.

    The target's observations pass through the same masker, without gradient: there is no slow copy of it.
    """
    plain = svea.critic_phase(nets.actor_critic, config.svea)
    plain.optimizer.add_param_group({"params": list(nets.masker.parameters()), "lr": config.masker_lr})

    def share(batch: Batch) -> Shared:
        with torch.no_grad():
            next_obs = nets.masked(batch.next_obs)
        drawn = {**batch.drawn, "augmented_obs": nets.masked(batch.drawn["augmented_obs"])}
        return plain.share(batch._replace(obs=nets.masked(batch.obs), next_obs=next_obs, drawn=drawn))

    return dataclasses.replace(plain, share=share)


def actor_phase(nets: MaDiNetworks, config: MaDi) -> Phase:
    """SAC's actor phase on masked observations."""
    plain = sac.actor_phase(nets.actor_critic, config.svea.sac)

    def look(batch: Batch) -> Seen:
        return {"features": nets.actor_critic.critic.convolutions(nets.masked(batch.obs))}

    return dataclasses.replace(plain, look=look)


def masked_policy(nets: MaDiNetworks) -> Act:
    """SAC's policy on masked observations."""
    policy = sac.squashed_gaussian_policy(nets.actor_critic)

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        return policy(nets.masked(obs), generator)

    return act


def masked_outputs() -> Mapping[str, Callable[..., Tensor]]:
    """Return the outputs of SAC's networks for observations that are not masked yet."""

    def behind_masks(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def output(networks: MaDiNetworks, obs: Tensor, *given: Tensor) -> Tensor:
            return compute(networks.actor_critic, networks.masked(obs), *given)

        return output

    return {name: behind_masks(compute) for name, compute in sac.squashed_gaussian_outputs().items()}


def mask(nets: MaDiNetworks) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the soft masks, which do not depend on the action."""

    @torch.no_grad()
    def find(obs: Tensor, action: Tensor) -> Tensor:
        return nets.masker(obs)

    return find


def make_madi(config: MaDi, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SVEA whose networks see masked observations. Raises UserError if frames do not have three colours."""
    channels = spaces.obs_shape[0]
    if channels % COLOURS:
        raise UserError(
            f"Observations of {channels} channels cannot be masked frame by frame: "
            "MaDi needs frames of three colours, so a multiple of 3 channels."
        )
    nets = MaDiNetworks(sac.make_networks(spaces, config.svea.sac, device), config).to(device)
    return Agent(
        networks=nets,
        act=masked_policy(nets),
        prepare=svea.prepare_svea(config.svea, spaces.action_dim, given.images),
        phases=(critic_phase(nets, config), actor_phase(nets, config)),
        batch_size=config.svea.sac.batch_size,
        maps={**q_maps(nets), "mask": mask(nets)},
        outputs=masked_outputs(),
        pictures={"masked": torch.no_grad()(nets.masked)},
    )
