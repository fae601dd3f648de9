"""What a live page is told of the curves: all of them once, then what is new, and soon after a long episode."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import gymnasium
import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import Task, find_task
from saccade.policies.pixels import pixels_of
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module
from saccade.viewer.live import curves, payloads
from saccade.viewer.timeline import MOST_LINES

SIDE, COUNT = 8, 12  # more actions than there are lines


class Noise(gymnasium.Env[Any, Any]):
    """Other pixels at each step, and no end."""

    observation_space = gymnasium.spaces.Box(0, 255, (1, SIDE, SIDE), np.uint8)
    action_space = gymnasium.spaces.Discrete(COUNT)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        return self._seen(), float(action), False, False, {}

    def _seen(self) -> Any:
        return self.np_random.integers(0, 256, (1, SIDE, SIDE), np.uint8)


@pytest.fixture
def session() -> Session:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, COUNT))
    policy = from_module(network, pixels_of((1, SIDE, SIDE), "uint8", 0, 255), Noise.action_space, "logits")
    return Session([policy], Task("noise", lambda mode, masks: Noise(), ("train",), False))


def put_together(known: list[dict[str, Any]], told: dict[str, Any]) -> list[dict[str, Any]]:
    """As the page does it."""
    if told["from"] == 0:
        return told["charts"]
    joined = []
    for before, new in zip(known, told["charts"], strict=True):
        lines = [
            {**one, "values": [*one["values"][: told["from"]], *more["values"]]}
            for one, more in zip(before["lines"], new["lines"], strict=True)
        ]
        joined.append({**before, "lines": lines})
    return joined


def as_told(told: Any) -> Any:
    """What arrives."""
    return msgspec.json.decode(msgspec.json.encode(told))


def whole_of(session: Session) -> list[dict[str, Any]]:
    moments = range(len(session.actions) + 1)
    return as_told([dataclasses.asdict(one) for one in payloads.charts_of(session, 0, moments)])


def test_pieces_come_to_the_whole_and_stay_small(session: Session) -> None:
    """Of 12 actions the strongest 8 are drawn, whichever these are by now."""
    found, known, sizes = curves.Curves(), list[dict[str, Any]](), list[int]()
    for _ in range(120):
        session.step()
        found.forget(len(session.actions) - 1)
        told = found.new(session)
        assert told is not None
        sizes.append(len(msgspec.json.encode(told)))
        known = put_together(known, as_told(told))
        assert found.new(session) is None
    whole = whole_of(session)
    assert known == whole and len(whole[2]["lines"]) == MOST_LINES < COUNT
    assert whole[2]["note"] == "8 of 12 are drawn"
    assert np.median(sizes) < len(msgspec.json.encode(whole)) / 8
    session.play_on_with_action(60, 3)
    found.forget(60)
    told = found.new(session)
    assert told is not None
    assert put_together(known, as_told(told)) == whole_of(session)
    session.close()


def test_curves_end_where_the_policy_fails(session: Session) -> None:
    found, policy = curves.Curves(), session.policies[0]
    told = found.new(session)
    assert told is not None and len(told["charts"][0]["lines"][0]["values"]) == 1

    def fail(*_: Any) -> Any:
        raise ValueError("no such luck")

    session.step()
    found.forget(0)
    session.policies = (dataclasses.replace(policy, outputs=dict.fromkeys(policy.outputs, fail)),)
    told = found.new(session)
    assert told is not None and told["from"] == 0 and len(told["charts"][0]["lines"][0]["values"]) == 1
    assert found.new(session) is None
    session.close()


def test_a_thousand_steps_are_restored_within_a_second() -> None:
    """At 84 pixels: they are not drawn, but for the moment that is looked at, and curves come in pieces."""
    pytest.importorskip("dm_control")
    task = find_task("dmc/cartpole_balance", image_size=84, frame_stack=3, action_repeat=1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9 * 84 * 84, 1), nn.Tanh())
    box = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    pixels = pixels_of((9, 84, 84), "uint8", 0, 255, layout="channels_first", colours=3)
    policy: Policy = from_module(network, pixels, box, "action")
    session = Session([policy], task)
    actions = np.random.default_rng(0).uniform(-1, 1, (1000, 1)).tolist()
    began = time.process_time()  # as a machine does that does nothing else
    session.restore(0, "train", actions)
    session.look(Pane(), Question(1000))
    spent = time.process_time() - began
    assert len(session.rewards) == 1000 and session.over
    assert spent < 2, f"{spent:.2f} s"  # drawing them all takes ten times as long
    told = curves.Curves().new(session)
    assert told is not None and 1 <= len(told["charts"][1]["lines"][0]["values"]) < 1001
    session.close()
