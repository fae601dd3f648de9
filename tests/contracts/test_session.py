"""A session goes back exactly, and another mode shows its states as if they had been played there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from saccade.explain.edits import Erase, Paint, edited
from saccade.explain.following import Follower
from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import task_of
from saccade.policies.load import load_any

pytest.importorskip("dm_control")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    policy = load_any("zoo:sgqn-reach", device="cpu")
    made = Session([policy], task_of(policy, None))
    for _ in range(4):
        made.step()
    yield made
    made.close()


@pytest.mark.parametrize("mode", ["test1", "camera_yaw:0.5", "light_intensity:0.7"])
def test_another_mode_shows_the_same_states(session: Session, mode: str) -> None:
    played = Follower(session.policies[0], session._task_in(mode), mode, session.seed)
    played.follow(session.actions)
    for index, seen in enumerate(played.obs):
        assert np.array_equal(session.look(Pane(0, mode), Question(index)).obs, seen)
    played.close()


def test_the_same_action_leads_to_the_same_state(session: Session) -> None:
    actions, last = session.actions, session.look(Pane(), Question(len(session.actions))).obs
    session.play_on_with_action(1, np.zeros(2))
    assert len(session.actions) == 2
    session.play_on_with_action(1, actions[1])
    while len(session.actions) < len(actions):
        session.step()
    assert np.array_equal(session.look(Pane(), Question(len(actions))).obs, last)


def test_a_stroke_changes_its_pixels_and_no_other(session: Session) -> None:
    pixels, obs = session.policies[0].pixels, session.look(Pane(), Question(0)).obs
    painted = edited(pixels, obs, (Paint(((0.5, 0.5),), 0.1, (1.0, 0.0, 0.0)),))
    assert painted[:, 20, 20].tolist() == [255, 0, 0]
    assert np.array_equal(painted[:, :10], obs[:, :10])
    assert np.array_equal(edited(pixels, obs, ()), obs)
    assert not np.array_equal(edited(pixels, obs, (Erase(((0.5, 0.5),), 0.2),)), obs)
