"""The curves along a live page's slider: sent whole to a new page, then only what is new."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, final

import numpy as np

from saccade.explain.session import Session
from saccade.types import UserError
from saccade.viewer.live.payloads import charts_of
from saccade.viewer.readings import numbers_of
from saccade.viewer.timeline import Chart

SECONDS = 0.1  # of reading before results are sent and other questions are answered


@final
class Curves:
    """The part of an episode's curves that one page already has."""

    def __init__(self) -> None:
        self._policy = 0
        self._sent = 0  # moments that the page knows
        self._heads: object = None  # of the charts that it has; None where those are of another episode
        self._strengths: list[np.ndarray] = []  # by moment, of each action: the sum of its sizes up to there

    def of(self, policy: int) -> None:
        """Switch to the curves of this policy."""
        if policy != self._policy:
            self._policy = policy
            self.forget(0)

    def forget(self, index: int) -> None:
        """Forget moments from ``index`` on, which have changed."""
        self._sent = min(self._sent, index)
        del self._strengths[index:]
        if index == 0:
            self._heads = None

    def new(self, session: Session) -> dict[str, Any] | None:
        """Read on for a while and return what the page does not have yet; None if there is nothing new.

        Curves end where the policy fails: the page says so where it shows the moment.
        """
        end = time.monotonic() + SECONDS
        try:
            while session.read_on(self._policy) and time.monotonic() < end:
                pass
        except UserError:
            pass
        known = len(session.course_so_far(self._policy))
        if self._sent == known and self._heads is not None:
            return None
        strength = self._strength(session)
        charts, start = charts_of(session, self._policy, range(self._sent, known), strength), self._sent
        if _heads(charts) != self._heads:  # other actions are the strongest now
            charts, start = charts_of(session, self._policy, range(known), strength), 0
        self._heads, self._sent = _heads(charts), known
        return {"kind": "curves", "from": start, "charts": [asdict(one) for one in charts]}

    def _strength(self, session: Session) -> np.ndarray | None:
        """Return the strength of each action over all moments read so far."""
        for reading in session.course_so_far(self._policy)[len(self._strengths) :]:
            numbers = numbers_of(reading)
            size = np.zeros(1) if numbers is None else np.abs(numbers)
            self._strengths.append(size + self._strengths[-1] if self._strengths else size)
        return self._strengths[-1] if self._strengths else None


def _heads(charts: tuple[Chart, ...]) -> object:
    """Return the charts without their values."""
    return [(one.title, one.unit, one.note, [line.name for line in one.lines]) for one in charts]
