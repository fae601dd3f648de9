"""SimGRL (Song et al., 2024): SVEA that stacks features of frames instead of frames, and blends in moving pictures.

No further loss: the encoder's first convolutions see one frame at a time, with the same weights for all, and the
pictures that are blended in move from frame to frame, like a changing background.
"""

from __future__ import annotations

import torch

from saccade.agents.agent import Agent
from saccade.agents.configs import SimGRL
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, svea
from saccade.agents.parts.attribution import q_maps
from saccade.nets.encoders import Convolutions, FrameStemStack
from saccade.types import Spaces


def encoder(spaces: Spaces, config: SimGRL) -> Convolutions:
    """Return the feature-level frame stack, or the benchmark's encoder if it is switched off."""
    size = config.svea.sac.architecture
    if not config.frame_stem:
        return sac.benchmark_stack(spaces, size)
    channels = spaces.obs_shape[0]
    return FrameStemStack(
        channels, size.image_size, size.filters, size.conv_layers, config.stem_filters, config.stem_layers
    )


def make_simgrl(config: SimGRL, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SVEA with another encoder and moving pictures."""
    base = config.svea
    nets = sac.make_networks(spaces, base.sac, device, encoder(spaces, config))
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=svea.prepare_svea(base, spaces.action_dim, given.images),
        phases=(svea.critic_phase(nets, base), sac.actor_phase(nets, base.sac)),
        batch_size=base.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
