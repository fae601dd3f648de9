"""A session goes back exactly, and another mode shows its states as if they had been played there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from saccade.explain.edits import Erase, Paint, edited
from saccade.explain.following import Follower
from saccade.explain.looking import MapLevel, Pane, Question
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


def test_all_that_two_views_show_stays_open(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modes, a dial turned in both, and the truth in both: a brush makes no environment again."""
    made: list[str] = []
    task_in = session._task_in
    monkeypatch.setattr(session, "_task_in", lambda mode: made.append(mode) or task_in(mode))  # type: ignore[func-returns-value]
    session._drop_views()
    numbers = []
    for _ in range(2):
        for mode in ("test1", "test2"):
            question = Question(1, dial=("camera_yaw", 0.5))
            answer = session.look(Pane(0, mode), question)
            level = MapLevel(answer.picture[..., 0].astype(np.float32), 1, 1, None)
            numbers.append(
                [one.value for one in session.scored(Pane(0, mode), question, answer, level, ("mass_inside",))]
            )
    assert len(made) == 6 and numbers[:2] == numbers[2:]
    assert all(one is not None and 0 < one < 1 for (one,) in numbers)


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
