"""`Journal`: what brings an environment, made anew in another process, to exactly where it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

MAX_STEPS = 100  # to repeat, pictures included; then the state is taken anew
BEGINNINGS = ("reset", "set_state")  # the commands after which nothing earlier is needed


@dataclass
class Journal:
    """One environment's state at some moment, and the steps since.

    Attributes:
        state: what its ``get_state`` gave, pickled; None for an environment as it is made.
        actions: float32 ``[action_dim]`` or int64 ``[]`` each, since ``state``.
        rewards: what they brought, which tells whether a repetition is one.
        complete: whether this is all; not for an environment that cannot give its state.
    """

    state: bytes | None = None
    actions: list[NDArray[Any]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    complete: bool = True

    def needs_state(self, command: str) -> bool:
        """Whether the state after ``command`` is to be asked for, because the journal begins anew with it."""
        return command in BEGINNINGS or len(self.actions) >= MAX_STEPS

    def begin(self, state: bytes | None) -> None:
        """Forget what was, and begin with ``state``; None from an environment that cannot give it."""
        self.state, self.complete = state, state is not None
        self.actions.clear()
        self.rewards.clear()

    def add(self, action: NDArray[Any], reward: float) -> None:
        """One more step."""
        if self.complete:
            self.actions.append(action)
            self.rewards.append(reward)

    def repetition(self) -> tuple[Any, ...]:
        """The arguments of ``EnvGroup``'s command ``repeat``."""
        return self.state, self.actions, self.rewards
