"""When a run is evaluated: what was begun, what is left of it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

import torch

from saccade.agents.agent import Agent
from saccade.envs.workers.env_workers import Arrangement
from saccade.runs.training import RunConfig
from saccade.train.evaluating import BackgroundEvaluation
from saccade.train.events import Counters, Event, due
from saccade.train.health import Health
from saccade.types import Spaces, UserError

WAITING_SECONDS = 0.1  # for an evaluation, between two moments to leave at


@final
class Evaluations:
    """The evaluations of a run, beside its training; how far they are stands in its counters.

    Args:
        arrangement: how the training's environments are spread at the moment, from which it is known what renders here.
    """

    def __init__(
        self,
        config: RunConfig,
        agent: Agent,
        spaces: Spaces,
        device: torch.device,
        counters: Counters,
        health: Health,
        arrangement: Callable[[], Arrangement],
    ) -> None:
        if config.training.evaluation_maps and not agent.maps:
            raise UserError(
                f"--evaluation-maps scores the maps that an agent carries, and {config.method} carries none: "
                "leave it out."
            )
        self.background = BackgroundEvaluation(config, spaces, device)
        self._config, self._agent, self._counters, self._health = config.training, agent, counters, health
        self._arrangement = arrangement

    def due(self, finished: bool) -> bool:
        """Whether the weights of now are to be evaluated."""
        return due(self._counters.evaluated_at, self._counters.env_steps, self._config.evaluate_every, finished)

    def begin(self) -> Iterator[Event]:
        """Have the weights of now evaluated, once the evaluation before is over."""
        counters, modes = self._counters, self._config.evaluation_modes
        self._health.require_finite()
        yield from self.finish()
        counters.evaluated_at, counters.modes_left = counters.env_steps, len(modes)
        if modes:
            self.background.take(self._agent.networks)
        yield from self.go_on()

    def go_on(self) -> Iterator[Event]:
        """Play the modes that are left: of an evaluation that begins, or again where the run was stopped during it."""
        left = self._counters.modes_left
        if left:
            self.background.begin(self._config.evaluation_modes[-left:], self._arrangement())
        if self._config.workers == 0:  # its environments would share this process with the training's, to nobody's gain
            yield from self.finish()

    def finish(self) -> Iterator[Event]:
        """Wait for what is left, with moments to leave at."""
        while self._counters.modes_left:
            yield Event("evaluating", {"mode": self._config.evaluation_modes[-self._counters.modes_left]})
            self.background.wait(WAITING_SECONDS)

    def results(self) -> Iterator[Event]:
        """What has come of the evaluation under way."""
        for result in self.background.results():
            self._counters.modes_left -= 1
            yield Event("evaluation", {"env_steps": self._counters.evaluated_at}, result)

    def close(self) -> None:
        """End the evaluation under way; what is not among its results yet is lost."""
        self.background.close()
