"""Every method at a tiny size, and a batch for it: what the contract tests of losses and agents run over."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from saccade.agents import METHODS, Architecture
from saccade.agents.agent import Agent, Phase, look
from saccade.agents.methods.madi import MaDiNetworks
from saccade.types import Batch, Continuous, Spaces

SIZE, RENDERED, ACTIONS, BATCH = 12, 16, 2, 4
TINY = Architecture(image_size=SIZE, filters=4, conv_layers=2, projection=8, hidden=16)


def tiny(config: Any) -> Any:
    changes: dict[str, Any] = {}
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
        }
        if field.name in replaced:
            changes[field.name] = replaced[field.name]
        elif dataclasses.is_dataclass(value):
            changes[field.name] = tiny(value)
    return dataclasses.replace(config, **changes)


def images(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand((count, 3, size, size), generator=generator) * 255


def build(method: str, seed: int = 0) -> Agent:
    config = tiny(METHODS[method].config)
    rendered = METHODS[method].rendered_size(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        agent = METHODS[method].make(
            config, Spaces((9, rendered, rendered), Continuous(ACTIONS)), torch.device("cpu"), images
        )
        with torch.no_grad():  # away from the delta-orthogonal start, at which most gradients are exactly zero
            for name, parameter in agent.networks.named_parameters():
                if "convolutions" in name and "target" not in name:
                    parameter.add_(torch.randn_like(parameter) * 0.05)
    return agent


def sample(method: str, seed: int = 0, size: int = BATCH) -> Batch:
    """A batch as the replay gives it."""
    generator = torch.Generator().manual_seed(seed)
    rendered = METHODS[method].rendered_size(tiny(METHODS[method].config))
    obs, next_obs = (
        torch.randint(0, 256, (size, 9, rendered, rendered), generator=generator, dtype=torch.uint8) for _ in range(2)
    )
    action = torch.rand((size, ACTIONS), generator=generator) * 2 - 1
    return Batch(obs, action, torch.rand(size, generator=generator), torch.ones(size), next_obs)


def moved(batch: Batch, device: str | torch.device) -> Batch:
    """The same batch on another device."""
    drawn, seen = ({name: value.to(device) for name, value in group.items()} for group in (batch.drawn, batch.seen))
    return Batch(*(value.to(device) for value in batch[:5]), drawn, seen)


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


PHASES = [(method, phase.name) for method in METHODS for phase in build(method).phases]
