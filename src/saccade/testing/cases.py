"""A method with everything that is needed to try it: its configuration, its spaces, agents, batches."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from saccade.agents import Method
from saccade.agents.agent import Agent, Phase, phases_due
from saccade.agents.given import Given
from saccade.testing.batches import decisions, noise_pictures, noise_saliency, noise_teacher, observations, transitions
from saccade.types import Continuous, Spaces, UserError

CPU = torch.device("cpu")
FRAMES, COLOURS, ACTION_DIM = 3, 3, 2  # of the default spaces
SAMPLES = 4  # of the observations that agents act on, and of a rollout's minibatch
OFF_THE_START = 0.5
"""Standard deviation of what is added to weights, as a fraction of what preserves the scale of a layer's output."""

MakeAgent = Callable[..., Agent]


@final
@dataclass(frozen=True)
class MethodCase:
    """What a method is checked with.

    Attributes:
        method: its row of the table.
        config: its hyper-parameters.
        spaces: those of the environment that it is made for.
    """

    method: Method
    config: Any
    spaces: Spaces

    @property
    def on_policy(self) -> bool:
        return self.method.loop == "on_policy"

    @property
    def given(self) -> Given:
        """Everything that any method may need from outside, made of noise."""
        return Given(noise_pictures, noise_teacher(self.spaces), noise_saliency(self.spaces))

    def agent(self, seed: int = 0) -> Agent:
        """Return an agent on the CPU; global random states stay as they are.

        Its weights are moved off their initial values, where gradients of special initialisations are exactly zero.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            agent = self.method.make(self.config, self.spaces, CPU, self.given)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in agent.networks.parameters():
                if weight.requires_grad and weight.ndim > 1:
                    deviation = OFF_THE_START / math.sqrt(weight[0].numel())
                    weight.add_(torch.randn(weight.shape, generator=generator) * deviation)
        return agent

    def observations(self, seed: int = 0) -> Tensor:
        """Return noise, uint8 ``[SAMPLES, *obs_shape]``."""
        return observations(self.spaces, SAMPLES, torch.Generator().manual_seed(seed))

    def batch(self, size: int, seed: int = 0) -> Any:
        """Return a ``Batch`` or ``Decisions``, as the loop does; a rollout's minibatches have the loop's size."""
        return decisions(self.spaces, SAMPLES, seed) if self.on_policy else transitions(self.spaces, size, seed)

    def prepared(self, agent: Agent, seed: int = 0) -> list[tuple[Phase, Any]]:
        """Return each phase with the batch that it learns from, in an update in which all of them run."""
        generator = torch.Generator().manual_seed(seed)

        sample = functools.partial(self.batch, seed=seed)
        batch = agent.prepare(sample(agent.batch_size), generator)
        return list(phases_due(agent, batch, sample, generator, index=0))


def case_of(method: Method | MakeAgent, spaces: Spaces | None, config: Any) -> MethodCase:
    """Return the case of a row of the table, or of a function that makes an agent.

    Raises UserError if a function comes without its configuration or its spaces.
    """
    if not isinstance(method, Method):
        missing = [name for name, value in (("config", config), ("spaces", spaces)) if value is None]
        if missing:
            raise UserError(
                f"A function that makes an agent says nothing about its {missing[0]}: give {missing[0]}=..., or a row "
                "saccade.agents.Method."
            )
        method = Method(getattr(method, "__name__", "a method"), "", config, method)
    config = method.config if config is None else config
    if spaces is None:
        size = method.rendered_size(config)
        spaces = Spaces((FRAMES * COLOURS, size, size), Continuous(ACTION_DIM))
    return MethodCase(method, config, spaces)
