"""Events of training, and its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from saccade.policies.evaluate import Evaluation


@dataclass(frozen=True)
class Event:
    """Something that happened in training.

    ``begun`` comes first, from the session. ``note`` (what will take long now) and ``warning`` (what failed, and is
    done in a slower way from now on) carry a row for ``notes.jsonl``, ``episode`` and ``losses`` one for
    ``metrics.jsonl``, ``evaluation`` the results of one mode with the ``env_steps`` of its weights. ``tick``
    (the counters have moved) and ``evaluating`` (only an evaluation is running) are chances to stop.
    ``checkpoint_due`` asks the caller to save now.
    """

    kind: Literal["begun", "note", "warning", "tick", "episode", "losses", "evaluation", "evaluating", "checkpoint_due"]
    row: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None


class Progress(NamedTuple):
    """How far a run is, for display."""

    doing: str  # "training", "acting at random"
    done: int  # out of the run's agent steps
    speed: str  # "31.2 updates/s"; empty before there is one


@dataclass
class Counters:
    """The position of a run; part of every checkpoint."""

    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    evaluated_at: int = -1  # never yet, not even at step 0
    modes_left: int = 0  # of that evaluation, without a result yet
    checkpointed_at: int = 0


def position(counters: Counters) -> dict[str, Any]:
    """Return the position of a run, as every row records it."""
    return {
        "env_steps": counters.env_steps,
        "updates": counters.updates,
        "seconds": round(counters.seconds, 3),
    }


def due(last: int, now: int, period: int, finished: bool) -> bool:
    """Return whether a multiple of ``period`` was reached since step ``last``, or the run ended; period 0: never."""
    return (period > 0 and now // period > last // period) or (finished and last != now)
