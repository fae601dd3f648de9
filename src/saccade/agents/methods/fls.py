"""FLS (Nikulin et al., 2019): PPO whose network shows where it looks, without an explanation after the fact.

A network within the network computes a positive number for every position of its feature maps, which are multiplied
by it before the agent decides and judges. Only PPO's loss trains it; showing it costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.agents.configs_on_policy import FLS
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import ppo
from saccade.nets.attention import AttentiveConvolutions, digits_for_sums
from saccade.nets.attention_architectures import ARCHITECTURES, attentive_convolutions
from saccade.nets.nature import nature_blocks, small_blocks
from saccade.types import Decisions, Spaces

BLOCKS = {"nature": nature_blocks, "small": small_blocks}
BLOCKS_OF = "trunk.0.blocks"  # the attentive convolutions in PPO's networks

Map = Callable[[Tensor, Tensor], Tensor]


def convolutions_for(spaces: Spaces, config: FLS) -> AttentiveConvolutions:
    """Convolutions that a configuration names, including attention. Raises UserError for too small pictures."""
    trunk = config.ppo.trunk
    return attentive_convolutions(
        ARCHITECTURES[config.attention],
        *ppo.picture_of(spaces),
        trunk.filters,
        config.attention_filters,
        BLOCKS[trunk.network],
    )


def attention_maps(convolutions: AttentiveConvolutions, frames: int) -> Mapping[str, Map]:
    """Return the policy's attention on the pixels, the same on every frame: there is one for a whole stack.

    ``attention`` is displayed as published, without the division by an episode's maximum: pixels in the middle count
    more, since more positions see them. ``coverage`` is how much more, the display of an attention of ones, for
    comparison; ``attention_over_coverage`` corrects for it. Empty if a network has no attention.
    """

    def on_frames(displayed: Tensor) -> Tensor:
        return displayed.expand(-1, frames, -1, -1)

    def found(obs: Tensor) -> Tensor:
        together = convolutions.together(convolutions.attend(obs)[1])
        return together.to(digits_for_sums(together))

    @torch.no_grad()
    def attention(obs: Tensor, action: Tensor) -> Tensor:
        return on_frames(convolutions.displayed(found(obs)))

    @torch.no_grad()
    def coverage(obs: Tensor, action: Tensor) -> Tensor:
        return on_frames(convolutions.displayed(torch.ones_like(found(obs))))

    @torch.no_grad()
    def attention_over_coverage(obs: Tensor, action: Tensor) -> Tensor:
        places = found(obs)
        seen_by = convolutions.displayed(torch.ones_like(places))
        # What no position sees stays 0; the rest is seen by at least one.
        return on_frames(convolutions.displayed(places) / seen_by.clamp(min=1.0))

    maps = {"attention": attention, "attention_over_coverage": attention_over_coverage, "coverage": coverage}
    return maps if convolutions.attentions else {}


def make_fls(config: FLS, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Decisions]:
    """Make PPO with attention, for either kind of action. Raises UserError if the pictures are too small."""
    networks = ppo.make_networks(spaces, config.ppo, device, lambda: convolutions_for(spaces, config))
    convolutions = networks.trunk[0]
    assert isinstance(convolutions, AttentiveConvolutions)
    agent = ppo.agent_of(networks, config.ppo, spaces, config.accumulate)
    return dataclasses.replace(
        agent,
        maps=attention_maps(convolutions, spaces.obs_shape[0] // spaces.colours),
        layer=f"{BLOCKS_OF}.{len(convolutions.blocks) - 1}",  # its maps, not those of the attention that reads them
    )
