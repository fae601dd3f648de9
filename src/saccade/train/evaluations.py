"""When a run is evaluated, which modes are left to play, and the results."""

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

WAITING_SECONDS = 0.1  # for an evaluation, between two chances to stop


@final
class Evaluations:
    """The evaluations of a run during its training; how far they are is stored in its counters.

    Args:
        arrangement: how the training's environments are spread at the moment, which shows what renders on this machine.
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
                f"--evaluation-maps scores an agent's own maps, but {config.method} has none: leave it out."
            )
        self.background = BackgroundEvaluation(config, spaces, device)
        self._config, self._agent, self._counters, self._health = config.training, agent, counters, health
        self._arrangement = arrangement

    def due(self, finished: bool) -> bool:
        """Return whether the current weights are to be evaluated."""
        return due(self._counters.evaluated_at, self._counters.env_steps, self._config.evaluate_every, finished)

    def begin(self) -> Iterator[Event]:
        """Start evaluating the current weights, once the previous evaluation is over."""
        counters, modes = self._counters, self._config.evaluation_modes
        self._health.require_finite()
        yield from self.finish()
        counters.evaluated_at, counters.modes_left = counters.env_steps, len(modes)
        if modes:
            self.background.take(self._agent.networks)
        yield from self.go_on()

    def go_on(self) -> Iterator[Event]:
        """Play the remaining modes: of an evaluation that begins, or again if the run was stopped during it."""
        left = self._counters.modes_left
        if left:
            self.background.begin(self._config.evaluation_modes[-left:], self._arrangement())
        if self._config.workers == 0:  # its environments would share this process with the training's, without any gain
            yield from self.finish()

    def finish(self) -> Iterator[Event]:
        """Wait for the remaining modes, with chances to stop."""
        while self._counters.modes_left:
            yield Event("evaluating", {"mode": self._config.evaluation_modes[-self._counters.modes_left]})
            self.background.wait(WAITING_SECONDS)

    def results(self) -> Iterator[Event]:
        """Yield the results that have arrived from the running evaluation."""
        for result in self.background.results():
            self._counters.modes_left -= 1
            yield Event("evaluation", {"env_steps": self._counters.evaluated_at}, result)

    def close(self) -> None:
        """End the running evaluation; results that have not arrived yet are lost."""
        self.background.close()
