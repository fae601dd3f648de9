"""Random walks during an episode: values drawn one after the other, as often as a distraction asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, final

Value = TypeVar("Value")

NEVER = 0
BENCHMARK, ORIGINAL = 2, 1  # control steps from one change to the next: of the published variants


@final
class Walk(Generic[Value]):
    """The values of an endless generator, by index. Each is drawn once, when it is first needed."""

    def __init__(self, values: Iterator[Value]) -> None:
        self._values = values
        self._drawn: list[Value] = []

    def __getitem__(self, number: int) -> Value:
        while len(self._drawn) <= number:
            self._drawn.append(next(self._values))
        return self._drawn[number]


def changes(control_steps: int, period: int) -> int:
    """Return how often something has changed after this many control steps.

    Source: the benchmark's variant changes things in even control steps, where pictures are taken as well.
    """
    # Deviation: with an odd number of control steps per action the published camera is back in its place in every
    # other picture. Here it stays where the last change put it.
    return 0 if period == NEVER else control_steps // period
