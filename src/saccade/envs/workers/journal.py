"""`Journal`: what brings a new environment in another process to exactly where it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

MAX_STEPS = 100  # to repeat, including pictures; then a new state is taken
BEGINNINGS = ("reset", "set_state")  # the commands after which nothing earlier is needed


@dataclass
class Journal:
    """One environment's state at some moment, and the steps since.

    Attributes:
        state: what its ``get_state`` returned, pickled; None for a new environment.
        actions: float32 ``[action_dim]`` or int64 ``[]`` each, since ``state``.
        rewards: what they brought, which shows whether a repetition is exact.
        complete: whether nothing is missing; False for an environment without a state.
    """

    state: bytes | None = None
    actions: list[NDArray[Any]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    complete: bool = True

    def needs_state(self, command: str) -> bool:
        """Return whether the state after ``command`` is needed, because the journal restarts with it."""
        return command in BEGINNINGS or len(self.actions) >= MAX_STEPS

    def begin(self, state: bytes | None) -> None:
        """Restart with ``state``, and forget what was before; None if the environment has no state."""
        self.state, self.complete = state, state is not None
        self.actions.clear()
        self.rewards.clear()

    def add(self, action: NDArray[Any], reward: float) -> None:
        """Add one step."""
        if self.complete:
            self.actions.append(action)
            self.rewards.append(reward)

    def repetition(self) -> tuple[Any, ...]:
        """Return the arguments of ``EnvGroup``'s command ``repeat``."""
        return self.state, self.actions, self.rewards
