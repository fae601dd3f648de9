"""What policies make of each moment of an episode, read once, and a moment at a time where it takes long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from saccade.explain.following import Follower
from saccade.explain.reading import Reading, read
from saccade.policies.policy import Policy


@final
class Course:
    """Of some policies, by their numbers, what was read of the episode that is played."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._readings: tuple[list[Reading], ...] = tuple([] for _ in policies)

    def forget(self, index: int) -> None:
        """From this moment on the episode is another one."""
        for readings in self._readings:
            del readings[index:]

    def known(self, number: int) -> Sequence[Reading]:
        """What was read of one policy so far, from the first moment on."""
        return self._readings[number]

    def read_on(self, policy: Policy, number: int, played: Follower) -> bool:
        """Read one more moment; gives whether there was one. Raises UserError where the policy fails."""
        readings = self._readings[number]
        index = len(readings)
        if index > len(played.actions):
            return False
        readings.append(read(policy, played.seen(index), allowed_at(policy, played, index)))
        return True


def allowed_at(policy: Policy, played: Follower, index: int) -> np.ndarray | None:
    """What there is to choose from at a moment, however it looks; None for all."""
    return played.allowed[index] if policy.masked else None
