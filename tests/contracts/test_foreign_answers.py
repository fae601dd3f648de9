"""Environments of other people that answer in every way, and what they raise: their error, with their file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from saccade.data.user_code import from_file, running
from saccade.explain import answers
from saccade.policies.pixels import pixels_of
from saccade.policies.spaces import within
from saccade.types import UserError


class Answers(gymnasium.Env[Any, Any]):
    """Answers what it is told to; an exception is raised."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def _give(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def reset(self, **options: Any) -> Any:
        return self._give()

    def step(self, action: Any) -> Any:
        return self._give()

    def close(self) -> None:
        self._give()


class OwnError(Exception):
    """Of a class that nobody else knows."""


RAISED = (
    OwnError("mine"),
    ValueError(),
    KeyError("x"),
    SystemExit(3),
    StopIteration(),
    BaseExceptionGroup("g", [OwnError()]),
)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_it_raises_is_its_own_error(error: BaseException) -> None:
    for call in (lambda env: answers.reset(env, 0, "mine"), lambda env: answers.step(env, 0, "mine")):
        with pytest.raises(
            UserError, match=rf"mine failed: {type(error).__name__}.*test_foreign_answers\.py, line \d+"
        ):
            call(Answers(error))
    with pytest.warns(UserWarning, match=f"closing mine failed: {type(error).__name__}"):
        answers.close(Answers(error), "mine")


def test_ctrl_c_is_nobodys_error() -> None:
    with pytest.raises(KeyboardInterrupt):
        answers.reset(Answers(KeyboardInterrupt()), 0, "mine")


@pytest.mark.parametrize("reward", [1, 1.0, np.float32(1), np.array(1.0), np.array([1.0]), [1.0], torch.ones(1), True])
def test_a_reward_in_any_form(reward: Any) -> None:
    assert answers.step(Answers((0, reward, np.array([False]), np.False_, None)), 0, "mine") == (0, 1.0, False, {})


@pytest.mark.parametrize("reward", [None, "much", np.ones(2), [], float("nan"), float("inf"), 1j])
def test_a_reward_that_is_none(reward: Any) -> None:
    with pytest.raises(UserError, match="The reward of mine is"):
        answers.step(Answers((0, reward, False, False, {})), 0, "mine")


@pytest.mark.parametrize("answer", [None, 0, (), (0,), (0, 1.0, True, {}), [0, 1.0, True, False, {}]])
def test_an_answer_of_another_interface(answer: Any) -> None:
    with pytest.raises(UserError, match="as Gymnasium's environments do"):
        answers.step(Answers(answer), 0, "mine")
    with pytest.raises(UserError, match="as Gymnasium's environments do"):
        answers.reset(Answers(answer), 0, "mine")


def test_actions_count_from_the_first_of_their_space() -> None:
    assert within(gymnasium.spaces.Discrete(3, start=5))(np.array([0, 2])).tolist() == [5, 7]
    assert within(gymnasium.spaces.Discrete(3))(np.array([0, 2])).tolist() == [0, 2]


def test_a_rounding_error_is_no_brightness() -> None:
    pixels = pixels_of((3, 8, 8), "float32", 0.0, 1.0)
    bright = np.full((3, 8, 8), 1.000001, np.float32)
    assert pixels.tensor(bright, torch.device("cpu")).max() == 1.0
    assert pixels.tensor(-bright + 1, torch.device("cpu")).min() == 0.0
    with pytest.raises(UserError, match="values in"):
        pixels.tensor(bright * 1.1, torch.device("cpu"))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = (", r"SyntaxError: .*mine\.py, line 1"),
        ("\n\nraise Exception('no')", r"Exception: no \(.*mine\.py, line 3\)"),
        ("class E(BaseException): pass\nclass F(Exception): pass\nraise F", r"F \(.*mine\.py, line 3\)"),
        ("import nothing_like_it", r"ModuleNotFoundError: .*mine\.py, line 1"),
    ],
)
def test_the_file_and_line_of_an_error_are_named(code: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(UserError, match=sentence):
        from_file(f"{tmp_path}/mine.py:Net")


def test_a_sentence_of_ours_stays_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^mine\.$"), running("It"):
        raise UserError("mine.")
