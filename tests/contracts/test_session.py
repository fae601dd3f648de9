"""A session goes back exactly, and another mode shows its states as if they had been played there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.explain.edits import Erase, Paint, edited
from saccade.explain.following import Follower
from saccade.explain.looking import MapLevel, Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import find_task, task_of
from saccade.explain.views import Truth
from saccade.policies.load import load_any
from saccade.policies.pixels import pixels_of
from saccade.policies.sources.module import from_module
from saccade.types import UserError

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
    for index in range(len(session.actions) + 1):
        assert np.array_equal(session.look(Pane(0, mode), Question(index)).obs, played.seen(index))
    played.close()


def test_all_that_two_views_show_stays_open(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modes, a dial turned in both, and the truth in both: a brush makes no environment again."""
    made: list[str] = []
    task_in = session._task_in
    monkeypatch.setattr(session._views, "_in_mode", lambda mode: made.append(mode) or task_in(mode))  # type: ignore[func-returns-value]
    session._views.close()
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


def _played_and_restored(name: str, task: str, mode: str, steps: int, **fields: Any) -> tuple[Session, Session]:
    """Two sessions of one episode: played step by step, and restored from its actions."""
    found = find_task(task, **fields)
    env = found.make(mode, False)
    shape, actions = env.observation_space.shape, env.action_space
    env.close()
    assert shape is not None
    count = int(actions.n) if name == "discrete" else actions.shape[0]  # type: ignore[attr-defined,index]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), count), nn.Tanh())
    pixels = pixels_of(shape, "uint8", 0, 255, layout="channels_first", colours=3)
    policy = from_module(network, pixels, actions, "logits" if name == "discrete" else "action")
    one, other = (Session([policy], found, mode=mode, seed=3) for _ in range(2))
    for _ in range(steps):
        one.step()
    other.restore(3, mode, [action.tolist() for action in one.actions])
    return one, other


CASES = {
    "reach": ("continuous", "manipulation/reach", "test1", 4, {"image_size": 40}),
    "walker": ("continuous", "dmc/walker_walk", "train", 6, {"image_size": 32, "frame_stack": 3}),
    "grid": ("discrete", "minigrid/red_fetch_green", "noise", 6, {"frame_stack": 2}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_episode_is_restored_undrawn_and_is_the_same_where_it_is_looked_at(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, task, mode, steps, fields = CASES[case]
    one, other = _played_and_restored(name, task, mode, steps, **fields)
    last = len(one.actions)
    assert other.rewards == one.rewards and other.over == one.over
    drawn: list[int] = []
    draw = PixelEnv.draw
    monkeypatch.setattr(PixelEnv, "draw", lambda env: drawn.append(1) or draw(env))  # type: ignore[func-returns-value]
    stack = fields.get("frame_stack", 1)
    for index in (1, last, 0, 2):
        look = [session.look(Pane(0, mode), Question(index)).obs for session in (one, other)]
        assert np.array_equal(*look)
    assert 2 <= len(drawn) <= 2 * stack, "the moments that are looked at, each once"
    assert [reading.action.tolist() for reading in other.course()] == [
        reading.action.tolist() for reading in one.course()
    ]
    for session in (one, other):
        session.play_on_with_action(1, one.actions[0])
        session.step()
    assert np.array_equal(*(session.look(Pane(0, mode), Question(3)).obs for session in (one, other)))
    assert other.rewards == one.rewards
    one.close()
    other.close()


def test_an_episode_that_is_over_is_so_after_it_is_restored() -> None:
    policy = load_any("zoo:sgqn-reach", device="cpu")
    one, other = (Session([policy], task_of(policy, None)) for _ in range(2))
    while one.step():
        pass
    other.restore(0, "train", one.actions)
    assert one.over and other.over and not other.step() and len(other.actions) == 50
    with pytest.raises(UserError, match="The episode is over"):
        other.play_on_with_action(50, np.zeros(2))
    with pytest.raises(UserError, match="The episode is over"):
        one.restore(0, "train", [*one.actions, np.zeros(2)])
    assert len(one.actions) == 50, "it lives on as it was"
    one.close()
    other.close()


def test_the_truth_of_a_moment_is_that_of_its_states(session: Session) -> None:
    """As an environment tells it that is played so, in the mode and with the dial."""
    mode, dial = "test1", ("camera_yaw", 0.5)
    turned = session._with_dial(mode, dial)
    view = session._views.of(turned, Truth, session.seed)
    env = session._task_in(turned).make(turned, True)
    _, info = env.reset(seed=session.seed)
    for index, action in enumerate(session.actions):
        assert np.array_equal(view.at(session._played, index), info["task_mask"].any(axis=0))
        _, _, _, _, info = env.step(action)
    env.close()


def test_the_second_policy_plays_and_is_read_where_it_is_asked_to(session: Session) -> None:
    first = session.policies[0]
    other = load_any("zoo:sac-reach", device="cpu")
    both = Session([first, other], task_of(first, None))
    both.step(1)
    assert np.array_equal(both.actions[0], other.act(both.look(Pane(), Question(0)).obs))
    assert np.array_equal(both.course(1)[0].action, both.actions[0])
    assert not np.array_equal(both.course(0)[0].action, both.actions[0])
    with pytest.raises(UserError, match="no policy number 3"):
        both.step(2)
    both.close()
