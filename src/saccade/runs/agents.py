"""A run's agent: made from its configuration, and given saved weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from saccade.agents import METHODS
from saccade.agents.agent import Agent
from saccade.agents.parts.augmentation import Images
from saccade.data.memory import allocations_bounded
from saccade.runs.config import CONFIG
from saccade.runs.training import RunConfig
from saccade.types import Continuous, Spaces, UserError

NETWORKS = "networks"


def make_agent(config: RunConfig, spaces: Spaces, device: torch.device, images: Images | None) -> Agent:
    """The method's agent with weights that depend on the seed alone; global random states stay as they are."""
    fewer = "choose fewer --filters or --hidden units, or a smaller --projection"
    with torch.random.fork_rng(devices=[]), allocations_bounded(f"A network of {config.method}", fewer):
        torch.default_generator.manual_seed(config.training.seed)  # weights are made on the CPU, then moved
        return METHODS[config.method].make(config.agent, spaces, device, images)


def spaces_of(networks: Mapping[str, Tensor], config: RunConfig) -> Spaces:
    """The spaces that saved weights were made for: the simulator need not be started to load them."""
    log_std_and_mean = next(value for name, value in networks.items() if name.endswith("actor.head.4.bias"))
    size = config.env.image_size
    return Spaces((config.env.frame_stack * 3, size, size), Continuous(len(log_std_and_mean) // 2))


def load_weights(agent: Agent, weights: Mapping[str, Tensor], origin: Path) -> None:
    """Put saved weights into an agent's networks. Raises UserError when they are another network's."""
    state = agent.networks.state_dict()
    wrong = sorted(set(state) ^ set(weights)) or [
        name for name, value in weights.items() if value.shape != state[name].shape
    ]
    if wrong:
        raise UserError(
            f"The weights in {origin} belong to another method, size or version than the run's {CONFIG} says "
            f"({wrong[0]} and {len(wrong) - 1} more differ): give the run its own checkpoint back."
        )
    agent.networks.load_state_dict(weights)
