"""A session in somebody else's environment: its masks, its failures, and that it may not come to the same picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
from torch import nn

from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import Task
from saccade.policies.pixels import pixels_of
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module
from saccade.types import UserError

SIDE, ACTIONS = 12, gymnasium.spaces.Discrete(3)


class Picky(gymnasium.Env[Any, Any]):
    """Allows one action at a step, another at the next; all its pictures are alike, and it may fail."""

    observation_space = gymnasium.spaces.Box(0, 255, (1, SIDE, SIDE), np.uint8)
    action_space = ACTIONS
    fails, shade = False, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        assert self.action_masks()[action]
        self.time += 1
        if self.fails:
            raise ValueError("no such luck")
        return self._seen(), float(self.time), self.time == 4, False, {}

    def action_masks(self) -> Any:
        return np.arange(3) == self.time % 3 if self.time < 4 else np.zeros(3, bool)

    def _seen(self) -> Any:
        return np.full((1, SIDE, SIDE), self.shade, np.uint8)


@pytest.fixture
def env() -> Picky:
    return Picky()


@pytest.fixture
def policy() -> Policy:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
    made = from_module(network, pixels_of((1, SIDE, SIDE), "uint8", 0, 255), ACTIONS, "logits")
    return dataclasses.replace(made, masked=True)


def session_of(env: Picky, *policies: Policy) -> Session:
    return Session(policies, Task("mine", lambda mode, masks: env, ("train",), False))


def test_a_policy_is_read_as_it_plays_among_what_is_allowed_at_that_moment(env: Picky, policy: Policy) -> None:
    free = dataclasses.replace(policy, masked=False)
    session = session_of(env, policy, free)
    while session.step():
        pass
    assert [int(action) for action in session.actions] == [0, 1, 2, 0]
    read = [int(session.look(Pane(), Question(index)).before.action) for index in range(4)]
    assert read == [0, 1, 2, 0]
    unbound = {int(session.look(Pane(1), Question(index)).before.action) for index in range(5)}
    assert len(unbound) == 1, "alike pictures, and nothing forbidden"


def test_a_mask_is_asked_for_whichever_policy_needs_it(env: Picky, policy: Policy) -> None:
    session = session_of(env, dataclasses.replace(policy, masked=False), policy)
    assert int(session.look(Pane(1), Question(0)).before.action) == 0


def test_a_forbidden_action_is_refused_before_anything_is_forgotten(env: Picky, policy: Policy) -> None:
    session = session_of(env, policy)
    session.step()
    session.step()
    with pytest.raises(UserError, match="mine does not allow action 2 at step 1"):
        session.play_on_with_action(1, 2)
    assert len(session.actions) == 2


@pytest.mark.parametrize("back", [None, 1])
def test_after_a_step_that_failed_the_episode_goes_on_where_it_was(
    env: Picky, policy: Policy, back: int | None
) -> None:
    session = session_of(env, policy)
    session.step()
    session.step()
    env.fails = True
    with pytest.raises(UserError, match="no such luck"):
        session.step() if back is None else session.play_on_with_action(back, 1)
    assert session.rewards == (1.0, 2.0) and len(session.actions) == 2
    env.fails = False
    session.step()
    assert session.rewards == (1.0, 2.0, 3.0), "the step that failed does not count"


def test_another_picture_than_before_is_told_and_nothing_is_forgotten(env: Picky, policy: Policy) -> None:
    session = session_of(env, policy)
    session.step()
    session.step()
    env.shade = 9
    with pytest.raises(UserError, match="shows another picture"):
        session.play_on_with_action(1, 1)
    assert session.rewards == (1.0, 2.0)
    assert session.look(Pane(), Question(2)).obs.max() == 0
    session.begin(1)
    assert session.step()
