"""Make a run's agent from its configuration, and load saved weights into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.agents.given import Given
from saccade.agents.methods_of import blamed_on_owner, label_of, method_of
from saccade.data.checkpoints import Checkpoint, DamagedCheckpoint
from saccade.data.documents import Count
from saccade.data.memory import allocations_bounded
from saccade.runs.config import CONFIG
from saccade.runs.training import RunConfig
from saccade.types import Continuous, Discrete, Spaces, UserError

NETWORKS, SPACES = "networks", "spaces"


def make_agent(config: RunConfig, spaces: Spaces, device: torch.device, given: Given) -> Agent:
    """Make the method's agent with weights that depend on the seed alone; global random states stay as they are."""
    fewer = "choose fewer --filters or --hidden units, or a smaller --projection"
    label = label_of(config.method)
    with (
        blamed_on_owner(config.method, f"Making the agent of {label}"),
        torch.random.fork_rng(devices=[]),
        allocations_bounded(f"A network of {label}", fewer),
    ):
        torch.default_generator.manual_seed(config.training.seed)  # weights are made on the CPU, then moved
        return method_of(config.method).make(config.agent, spaces, device, given)


class SavedSpaces(TypedDict):
    """A run's spaces as its checkpoints store them."""

    obs_shape: tuple[Count, Count, Count]
    colours: Count
    continuous: Count | None
    """How many numbers an action has, if actions are continuous."""
    discrete: Count | None
    """How many actions there are, if they are discrete."""


def saved_spaces(spaces: Spaces) -> SavedSpaces:
    """Return the spaces as a document of a checkpoint."""
    actions = spaces.actions
    return {
        "obs_shape": spaces.obs_shape,
        "colours": spaces.colours,
        "continuous": actions.dims if isinstance(actions, Continuous) else None,
        "discrete": actions.count if isinstance(actions, Discrete) else None,
    }


def spaces_of(checkpoint: Checkpoint, config: RunConfig) -> Spaces:
    """Return the spaces that saved weights were made for; no simulator is needed to load them.

    Raises DamagedCheckpoint if they name no kind of action, or two.
    """
    if not checkpoint.has_document(SPACES):  # of a version that only had continuous actions
        return _spaces_of_weights(checkpoint.tensors(NETWORKS), config)
    return as_spaces(checkpoint.document(SPACES, SavedSpaces), checkpoint.folder / f"{SPACES}.json")


def as_spaces(saved: SavedSpaces, path: Path) -> Spaces:
    """Spaces of a document. Raises DamagedCheckpoint, which names its file, for no kind of action, or two."""
    continuous, discrete = saved["continuous"], saved["discrete"]
    if (continuous is None) == (discrete is None):
        raise DamagedCheckpoint(f"{path} is damaged: it must name one kind of action.")
    actions = Continuous(continuous) if continuous is not None else Discrete(discrete or 0)
    return Spaces(saved["obs_shape"], actions, saved["colours"])


def _spaces_of_weights(networks: Mapping[str, Tensor], config: RunConfig) -> Spaces:
    log_std_and_mean = next(value for name, value in networks.items() if name.endswith("actor.head.4.bias"))
    size = config.env.image_size
    return Spaces((config.env.frame_stack * 3, size, size), Continuous(len(log_std_and_mean) // 2))


def load_weights(agent: Agent, weights: Mapping[str, Tensor], origin: Path) -> None:
    """Load saved weights into an agent's networks. Raises UserError if they are another network's."""
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
