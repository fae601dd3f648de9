"""Every method at a tiny size, and a batch for it: what the contract tests of losses and agents run over."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from saccade.agents import METHODS, Architecture, Method
from saccade.agents.agent import Agent, Phase, look
from saccade.agents.configs_discrete import DQN, Guidance, PlainTrunk
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.agents.given import Given, SaliencyData
from saccade.agents.methods.madi import MaDiNetworks
from saccade.agents.parts.augmentation import Images
from saccade.testing.batches import noise_pictures
from saccade.testing.cases import MethodCase
from saccade.types import Batch, Continuous, Decisions, Discrete, Spaces

SIZE, RENDERED, ACTIONS, CHOICES, BATCH = 12, 16, 2, 3, 4
images = noise_pictures
TINY = Architecture(image_size=SIZE, filters=4, conv_layers=2, projection=8, hidden=16)


def tiny(config: Any) -> Any:
    changes: dict[str, Any] = {}
    if isinstance(config, DQN):
        changes["target_every"] = 2
    if isinstance(config, Guidance):
        changes["saliency_every"] = 2
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        replaced = {
            "architecture": TINY,
            "batch_size": BATCH,
            "soda_batch_size": BATCH,
            "rendered_size": RENDERED,
            "decoder_filters": (4, 4),
            "masker_filters": 4,
            "stem_filters": 4,
            "stem_layers": 1,
            "overlay_velocity": 1,
            "quantile": 0.9,
            "dynamics_hidden": 16,
            "far_shift": 2,
        }
        if field.name in replaced:
            changes[field.name] = replaced[field.name]
        elif isinstance(value, PlainTrunk):
            changes[field.name] = PlainTrunk("small", SIZE, (4, 4, 4), 16)
        elif isinstance(value, PPO):
            changes[field.name] = dataclasses.replace(value, trunk=Trunk("small", SIZE, (4, 4, 4), 16))
        elif dataclasses.is_dataclass(value):
            changes[field.name] = tiny(value)
    return dataclasses.replace(config, **changes)


def spaces_of(row: Method, rendered: int) -> Spaces:
    """Observations of this size, and an action of numbers where the method can learn one."""
    numbers = Continuous in row.actions
    return Spaces((9, rendered, rendered), Continuous(ACTIONS) if numbers else Discrete(CHOICES))


def case(method: str) -> MethodCase:
    """A method at a tiny size, in the spaces that it is checked in."""
    config = tiny(METHODS[method].config)
    rendered = METHODS[method].rendered_size(config)
    return MethodCase(METHODS[method], config, spaces_of(METHODS[method], rendered))


def on_device(method: str, device: torch.device, images: Images = noise_pictures) -> Agent:
    """The agent of ``build`` on a device, with all that it is given there."""
    one = case(method)
    data, teacher = one.given.saliency, one.given.teacher
    assert data is not None
    given = Given(images, teacher, SaliencyData(data.states.to(device), data.maps.to(device)))
    agent = one.method.make(one.config, one.spaces, device, given)
    agent.networks.load_state_dict(build(method).networks.state_dict())
    return agent


def build(method: str, seed: int = 0) -> Agent:
    return case(method).agent(seed)


def sample(method: str, seed: int = 0, size: int = BATCH) -> Batch:
    """A batch as the loop gives it, which cuts a rollout whatever it is asked for."""
    return case(method).batch(size or BATCH, seed)


def moved(batch: Batch | Decisions, device: str | torch.device) -> Batch | Decisions:
    """The same batch on another device."""
    drawn, seen = ({name: value.to(device) for name, value in group.items()} for group in (batch.drawn, batch.seen))
    return type(batch)(*(value.to(device) for value in batch[:-2]), drawn, seen)


def prepared(agent: Agent, phase: Phase, method: str, seed: int = 0, drawn_by: Agent | None = None) -> Batch:
    """A batch as a phase's losses get it. drawn_by: a twin on the CPU that draws it, for an agent on a GPU."""
    twin = drawn_by or agent
    drawing = twin.phases[agent.phases.index(phase)]
    prepare = twin.prepare if drawing.own_batch is None else drawing.own_batch.prepare
    generator = torch.Generator().manual_seed(seed)
    batch = drawing.draw(prepare(sample(method, seed), generator), generator)
    batch = moved(batch, next(agent.networks.parameters()).device)
    before = agent.phases[: agent.phases.index(phase)] if phase.own_batch is None else ()
    for earlier in (*before, phase):
        batch = look(earlier, batch) if earlier.own_batch is phase.own_batch else batch
    return batch


def twin_q(networks: nn.Module, obs: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both Q values of observations as an environment gives them."""
    if isinstance(networks, MaDiNetworks):
        return networks(obs, action)
    return getattr(networks, "actor_critic", networks).critic(obs, action)
