"""Environment processes that die or freeze: replaced, and the results are as if nothing had happened."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("locks and stops processes as Linux does", allow_module_level=True)

from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import Arrangement, EnvWorkers, WorkerError, WorkerReplaced
from saccade.envs.workers.journal import MAX_STEPS

sys.path.insert(0, str(Path(__file__).parent))  # worker processes are given the same path
from stuck_envs import StuckConfig, StuckRenderer, make_stuck
from test_workers import is_gone, open_files

SEEDS = [3, 1, 4, 15]
SOON = 1.0  # seconds until a process of fake environments counts as frozen in a step
LATER = 10.0  # and in what neither steps nor resets, where a process must be able to start in that time
MOMENTS = (
    "before the first reset", "in a step", "before a reset", "before a state", "before a restored state",
    "before the last reset",
)  # fmt: skip


def workers(num_workers: int, config: StuckConfig | None = None, seeds: list[int] = SEEDS, **kwargs: Any) -> Any:
    return EnvWorkers([config or StuckConfig()] * len(seeds), seeds, num_workers, make=make_stuck, **kwargs)


def actions(step: int, envs: EnvWorkers[Any]) -> np.ndarray:
    shape = (envs.num_envs, *envs.action_space.shape)
    return np.random.default_rng(step).uniform(-1, 1, shape).astype(np.float32)


def nothing(moment: str, envs: EnvWorkers[Any]) -> None:
    """How an undisturbed session is disturbed."""


def session(
    envs: EnvWorkers[Any], disturb: Callable[[str, EnvWorkers[Any]], None] = nothing, steps: int = 3
) -> list[Any]:
    """Everything that some episodes, subsets, seeds and states return; ``disturb`` is called between the lines."""
    seen: list[Any] = []

    def step(number: int) -> None:
        envs.begin_step(actions(number, envs))
        disturb("in a step", envs)
        seen.append(envs.finish_step()[:4])

    disturb("before the first reset", envs)
    seen.append(envs.reset())
    for number in range(steps):
        step(number)
    disturb("before a reset", envs)
    seen.append(envs.reset([1, 0], seeds=[8, None]))
    seen.append(envs.step(actions(0, envs)[:1], [1])[:4])
    disturb("before a state", envs)
    states = envs.get_state()
    step(7)
    disturb("before a restored state", envs)
    envs.set_state(states)
    step(8)
    disturb("before the last reset", envs)
    seen.append(envs.reset())
    step(9)
    return seen


def assert_same(some: list[Any], others: list[Any]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def undisturbed(config: StuckConfig | None = None) -> list[Any]:
    with workers(0, config) as alone:
        return session(alone)


class Once:
    """Sends a signal to some workers when a moment comes for the first time."""

    def __init__(self, moment: str, sent: signal.Signals, numbers: list[int]) -> None:
        self.moment, self.sent, self.numbers, self.victims = moment, sent, numbers, list[int]()

    def __call__(self, moment: str, envs: EnvWorkers[Any]) -> None:
        if moment == self.moment and not self.victims:
            self.victims = [envs.process_ids[number] for number in self.numbers]
            for process in self.victims:
                os.kill(process, self.sent)


@pytest.mark.parametrize(
    ("moment", "sent"),
    [(moment, signal.SIGKILL) for moment in MOMENTS]
    + [(moment, signal.SIGSTOP) for moment in ("in a step", "before a reset", "before a restored state")],
)
def test_a_lost_worker_changes_no_result(moment: str, sent: signal.Signals) -> None:
    files, once = open_files(), Once(moment, sent, [1])
    with workers(2, timeout_seconds=LATER, step_seconds=SOON) as envs:
        processes, files_before = envs.process_ids, open_files()
        with pytest.warns(WorkerReplaced) as told:
            assert_same(session(envs, once), undisturbed())
        assert open_files() == files_before
        (sentence,) = (str(each.message) for each in told)
        assert "environment worker 1 (environments 1, 3)" in sentence
        reasons = ("SIGKILL",) if sent == signal.SIGKILL else ("no answer within", "reads no more")
        assert any(reason in sentence for reason in reasons)
        assert envs.process_ids[0] == processes[0] and envs.process_ids[1] != processes[1]
        assert envs.arrangement == Arrangement(2, 4, os.environ.get("MUJOCO_GL") or "default", replaced=1)
        processes += envs.process_ids
    assert all(is_gone(process) for process in processes)
    assert open_files() == files


@pytest.mark.parametrize("place", ["make", "reset", "step"])
def test_a_worker_that_dies_in_the_middle_changes_no_result(place: str, tmp_path: Path) -> None:
    with (
        pytest.warns(WorkerReplaced, match=r"SIGKILL"),
        workers(2, StuckConfig(folder=str(tmp_path), dies_in=place), seeds=SEEDS[:2]) as envs,
        workers(0, seeds=SEEDS[:2]) as alone,
    ):
        assert_same(session(envs), session(alone))


def test_a_replacement_may_be_lost_too(tmp_path: Path) -> None:
    with workers(2, StuckConfig(folder=str(tmp_path), dies_in="set_state")) as envs:
        with pytest.warns(WorkerReplaced) as told:
            assert_same(session(envs, Once("in a step", signal.SIGKILL, [0])), undisturbed())
        assert len(told) == 2
        assert "no help; all 4 environments go on where they were, in one process from now on" in str(told[1].message)
        assert envs.arrangement.processes == 1 and envs.arrangement.replaced == 2


def test_all_workers_lost_at_once_are_replaced() -> None:
    with workers(3) as envs:
        with pytest.warns(WorkerReplaced) as told:
            assert_same(session(envs, Once("in a step", signal.SIGKILL, [0, 1, 2])), undisturbed())
        # In one sentence or in two: one that had answered before it was killed is missed at the next command.
        said = "; ".join(str(each.message) for each in told)
        assert all(f"environment worker {number} (" in said for number in range(3)) and "lost so far: 3" in said
        assert (envs.arrangement.processes, envs.arrangement.replaced) == (3, 3)


def test_workers_killed_at_random_moments() -> None:
    config = StuckConfig(step_seconds=0.002)
    random, steps = np.random.default_rng(0), 40
    kills = 0

    def play(envs: EnvWorkers[Any], disturbed: bool) -> Iterator[Any]:
        nonlocal kills
        yield envs.reset()
        for step in range(steps):
            killer = threading.Timer(random.uniform(0, 0.012), os.kill, (0, 0))
            if disturbed and step % 5 == 1:
                killer.args = (envs.process_ids[random.integers(2)], signal.SIGKILL)
                kills += 1
                killer.start()
            result = envs.step(actions(step, envs))
            yield result[:4]
            if killer.ident is not None:
                killer.join()
            if result.truncated.any():
                yield envs.reset()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WorkerReplaced)
        with workers(0, config) as alone, workers(2, config) as envs:
            assert_same(list(play(envs, disturbed=True)), list(play(alone, disturbed=False)))
            assert envs.arrangement.replaced == kills == 8


@pytest.mark.parametrize(
    ("crowd", "needs_software", "processes", "opengl"),
    [(3, False, 2, "egl"), (2, False, 1, "egl"), (None, True, 1, "osmesa")],
)
def test_renderers_that_hang_together_are_rearranged(
    tmp_path: Path, crowd: int | None, needs_software: bool, processes: int, opengl: str
) -> None:
    config = StuckConfig(folder=str(tmp_path), crowd=crowd, needs_software=needs_software)
    files = open_files()
    with workers(4, config, step_seconds=SOON, opengl="egl") as envs:
        assert envs.arrangement == Arrangement(4, 4, "egl", 0)
        with pytest.warns(WorkerReplaced) as told:
            assert_same(session(envs), undisturbed())
        assert envs.arrangement[:3] == (processes, 4, opengl)
        assert len(envs.process_ids) == processes
        sentences = [str(each.message) for each in told]
        rungs = ["in 2 processes", "in one process", "in one process with software OpenGL (osmesa)"]
        assert len(sentences) >= 2 and "a new process was no help" in sentences[1]
        taken = [rung for rung in rungs if any(f"{rung} from now on" in sentence for sentence in sentences)]
        assert taken == rungs[: len(taken)] and len(taken) == len(sentences) - 1
        assert ("slightly other pixels" in sentences[-1]) == needs_software
    assert open_files() == files


def test_a_renderer_that_always_hangs_ends_with_all_that_was_tried(tmp_path: Path) -> None:
    files = open_files()
    envs = workers(4, StuckConfig(folder=str(tmp_path), crowd=1), step_seconds=SOON, opengl="egl")
    processes = envs.process_ids
    envs.reset()
    with pytest.warns(WorkerReplaced), pytest.raises(WorkerError, match="no answer within 1 seconds") as caught:
        envs.step(actions(0, envs))
    tried = "tried: a new process, 2 processes, one process, one process with software OpenGL (osmesa)"
    assert str(caught.value).endswith(tried)
    assert all(is_gone(process) for process in processes)
    assert open_files() == files


@pytest.mark.parametrize(("crowd", "processes", "opengl"), [(4, 2, "egl"), (2, 1, "egl"), (1, 1, "osmesa")])
def test_a_first_picture_that_does_not_come_has_fewer_processes_draw(
    tmp_path: Path, crowd: int, processes: int, opengl: str
) -> None:
    renderer, files = StuckRenderer(str(tmp_path), crowd), open_files()
    began = time.monotonic()
    with pytest.warns(WorkerReplaced) as told:
        envs = workers(4, renderer=renderer, picture_seconds=SOON, opengl="egl")
    assert time.monotonic() - began < 20.0  # nobody waits for the 120 seconds of a reset
    with envs:
        software = opengl == "osmesa"
        assert envs.arrangement[:3] == (processes, 4, opengl)
        assert envs.arrangement.most_processes == (None if software else processes)
        assert envs.arrangement.renderer == ("llvmpipe" if software else "a fast GPU")
        said = str(envs.arrangement)
        assert f"OpenGL {opengl} ({envs.arrangement.renderer})" in said
        assert (f"at most {processes} render at the same time here" in said) == (not software)
        sentences = [str(each.message) for each in told]
        # A new process in the place of one is not tried: they hang together.
        assert "no first picture within 1 seconds from" in sentences[0] and "in 2 processes from now" in sentences[0]
        assert len(sentences) == 1 + (crowd <= 2) + (crowd <= 1)
        assert_same(session(envs), undisturbed())
    assert open_files() == files


def test_a_slow_first_picture_in_software_is_waited_for(tmp_path: Path) -> None:
    renderer = StuckRenderer(str(tmp_path), crowd=9, gpu=False, seconds=2 * SOON)
    with workers(2, renderer=renderer, picture_seconds=SOON, opengl="egl") as envs:  # without a warning
        assert envs.arrangement == Arrangement(2, 4, "egl", 0, "a fast GPU")
        assert_same(session(envs), undisturbed())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_environments_made_anew_in_their_processes_are_as_new(num_workers: int) -> None:
    other = StuckConfig(episode_steps=5)
    with workers(num_workers) as envs, workers(0, other, [7, 8, 9, 10]) as new:
        processes = envs.process_ids
        session(envs)
        envs.remake([other] * 4, [7, 8, 9, 10])
        assert envs.process_ids == processes
        assert_same(session(envs), session(new))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_is_lost_while_environments_are_made_anew_changes_no_result(moment: str) -> None:
    other = StuckConfig(episode_steps=5)
    with workers(2) as envs, workers(0, other, [7, 8, 9, 10]) as new:
        session(envs)
        if moment == "before":
            os.kill(envs.process_ids[1], signal.SIGKILL)

        def go_on() -> list[Any]:
            envs.remake([other] * 4, [7, 8, 9, 10])
            if moment == "after":
                os.kill(envs.process_ids[1], signal.SIGKILL)
            return session(envs)

        with pytest.warns(WorkerReplaced):
            seen = go_on()
        assert_same(seen, session(new))


def test_environments_of_one_process_are_given_time_in_proportion() -> None:
    config, seeds = StuckConfig(step_seconds=0.05), list(range(20))
    with workers(1, config, seeds, step_seconds=SOON) as envs:
        envs.reset()
        envs.step(actions(0, envs))  # takes 1 second, and 3 are allowed
        os.kill(envs.process_ids[0], signal.SIGSTOP)
        with pytest.warns(WorkerReplaced, match="no answer within 3 seconds"):
            envs.step(actions(1, envs))


@pytest.mark.parametrize("kind", ["stateless", "wrapped"])
def test_environments_without_a_state_of_their_own_are_lost_with_their_process(kind: str) -> None:
    envs = workers(2, StuckConfig(kind=kind))
    processes = envs.process_ids
    os.kill(processes[1], signal.SIGKILL)
    with pytest.warns(WorkerReplaced):  # nothing has happened to them yet
        first = envs.reset()
    with workers(0) as alone:
        np.testing.assert_array_equal(first, alone.reset())
    processes += envs.process_ids
    os.kill(envs.process_ids[0], signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"environment worker 0 .* was ended by SIGKILL"):
        envs.step(actions(0, envs))
    assert all(is_gone(process) for process in processes)


def test_an_environment_that_does_not_repeat_itself_is_found_out() -> None:
    with workers(2, StuckConfig(kind="forgetful")) as envs:
        envs.reset()
        envs.step(actions(0, envs))
        os.kill(envs.process_ids[1], signal.SIGKILL)
        with (
            pytest.warns(WorkerReplaced),
            pytest.raises(WorkerError, match="environment 1 gives other rewards for the same actions"),
        ):
            envs.step(actions(1, envs))


def test_what_is_repeated_stays_short_in_an_episode_without_end() -> None:
    config, steps = StuckConfig(episode_steps=10**6), 2 * MAX_STEPS + 7
    with workers(1, config) as envs, workers(0, config) as alone:
        np.testing.assert_array_equal(envs.reset(), alone.reset())
        for step in range(steps):
            performed = envs.step(actions(step, envs)).infos[0]["performed"]
            alone.step(actions(step, envs))
        assert performed == steps
        os.kill(envs.process_ids[0], signal.SIGKILL)
        with pytest.warns(WorkerReplaced):
            after = envs.step(actions(steps, envs))
        assert after.infos[0]["performed"] <= MAX_STEPS + 1
        assert_same([after[:4]], [alone.step(actions(steps, envs))[:4]])


@pytest.mark.parametrize("task_id", ["dmc/reacher_hard", "dmc/walker_walk@video_hard"])
def test_the_simulator_goes_on_bit_for_bit(task_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SACCADE_DATA", raising=False)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path))
    config = EnvConfig.parse(task_id, image_size=32, render_quality="fast", action_repeat=100, task_mask=True)
    assert config.episode_agent_steps == 10

    def play(num_workers: int, disturb: Callable[[str, EnvWorkers[Any]], None]) -> list[Any]:
        with EnvWorkers([config] * 2, [5, 6], num_workers, step_seconds=10.0) as envs:
            return [*session(envs, disturb, steps=6), [info["task_mask"] for info in envs.reset_infos]]

    moments = ("in a step", "before a reset", "before a state", "before the last reset")
    losses = [Once(moment, signal.SIGKILL, [number % 2]) for number, moment in enumerate(moments)]

    def disturb(moment: str, envs: EnvWorkers[Any]) -> None:
        for once in losses:
            once(moment, envs)

    with pytest.warns(WorkerReplaced) as told:
        disturbed = play(2, disturb)
    assert len(told) == len(moments)
    assert_same(disturbed, play(0, nothing))
