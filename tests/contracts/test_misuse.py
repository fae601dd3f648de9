"""What people do to environments and policies in Python that cannot be: each is one sentence, and nothing hangs."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import pytest

import saccade
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.mujoco import opengl
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.types import UserError

TASK = "dmc/cartpole_balance"
SMALL: dict[str, Any] = {"image_size": 16, "frame_stack": 1, "render_quality": "fast", "action_repeat": 100}


@pytest.fixture
def env() -> Any:
    made = make_env(EnvConfig.parse(TASK, **SMALL), seed=0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: saccade.make(None), "named by a string"),
        (lambda: saccade.make(5), "named by a string"),
        (lambda: saccade.make(TASK, data=5), "data is 5, but must be str or"),
        (lambda: saccade.make(TASK, mode=None), "mode is None"),
        (lambda: saccade.make(TASK, task_mask="yes"), "task_mask is 'yes', but must be bool"),
        (lambda: saccade.make(TASK, image_size="84"), "image_size is '84'"),
        (lambda: saccade.make(TASK, seed="x", **SMALL), "seed is 'x', but must be a whole number"),
        (lambda: saccade.make(TASK, seed=1.5, **SMALL), "seed is 1.5"),
        (lambda: saccade.make(TASK, seed=True, **SMALL), "seed is True"),
        (lambda: saccade.make(TASK, seed=-1, **SMALL), "seed is -1"),
        (lambda: saccade.load(""), "not a run folder"),
        (lambda: saccade.load(".."), "not a run folder"),
        (lambda: saccade.load("/"), "not a run folder"),
        (lambda: saccade.load("a\0b"), "no name of a file"),
        (lambda: saccade.load("x" * 5000), "cannot be read: File name too long"),
    ],
)
def test_a_wrong_argument_is_one_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        call()


@pytest.mark.parametrize(
    "action", [np.zeros(1, complex), ["0"], [None], [[0.0]], [[0], [1, 2]], "left", None, np.zeros(0), [np.nan], [True]]
)
def test_an_action_that_is_none(action: Any, env: PixelEnv) -> None:
    env.reset()
    with pytest.raises(UserError, match=r"must be 1 finite numbers in -1\.\.1"):
        env.step(action)


@pytest.mark.parametrize("call", ["reset", "step", "get_state", "set_state"])
def test_a_closed_environment_says_so(call: str, env: PixelEnv) -> None:
    env.reset()
    state = env.get_state()
    env.close()
    env.close()
    given: dict[str, tuple[Any, ...]] = {"step": (np.zeros(1),), "set_state": (state,)}
    with pytest.raises(UserError, match="this environment is closed"):
        getattr(env, call)(*given.get(call, ()))


def test_another_thread_is_told_that_it_cannot_draw(env: PixelEnv) -> None:
    env.reset()
    with ThreadPoolExecutor(1) as pool:
        for call in (env.reset, lambda: env.step(np.zeros(1))):
            with pytest.raises(UserError, match="made in another thread"):
                pool.submit(call).result()
    env.step(np.zeros(1))


FORKS = f"""
import gymnasium, saccade
try:
    envs = gymnasium.make_vec("{TASK}", num_envs=2, vectorization_mode="async", **{SMALL})
    envs.reset(seed=0)
except ValueError as error:
    print(type(error).__name__, "forkserver" in str(error))
"""


def test_environments_in_forks_say_what_to_do_and_do_not_hang() -> None:
    """As Gymnasium makes them by default: it has made one to look at before it forks."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.strip() == "UserError True", done.stderr


def _reset_in_fork(env: PixelEnv, answers: Any) -> None:
    try:
        env.reset()
    except UserError as error:
        answers.put(str(error))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_environment_of_the_process_that_was_forked_says_so_too(env: PixelEnv) -> None:
    env.reset()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_reset_in_fork, args=(env, answers), daemon=True)
    child.start()
    assert "forkserver" in answers.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    env.step(np.zeros(1))


def small_env() -> gymnasium.Env[Any, Any]:
    return gymnasium.make(TASK, **SMALL)


def test_a_process_that_has_not_drawn_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "_drawing_process", [])
    assert not opengl.is_fork()
    opengl.claim_process()
    opengl.claim_process()
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert opengl.is_fork()
    with pytest.raises(UserError, match="forkserver"):
        opengl.claim_process()


def test_a_stand_in_has_the_spaces_of_what_it_stands_for(env: PixelEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "_drawing_process", [-1])
    stand_in = small_env()
    assert stand_in.observation_space == env.observation_space and stand_in.action_space == env.action_space
    with pytest.raises(UserError, match="forkserver"):
        stand_in.reset()
