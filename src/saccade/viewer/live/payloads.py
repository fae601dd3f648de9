"""Convert a session's answers to messages for the page: plain values, and pictures as data URIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np

from saccade.explain.looking import Answer, MapLevel
from saccade.explain.reading import Reading
from saccade.explain.scored import Scored
from saccade.explain.session import Session
from saccade.metrics import METRICS
from saccade.saliency import METHODS
from saccade.viewer.pictures import data_uri, frames_of, overlay, png, resized
from saccade.viewer.readings import action_charts, value_chart
from saccade.viewer.timeline import Chart, chart

Payload = dict[str, Any]


def hello(session: Session, title: str) -> Payload:
    """Return what the page can offer."""
    space = session.action_space
    continuous = isinstance(space, gymnasium.spaces.Box)
    return {
        "kind": "hello",
        "title": title,
        "policies": policy_names(session),
        "modes": list(dict.fromkeys((session.mode, *session.task.usual_modes, *session.task.modes)))[:60],
        "dials": list(session.dials()),
        "shifts": list(session.shifts()),
        "methods": [
            {"name": name, "summary": METHODS[name].summary if name in METHODS else ""} for name in session.methods()
        ],
        "scores": list(session.scores()),
        "metrics": [{"name": name, "summary": METRICS[name].summary} for name in session.metrics()],
        "names": _names(session),
        "low": np.asarray(space.low, float).ravel().tolist() if continuous else None,
        "high": np.asarray(space.high, float).ravel().tolist() if continuous else None,
        "first": session.first_action,
    }


def history(session: Session, start: int = 0) -> Payload:
    """Return the episode so far, from an action on."""
    return {
        "kind": "history",
        "seed": session.seed,
        "mode": session.mode,
        "from": start,
        "actions": [action.tolist() for action in session.actions[start:]],
        "rewards": list(session.rewards[start:]),
        "over": session.over,
    }


def charts_of(
    session: Session, policy: int, moments: Sequence[int], strength: np.ndarray | None = None
) -> tuple[Chart, ...]:
    """Return charts of how a policy rated some moments, which must have been read, and of the rewards there."""
    course, rewards = session.course_so_far(policy), (*session.rewards, np.nan)
    readings = [course[index] for index in moments]
    return (
        value_chart(readings),
        chart("reward", [rewards[index] for index in moments]),
        *action_charts(readings, session.action_names, session.first_action, strength),
    )


def answer_payload(answer: Answer) -> Payload:
    """Return one pane's answer."""
    return {
        "picture": data_uri(png(frame(answer))),
        "height": answer.picture.shape[0],
        "width": answer.picture.shape[1],
        "before": reading_payload(answer.before),
        "after": reading_payload(answer.after),
    }


def reading_payload(reading: Reading) -> Payload:
    """Return an action and the numbers behind it."""
    liked = None if reading.preferences is None else [float(one) for one in reading.preferences]
    return {"action": reading.action.tolist(), "preferences": liked, "kind": reading.kind, "value": reading.value}


def map_payload(answer: Answer, level: MapLevel) -> Payload:
    """Return one map over the picture."""
    return {
        "map": data_uri(png(map_picture(answer, level))),
        "level": level.level,
        "levels": level.levels,
        "score": level.score,
    }


def score_payloads(scores: Sequence[Scored]) -> list[Payload]:
    """Return the scores of a map, and which direction is better."""
    return [asdict(one) | {"direction": one.direction} for one in scores]


def frame(answer: Answer) -> np.ndarray:
    """Return the picture, uint8 ``[height, width, 3]``; if its channels are no colours, the first one in grey."""
    channels = answer.picture.shape[2]
    shown = answer.picture if channels in (1, 3) else answer.picture[..., :1]
    return frames_of(shown.transpose(2, 0, 1)[None], colours=shown.shape[2])[0]


def map_picture(answer: Answer, level: MapLevel) -> np.ndarray:
    """Return the map over its picture, uint8 ``[height, width, 3]``."""
    picture = frame(answer)
    return overlay(picture, resized(level.values[None].astype(np.float32), *picture.shape[:2])[0])


def action_text(session: Session, reading: Mapping[str, Any]) -> str:
    """Return the action in a word, or its numbers."""
    action = reading["action"]
    if isinstance(action, list):
        return ", ".join(map(number_text, action))
    place = int(action) - session.first_action
    names = _names(session) or []
    return names[place] if 0 <= place < len(names) else str(action)


def number_text(value: float) -> str:
    """Return a number as the page writes it."""
    return f"{value:.2f}".replace("-", "\u2212")


def policy_names(session: Session) -> list[str]:
    """Return the policies' names, numbered if there are several, because two may have the same name."""
    names = [policy.name for policy in session.policies]
    return names if len(names) == 1 else [f"{place}: {name}" for place, name in enumerate(names, start=1)]


def _names(session: Session) -> list[str] | None:
    space = session.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        return None
    return list(session.action_names) or [f"action {session.first_action + i}" for i in range(int(space.n))]
