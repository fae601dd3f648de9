"""Environments in processes: the same whatever their number, and never a hang, an orphan or a leak."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("looks at processes through /proc", allow_module_level=True)

from saccade.envs.workers.env_workers import GRACE_SECONDS, EnvWorkers, WorkerError, WorkerReplaced
from saccade.types import Continuous, Discrete, Spaces, UserError

sys.path.insert(0, str(Path(__file__).parent))  # worker processes are given the same path
from fake_envs import FakeConfig, FakeEnv, make_fake

SEEDS = [3, 1, 4, 15, 9]
PATIENCE_SECONDS = 20.0  # for other processes on a busy machine


def workers(num_workers: int, trouble: dict[int, str] | None = None, **kwargs: Any) -> EnvWorkers[FakeConfig]:
    configs = [FakeConfig(trouble=(trouble or {}).get(index)) for index in range(len(SEEDS))]
    return EnvWorkers(configs, SEEDS, num_workers, make=make_fake, **kwargs)


def actions(step: int, count: int = len(SEEDS)) -> np.ndarray:
    return np.random.default_rng(step).uniform(-1, 1, (count, 2)).astype(np.float32)


def is_gone(process: int) -> bool:
    """Ended and collected: a zombie would still take a signal."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def has_ended(process: int) -> bool:
    """Soon; an orphan may stay a zombie where the machine's first process collects none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if is_gone(process) or state_of(process) in {"Z", "X"}:
            return True
        time.sleep(0.02)
    return False


def state_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def open_files() -> int:
    gc.collect()  # whatever earlier tests still held
    return len(os.listdir("/proc/self/fd"))


def a_session(num_workers: int) -> list[Any]:
    """Resets, steps, subsets, seeds and states, with everything that they returned."""
    seen: list[Any] = []
    with workers(num_workers) as envs:
        assert envs.num_workers == num_workers
        seen += [envs.reset(), [info["task_mask"] for info in envs.reset_infos]]
        for step in range(2):
            seen.append(envs.step(actions(step))[:4])
        seen.append(envs.step(actions(2, 2), indices=[3, 0])[:4])
        seen.append(envs.reset(indices=[4, 1], seeds=[7, None]))
        states = envs.get_state()
        after = envs.step(actions(3))
        envs.set_state(states)
        again = envs.step(actions(3))
        for one, other in zip(after[:4], again[:4], strict=True):
            np.testing.assert_array_equal(one, other)
        seen += [
            again[:4],
            [info["task_mask"] for info in again.infos],
            [info["steps"] for info in again.infos],
        ]
    return seen


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    alone = a_session(0)
    for num_workers in (1, 2, 3):
        together = a_session(num_workers)
        assert len(together) == len(alone)
        for one, other in zip(alone, together, strict=True):
            assert repr(one) == repr(other)
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_environment_i_is_make_of_config_and_seed_i() -> None:
    with workers(2) as envs:
        obs = envs.reset()
        stepped = envs.step(actions(0))
    for index, seed in enumerate(SEEDS):
        env = FakeEnv(FakeConfig(), seed)
        np.testing.assert_array_equal(obs[index], env.reset()[0])
        expected, reward, *_ = env.step(actions(0)[index])
        np.testing.assert_array_equal(stepped.obs[index], expected)
        assert stepped.reward[index].item() == reward  # not rounded to float32


def test_a_subset_is_answered_in_its_own_order_and_leaves_the_others_alone() -> None:
    with workers(2) as envs:
        envs.reset()
        envs.step(actions(0, 2), indices=[3, 0])
        before = [state["steps"] for state in envs.get_state()]
        assert before == [1, 0, 0, 1, 0]
        assert [state["steps"] for state in envs.get_state([3, 1])] == [1, 0]
        envs.set_state(envs.get_state([1]), indices=[3])
        assert [state["steps"] for state in envs.get_state()] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_observations_are_copies(num_workers: int) -> None:
    with workers(num_workers) as envs:
        first = envs.reset()
        kept = first.copy()
        second = envs.step(actions(0)).obs
        np.testing.assert_array_equal(first, kept)
        assert not np.shares_memory(first, second)
        assert (first != second).any()


def test_the_caller_may_compute_between_start_and_finish() -> None:
    with workers(0) as alone, workers(2) as envs:
        for each in (alone, envs):
            each.reset()
        rows = actions(0)
        envs.begin_step(rows)
        alone.begin_step(rows)
        rows[:] = 0  # belongs to the caller again
        with pytest.raises(AssertionError, match="finish_step first"):
            envs.get_state()
        step = envs.finish_step()
        np.testing.assert_array_equal(step.obs, alone.finish_step().obs)
        np.testing.assert_array_equal(step.obs, replay_first_step())


def replay_first_step() -> np.ndarray:
    envs = [FakeEnv(FakeConfig(), seed) for seed in SEEDS]
    for env in envs:
        env.reset()
    return np.stack([env.step(row)[0].copy() for env, row in zip(envs, actions(0), strict=True)])


def test_finished_environments_wait_for_reset() -> None:
    with workers(1) as envs:
        envs.reset()
        truncated = [envs.step(actions(step)).truncated for step in range(5)]
    assert [row.all() for row in truncated] == [False, False, False, True, False]
    assert not any(row.any() for row in truncated[:3])


def test_spaces_and_provenance() -> None:
    with workers(2) as envs:
        assert envs.obs_space.shape == (3, 6, 6) and envs.action_space.shape == (2,)
        assert envs.spaces == Spaces((3, 6, 6), Continuous(2))
        provenance = envs.provenance
    assert [row["episode_steps"] for row in provenance] == [4] * len(SEEDS)
    for row in provenance:
        assert row["threads"] == "1" and row["interrupt_ignored"]
        assert "torch" not in row["modules"] and "pytest" not in row["modules"]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_discrete_actions_are_whole_numbers(num_workers: int) -> None:
    """They are summed up to the reward, from what each environment's seed drew."""
    configs = [FakeConfig(choices=4)] * 3
    with EnvWorkers(configs, [1, 2, 3], num_workers=num_workers, make=make_fake, colours=1) as envs:
        assert envs.spaces == Spaces((3, 6, 6), Discrete(4), colours=1)
        assert envs.action_space == gymnasium.spaces.Discrete(4)
        envs.reset()
        first = envs.step([0, 0, 0]).reward
        np.testing.assert_allclose(envs.step(np.array([3, 0, 1])).reward - first, [3, 0, 1])
        np.testing.assert_allclose(envs.step(np.array([2], np.uint8), [1]).reward - first[1], [2])
        for wrong, told in (([0.0, 1.0, 2.0], "float64"), ([[0], [1], [2]], r"need \(3,\)"), ([0, 1], r"need \(3,\)")):
            with pytest.raises(ValueError, match=told):
                envs.step(wrong)


@pytest.mark.parametrize("others", [FakeConfig(choices=3), FakeConfig(), FakeConfig(choices=4, first_choice=1)])
def test_environments_whose_actions_differ_do_not_fit_together(others: FakeConfig) -> None:
    with pytest.raises(UserError, match="environment 1 has observations"):
        EnvWorkers([FakeConfig(choices=4), others], [1, 2], num_workers=0, make=make_fake)


def test_environments_spread_over_processes_and_no_more_than_needed() -> None:
    with workers(2) as envs:
        assert len(envs.process_ids) == 2
        envs.reset()
        processes = [info["process"] for info in envs.step(actions(0)).infos]
        assert [processes[0], processes[1]] == envs.process_ids
        assert processes == [envs.process_ids[index % 2] for index in range(len(SEEDS))]
    with EnvWorkers([FakeConfig()], [0], num_workers=8, make=make_fake) as one:
        assert one.num_workers == len(one.process_ids) == 1


def test_closing_leaves_nothing_behind() -> None:
    files = open_files()
    envs = workers(2)
    envs.reset()
    processes = envs.process_ids
    envs.close()
    envs.close()
    assert all(is_gone(process) for process in processes)
    assert open_files() == files
    with pytest.raises(WorkerError, match="were closed"):
        envs.reset()


def test_forgetting_to_close_leaves_nothing_behind() -> None:
    files = open_files()
    envs = workers(1)
    (process,) = envs.process_ids
    del envs
    assert is_gone(process)
    assert open_files() == files


def test_an_exception_is_told_with_its_trace_and_all_are_ended() -> None:
    files = open_files()
    envs = workers(2, {3: "exception"})
    processes = envs.process_ids
    envs.reset()
    envs.step(actions(0))
    with pytest.raises(WorkerError, match="ZeroDivisionError: the pole fell off") as caught:
        envs.step(actions(1))  # and no WorkerReplaced, which would be an error here: it would happen again
    assert str(caught.value).startswith("environment worker 1 (environments 1, 3)")
    assert "in make_trouble" in str(caught.value)  # the traceback of the process itself
    assert all(is_gone(process) for process in processes)
    assert open_files() == files
    envs.close()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("killed", "was ended by SIGKILL"),
        ("exit", "ended with exit code 3"),
        ("hang", "no answer within 0.5 seconds"),
        ("busy", "no answer within 0.5 seconds"),
    ],
)
def test_an_environment_that_loses_every_process_ends_all(trouble: str, sentence: str) -> None:
    files = open_files()
    envs = workers(2, {3: trouble}, step_seconds=0.5)
    processes = envs.process_ids
    envs.reset()
    envs.step(actions(0))
    with pytest.warns(WorkerReplaced) as told, pytest.raises(WorkerError) as caught:
        envs.step(actions(1))
    assert "environment worker 1 (environments 1, 3)" in str(told[0].message) and sentence in str(told[0].message)
    assert sentence in str(caught.value) and "all of this was tried: a new process, one process" in str(caught.value)
    assert all(is_gone(process) for process in processes)
    assert open_files() == files
    envs.close()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_users_mistake_arrives_as_the_same_sentence(num_workers: int) -> None:
    files = open_files()
    with pytest.raises(UserError) as caught:
        workers(num_workers, {4: "make"})
    assert str(caught.value) == "unknown task 'dmc/wolker_walk': did you mean dmc/walker_walk?"
    assert open_files() == files


@pytest.mark.parametrize("num_workers", [0, 1])
def test_environments_that_do_not_fit_together(num_workers: int) -> None:
    with pytest.raises(UserError, match="one shape for all"):
        EnvWorkers([FakeConfig(), FakeConfig(size=7)], [0, 1], num_workers, make=make_fake)


def test_wrong_arguments_change_nothing() -> None:
    with pytest.raises(ValueError, match="one of each per environment"):
        EnvWorkers([FakeConfig()], [0, 1], 0, make=make_fake)
    with pytest.raises(UserError, match="num_workers is -1"):
        workers(-1)
    with workers(0) as envs:
        envs.reset()
        with pytest.raises(ValueError, match=r"shape \(5, 3\)"):
            envs.step(np.zeros((5, 3)))
        with pytest.raises(ValueError, match="give different ones below 5"):
            envs.step(actions(0, 2), indices=[1, 1])
        with pytest.raises(ValueError, match="1 seeds for 2 environments"):
            envs.reset([0, 1], seeds=[3])
        assert [state["steps"] for state in envs.get_state()] == [0] * 5


PARENT = """
import os, signal, sys, threading, time
sys.path[:0] = {path!r}
from fake_envs import FakeConfig, make_fake
from saccade.envs.workers.env_workers import EnvWorkers

def start():
    global envs
    envs = EnvWorkers([FakeConfig(trouble={trouble!r})] * 2, [0, 1], 2, make=make_fake)
    envs.reset()

if {thread}:  # one that ends before its workers should
    starter = threading.Thread(target=start)
    starter.start()
    starter.join()
    time.sleep(0.5)  # for the system's thread to end as well
else:
    start()
actions = [[0.0, 0.0]] * 2
envs.step(actions)
print(*envs.process_ids, flush=True)
{then}
"""


def parent(then: str, trouble: str = "busy", thread: bool = False) -> tuple[subprocess.Popen[str], list[int]]:
    """A script without a main guard that holds two workers; its process, and theirs."""
    path = [str(Path(__file__).parent), *sys.path]
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(path=path, trouble=trouble, thread=thread, then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def test_workers_die_with_a_killed_parent_even_when_busy() -> None:
    process, children = parent("envs.step(actions)")
    assert len(children) == 2
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)  # nobody else holds its output open
    assert all(has_ended(child) for child in children)


def test_workers_leave_with_a_killed_parent_when_another_thread_started_them() -> None:
    process, children = parent("time.sleep(3600)", thread=True)
    assert len(children) == 2
    assert not any(is_gone(child) for child in children)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)  # nobody else holds its output open
    assert all(has_ended(child) for child in children)


def test_interrupting_a_call_ends_everything_without_a_word_from_the_workers() -> None:
    process, children = parent("envs.step(actions)")
    assert len(children) == 2
    time.sleep(0.3)  # into the step
    for each in (process.pid, *children):  # as a terminal does for Ctrl-C
        os.kill(each, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert all(has_ended(child) for child in children)


def test_a_script_that_just_ends_is_quiet() -> None:
    process, children = parent("")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0 and errors == ""
    assert all(is_gone(child) for child in children)


def test_closing_during_a_step_is_quiet() -> None:
    process, children = parent("envs.begin_step(actions); envs.close()", trouble="slow")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0 and errors == ""
    assert all(is_gone(child) for child in children)


FORK = """
import warnings
warnings.simplefilter("ignore")  # about forking a process with threads
short = os.fork()
if short == 0:
    sys.exit()  # with the exit handlers of a process that it is not
os.waitpid(short, 0)
long = os.fork()
if long == 0:
    time.sleep(60)  # with copies of all channels
envs.get_state()
began = time.monotonic()
envs.close()
os.kill(long, signal.SIGKILL)
print(time.monotonic() - began)
"""


def test_forks_of_the_parent_neither_end_the_workers_nor_keep_them() -> None:
    process, children = parent(FORK)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    assert float(output) < GRACE_SECONDS  # they saw the channel close, and were not killed
    assert all(is_gone(child) for child in children)
