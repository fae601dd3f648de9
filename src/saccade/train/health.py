"""Whether a run is still sound: non-finite losses, weights and rewards end it before they are saved."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.train.events import Counters

FIRST_UPDATES = 10
"""First updates, in which only a learning rate can have broken weights."""
USUAL_RATES = "1e-4 to 1e-3"
LARGEST_USUAL_RATE = 0.1
"""Far above all published rates for Adam; smaller ones are not blamed."""


class NonFiniteLoss(ArithmeticError):
    """A loss or a weight became NaN or infinite; the message names the update, the phase and the term."""


class NonFiniteReward(ArithmeticError):
    """An environment gave a reward that is NaN or infinite, which must not be learned from."""


@final
class Health:
    """The losses that have not been read yet, and the checks of everything that must be finite.

    Losses stay on the device until they are read, so that no update waits for them.
    """

    def __init__(self, agent: Agent, counters: Counters) -> None:
        self.counters = counters
        self._agent = agent
        self._unread: list[dict[str, Tensor]] = []

    def __len__(self) -> int:
        """How many updates have losses that were not read yet."""
        return len(self._unread)

    def note(self, losses: dict[str, Tensor]) -> None:
        """Keep the losses of an update, scalars by log key, until they are read."""
        self._unread.append(losses)

    def read(self) -> dict[str, float]:
        """Means of the losses since the last reading, by log key. Raises NonFiniteLoss for NaN and infinity."""
        means: dict[str, float] = {}
        for key in sorted({key for losses in self._unread for key in losses}):
            values = torch.stack([losses[key] for losses in self._unread if key in losses]).double().cpu()
            if not values.isfinite().all():
                self.require_finite()
            means[key] = float(values.mean())
        self._unread = []
        return means

    def require_finite(self) -> None:
        """Raise NonFiniteLoss if a loss that was not read yet, or a weight, is NaN or infinite.

        A step can break the weights although all losses were finite; such weights must not be saved.
        """
        kept = self._what_is_kept()
        first = self.counters.updates - len(self._unread)
        for update, losses in enumerate(self._unread, start=first):
            for key, value in losses.items():  # in the order in which the update's phases ran
                if not value.isfinite():
                    term = key.replace("/", ", term ", 1)
                    cause = self._likely_cause(update)
                    raise NonFiniteLoss(f"Update {update}: phase {term} became {float(value)}. {cause}{kept}")
        names = {id(parameter): name for name, parameter in self._agent.networks.named_parameters()}
        for phase in self._agent.phases:
            for parameter in phase.owned():
                if not parameter.isfinite().all():
                    where = f"phase {phase.name}, weight {names[id(parameter)]}"
                    update = self.counters.updates - 1
                    cause = self._likely_cause(update)
                    raise NonFiniteLoss(f"Update {update}: {where} became NaN or infinite. {cause}{kept}")

    def require_finite_rewards(self, reward: np.ndarray) -> None:
        """Raise NonFiniteReward unless the rewards ``[envs]`` of a step are all finite."""
        if not np.isfinite(reward).all():
            index = int(np.flatnonzero(~np.isfinite(reward))[0])
            raise NonFiniteReward(
                f"Environment {index} gave the reward {reward[index]} after step {self.counters.env_steps}. "
                f"{self._what_is_kept()}"
            )

    def _likely_cause(self, update: int) -> str:
        """A sentence about a learning rate that no first update survives; empty if all of them are usual."""
        rates = {
            phase.name: max(float(group["lr"]) for group in phase.optimizer.param_groups)
            for phase in self._agent.phases
        }
        name = max(rates, key=lambda name: rates[name])
        if update >= FIRST_UPDATES or rates[name] <= LARGEST_USUAL_RATE:
            return ""
        return (
            f"The learning rate of phase {name}, {rates[name]:g}, is the likely cause: {USUAL_RATES} are usual, so "
            "give a smaller one. "
        )

    def _what_is_kept(self) -> str:
        if not self.counters.checkpointed_at:
            return "The run was stopped there, before its first checkpoint."
        return f"The run was stopped there and its last checkpoint, of step {self.counters.checkpointed_at}, kept."
