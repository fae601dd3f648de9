"""What happens in training, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from saccade.policies.evaluate import Evaluation


@dataclass(frozen=True)
class Event:
    """Something that happened in training, for whoever watches.

    ``begun`` comes first, from the session. ``note`` (what will now take long) and ``warning`` (what failed, and is
    done in a slower way from now on) carry a row for ``notes.jsonl``, ``episode`` and ``losses`` one for
    ``metrics.jsonl``, ``evaluation`` the results of one mode with the ``env_steps`` that its weights had made. ``tick``
    (the counters have moved) and ``evaluating`` (nothing goes on but an evaluation) are moments to leave at.
    ``checkpoint_due`` asks the caller to save now.
    """

    kind: Literal["begun", "note", "warning", "tick", "episode", "losses", "evaluation", "evaluating", "checkpoint_due"]
    row: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None


class Progress(NamedTuple):
    """How far a run is, for people."""

    doing: str  # "training", "acting at random"
    done: int  # of as many agent steps as the run has
    speed: str  # "31.2 updates/s"; empty before there is one


@dataclass
class Counters:
    """Where the run stands; part of every checkpoint."""

    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    evaluated_at: int = -1  # not yet, not even at step 0
    modes_left: int = 0  # of the evaluation that began then, without a result yet
    checkpointed_at: int = 0


def position(counters: Counters) -> dict[str, Any]:
    """Where a run stands, as every row says it."""
    return {
        "env_steps": counters.env_steps,
        "updates": counters.updates,
        "seconds": round(counters.seconds, 3),
    }


def due(last: int, now: int, period: int, finished: bool) -> bool:
    """Whether a multiple of ``period`` was reached since step ``last``, or the run ended after it; period 0: never."""
    return (period > 0 and now // period > last // period) or (finished and last != now)
