"""What changes while an episode goes on, as often as a distraction says: values that are drawn one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, final

Value = TypeVar("Value")

NEVER = 0
BENCHMARK, ORIGINAL = 2, 1  # control steps from one change to the next: of the published variants


@final
class Walk(Generic[Value]):
    """Values of an endless generator by their number. None is drawn before it is asked for, and each once."""

    def __init__(self, values: Iterator[Value]) -> None:
        self._values = values
        self._drawn: list[Value] = []

    def __getitem__(self, number: int) -> Value:
        while len(self._drawn) <= number:
            self._drawn.append(next(self._values))
        return self._drawn[number]


def changes(control_steps: int, period: int) -> int:
    """How often something has changed after so many control steps.

    Source: the benchmark's variant changes things in even control steps, where pictures are taken as well.
    """
    # Deviation: with an odd number of control steps in an action the published camera is back in its place in every
    # other picture. Here it stays where the last change has put it.
    return 0 if period == NEVER else control_steps // period
