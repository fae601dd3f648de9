"""Overlapped training: environments and evaluations that go on while the networks learn, and change nothing.

Runs are on noise instead of a simulator, so that they can be stopped at every moment there is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import torch
from noise_envs import make_noise
from safetensors.torch import load_file
from stuck_envs import StuckRenderer
from test_workers import is_gone
from torch import Tensor
from training_cases import (
    CPU,
    assert_same,
    counters,
    fail,
    final_tensors,
    ignore,
    loop,
    never,
    newest,
    noise_config,
    play,
    resume,
    rows,
    train,
    without_simulator,
)

from saccade.data.checkpoints import read_checkpoint
from saccade.envs.workers.env_workers import Arrangement, EnvWorkers, WorkerError, WorkerReplaced
from saccade.policies import evaluate as policies_evaluate
from saccade.policies.evaluate import Evaluation, EvaluationEnvs, evaluate, evaluation_steps, in_mode
from saccade.policies.sources.run import policy_of
from saccade.runs.training import RunConfig
from saccade.train import assembling, evaluating, session
from saccade.train.events import Event
from saccade.train.off_policy import OffPolicyTraining
from saccade.types import UserError

MODES = ("train", "video_hard")
EVALUATED = {"evaluate_every": 8, "evaluation_modes": MODES, "evaluation_episodes": 2}


@pytest.fixture(autouse=True)
def _noise(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    without_simulator(monkeypatch)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    assert not [thread.name for thread in threading.enumerate() if thread.name == "evaluation"]


def assert_same_runs(ours: Path, theirs: Path) -> None:
    """Weights, moments, replay, generators, environments, counters and rows."""
    assert_same(final_tensors(ours), final_tensors(theirs))
    assert counters(ours) == counters(theirs)
    assert rows(ours, "evaluations.jsonl") == rows(theirs, "evaluations.jsonl")
    assert episodes(ours) == episodes(theirs)
    assert result(ours) == result(theirs)


def episodes(folder: Path) -> list[dict[str, Any]]:
    """Rows of episodes, other than those of losses, do not depend on when a run was stopped."""
    return [row for row in rows(folder) if "episode/return" in row]


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text()) | {"seconds": ANY, "paths": ANY}


# --- environments -----------------------------------------------------------------------------------


def test_a_single_environment_is_never_overlapped(tmp_path: Path) -> None:
    for name, overlap in (("strict", False), ("overlapped", True)):
        train(tmp_path / name, noise_config("sgqn", overlap=overlap, **EVALUATED))
    assert_same_runs(tmp_path / "strict", tmp_path / "overlapped")
    assert rows(tmp_path / "strict") == rows(tmp_path / "overlapped")


def test_an_overlapped_run_does_not_depend_on_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_simulator(monkeypatch, processes=True)
    options = EVALUATED | {"evaluate_every": 12, "evaluation_modes": ("train",)}
    for workers in (0, 1, 2):
        train(tmp_path / str(workers), noise_config("sgqn", steps=24, envs=2, workers=workers, **options))
    for workers in ("1", "2"):
        assert_same_runs(tmp_path / workers, tmp_path / "0")
        assert rows(tmp_path / workers) == rows(tmp_path / "0")
    train(tmp_path / "strict", noise_config("sgqn", steps=24, envs=2, overlap=False))
    actions = [final_tensors(tmp_path / name)["replay/action"] for name in ("0", "strict")]
    assert torch.equal(actions[0][:10], actions[1][:10])  # random, then of the policy behind the burst, and no more
    assert (actions[0][10:] != actions[1][10:]).any(-1).all()


@pytest.mark.parametrize("envs", [1, 2, 4])
@pytest.mark.parametrize("overlap", [False, True])
def test_one_update_per_agent_step(envs: int, overlap: bool) -> None:
    saved: list[tuple[int, int]] = []
    with loop(envs=envs, overlap=overlap, checkpoint_every=4) as training:
        play(training, saved)
    assert saved == [(steps, steps if steps >= 8 else 0) for steps in (4, 8, 12, 16, 20, 24)]
    assert len(training.replay) == 24


@pytest.mark.parametrize(("overlap", "staleness"), [(False, 0), (True, 4)])
def test_actions_are_one_tick_old_and_no_older(overlap: bool, staleness: int) -> None:
    """The policy's actions tell how many updates it had made."""
    with loop(envs=4, overlap=overlap, steps=40) as training:

        def telling(obs: Tensor, generator: torch.Generator | None) -> Tensor:
            return torch.full((len(obs), 1), training.counters.updates / 1000)

        training.agent = dataclasses.replace(training.agent, act=telling)
        play(training, [])
    told = (training.replay.state_tensors()["action"][8:, 0] * 1000).round().int().tolist()
    steps_before = [step // 4 * 4 for step in range(8, 40)]
    # Behind the burst of 8 updates the environments wait for it: an untrained policy has nothing to show.
    assert told == [steps - (staleness if steps > 8 else 0) for steps in steps_before]


def test_stopped_at_every_moment_equals_never_stopped(tmp_path: Path) -> None:
    run = noise_config("sgqn", steps=18, envs=2, checkpoint_every=5)
    train(tmp_path / "whole", run)
    parts = tmp_path / "parts"
    assert session.start(run, parts, {}, ignore, lambda: True) is None
    kept = []
    for _ in range(100):  # each goes one moment further: a step, or one update
        kept.append("environments/begun/action" in final_tensors(parts))
        if session.resume(parts, None, ignore, lambda: True, fail) is not None:
            break
    assert (parts / "result.json").exists()
    # Left behind each of 9 steps and in the burst of 8 updates with none begun, else behind each update with one.
    assert (kept.count(False), kept.count(True)) == (9 + 8, 10)
    assert_same_runs(parts, tmp_path / "whole")


def test_a_run_that_is_given_more_steps_overlaps_on(tmp_path: Path) -> None:
    train(tmp_path / "long", noise_config(steps=24, envs=2, replay_capacity=20))
    train(tmp_path / "short", noise_config(steps=16, envs=2, replay_capacity=20))
    resume(tmp_path / "short", steps=24)
    assert_same_runs(tmp_path / "short", tmp_path / "long")


# --- evaluations ------------------------------------------------------------------------------------


class Held:
    """Holds evaluations back, each at the beginning of one mode, until ``release`` is set or they are told to leave.

    Modes are counted as they are begun, from 0, over all evaluations and runs of a test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
        self.release, self.holding, count = threading.Event(), threading.Event(), itertools.count()

        def steps(act: Any, env: Any, **options: Any) -> Iterator[Evaluation | None]:
            if next(count) in numbers:
                self.holding.set()
                try:
                    while not self.release.wait(0.01):
                        yield None
                finally:
                    self.holding.clear()
            yield from evaluation_steps(act, env, **options)

        monkeypatch.setattr(evaluating, "evaluation_steps", steps)

    def is_waited_for(self, event: Event) -> bool:
        """Whether training does nothing but wait for it in its second mode."""
        return self.holding.is_set() and event.kind == "evaluating" and event.row["mode"] == MODES[1]


def test_training_goes_on_until_the_next_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, 0)
    seen: list[tuple[str, int]] = []

    def watch(event: Event, training: OffPolicyTraining) -> None:
        seen.append((event.kind, training.counters.env_steps))
        if event.kind == "evaluating":
            held.release.set()

    run = noise_config(steps=20, log_every=1, workers=1, **EVALUATED)
    session.start(run, tmp_path / "run", {}, watch, never)
    first = next(index for index, (kind, _) in enumerate(seen) if kind in ("evaluating", "evaluation"))
    # The first one is of step 0. It is waited for at step 8, where the second is due.
    assert seen[first] == ("evaluating", 8) and ("losses", 8) in seen[:first]
    written = rows(tmp_path / "run", "evaluations.jsonl")
    assert [(row["env_steps"], row["mode"]) for row in written] == [
        (steps, mode) for steps in (0, 8, 16, 20) for mode in MODES
    ]
    for plain, hard in zip(written[::2], written[1::2], strict=True):
        assert plain["gap"] == 0 and hard["gap"] == plain["return_mean"] - hard["return_mean"]
    assert result(tmp_path / "run")["evaluations"] == written[-2:]
    train(tmp_path / "waiting", dataclasses.replace(run, training=dataclasses.replace(run.training, workers=0)))
    assert written == rows(tmp_path / "waiting", "evaluations.jsonl")


def test_rows_are_those_of_the_weights_that_were_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, 2)  # that of step 32, which is waited for at step 48

    def watch(event: Event, training: OffPolicyTraining) -> None:
        if event.kind == "evaluating" and training.counters.env_steps == 48:
            held.release.set()

    run = noise_config("sgqn", steps=48, checkpoint_every=32, workers=1, **(EVALUATED | {"evaluate_every": 32}))
    session.start(run, tmp_path / "run", {}, watch, never)
    returns = {(row["env_steps"], row["mode"]): row["returns"] for row in rows(tmp_path / "run", "evaluations.jsonl")}
    assert len(returns) == 6
    for steps in (32, 48):
        policy = policy_of(read_checkpoint(tmp_path / "run" / "checkpoints" / f"step_{steps:09d}"), run, CPU)
        for mode in MODES:
            alone = evaluate(policy.act, in_mode(run.env, mode), episodes=2, seed=0, workers=0)
            assert list(alone.returns) == returns[steps, mode]
    assert returns[32, "train"] != returns[48, "train"]


def test_evaluations_have_one_thread_and_keep_their_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = noise_config(steps=16, workers=2, **EVALUATED)
    train(tmp_path / "in-process", dataclasses.replace(run, training=dataclasses.replace(run.training, workers=0)))
    without_simulator(monkeypatch, processes=True)
    threads, processes = [], []

    def steps(act: Any, env: Any, envs: EvaluationEnvs, **options: Any) -> Iterator[Evaluation | None]:
        threads.append(threading.current_thread())
        yield from evaluation_steps(act, env, envs, **options)
        assert envs._kept is not None
        processes.append(envs._kept.process_ids)

    monkeypatch.setattr(evaluating, "evaluation_steps", steps)
    train(tmp_path / "kept", run)
    assert len(threads) == len(processes) == 3 * len(MODES)
    assert len(set(threads)) == 1 and not threads[0].is_alive()
    assert len(processes[0]) == 2 and all(each == processes[0] for each in processes)
    assert all(is_gone(process) for process in processes[0])
    assert_same_runs(tmp_path / "kept", tmp_path / "in-process")


def test_evaluations_draw_with_what_training_found_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Arrangement(2, 2, "osmesa", replaced=4, most_processes=2)
    monkeypatch.setattr(EnvWorkers, "arrangement", property(lambda workers: known))
    made, make_workers = [], policies_evaluate.EnvWorkers

    def make(*arguments: Any, num_workers: int, opengl: str) -> EnvWorkers[Any]:
        made.append((num_workers, opengl))
        return make_workers(*arguments, num_workers=0, opengl=opengl)

    monkeypatch.setattr(policies_evaluate, "EnvWorkers", make)
    train(tmp_path / "run", noise_config(steps=8, workers=8, **(EVALUATED | {"evaluation_episodes": 4})))
    assert set(made) == {(2, "osmesa")}


def test_renderers_that_hang_together_end_in_a_run_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes hang in their first picture; two do not: one of the training's and one of the evaluation's."""
    run = noise_config(steps=12, envs=3, workers=3, **EVALUATED)
    train(tmp_path / "in-process", dataclasses.replace(run, training=dataclasses.replace(run.training, workers=0)))
    (tmp_path / "processes").mkdir()
    renderer = StuckRenderer(str(tmp_path / "processes"), crowd=3)

    def make(*arguments: Any, num_workers: int, opengl: str = "egl") -> EnvWorkers[Any]:
        options: dict[str, Any] = {"renderer": renderer, "picture_seconds": 1.0, "opengl": opengl}
        return EnvWorkers(*arguments, num_workers=num_workers, make=make_noise, **options)

    for module in (assembling, policies_evaluate):
        monkeypatch.setattr(module, "EnvWorkers", make)
    with pytest.warns(WorkerReplaced, match="in one process from now on") as told:
        train(tmp_path / "run", run)
    assert len(told) == 1  # the evaluations did not find it out again
    paths = json.loads((tmp_path / "run" / "env.json").read_text())["paths"]
    said = (
        r"in one process, OpenGL egl \(a fast GPU\), [123] lost and replaced, at most 1 render at the same time here; "
    )
    assert re.search(said, paths[-1])
    assert "by the policy of 3 agent steps before" in paths[-1]
    assert_same_runs(tmp_path / "run", tmp_path / "in-process")


@pytest.mark.parametrize("envs", [1, 2])
def test_an_evaluation_that_was_cut_short_is_made_again(
    envs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = noise_config("sgqn", steps=32, envs=envs, workers=1, **EVALUATED)
    train(tmp_path / "whole", run)
    parts = tmp_path / "parts"
    held = Held(monkeypatch, 1, 4, 11)  # the second modes of those of steps 0, 8 and 32: what is left is begun again
    for evaluated_at in (0, 8, 32):
        reached: list[Event] = []

        def watch(event: Event, training: OffPolicyTraining, reached: list[Event] = reached) -> None:
            if held.is_waited_for(event):
                reached.append(event)

        if parts.exists():
            assert session.resume(parts, None, watch, reached.__len__, fail) is None
        else:
            assert session.start(run, parts, {}, watch, reached.__len__) is None
        last = rows(parts, "evaluations.jsonl")[-1]
        assert (last["env_steps"], last["mode"]) == (evaluated_at, "train")
        taken = load_file(newest(parts) / "evaluated_networks.safetensors")
        trained = load_file(newest(parts) / "networks.safetensors")
        assert taken.keys() == trained.keys()
        assert all(torch.equal(taken[name], trained[name]) for name in taken) == (evaluated_at == 32)
    assert resume(parts) is not None
    assert_same_runs(parts, tmp_path / "whole")
    before = result(parts)
    assert resume(parts) == before  # and then there is nothing left to do
    assert_same_runs(parts, tmp_path / "whole")


class Killed(BaseException):
    """Ends a run where a killed process would have ended: nothing more is written."""


@pytest.mark.parametrize("workers", [0, 1])
def test_killed_at_any_event_the_rows_are_the_same(workers: int, tmp_path: Path) -> None:
    run = noise_config(steps=14, envs=2, workers=workers, checkpoint_every=4, **EVALUATED)
    train(tmp_path / "whole", run)
    kinds = set()
    for number in range(0, 40, 1 + workers):
        killed, events = tmp_path / str(number), iter(range(number))

        def watch(event: Event, training: OffPolicyTraining, events: Iterator[int] = events) -> None:
            if next(events, None) is None:
                kinds.add(event.kind)
                raise Killed

        try:
            session.start(run, killed, {}, watch, never)
        except Killed:
            assert resume(killed) is not None
        assert_same_runs(killed, tmp_path / "whole")
        assert rows(killed) == rows(tmp_path / "whole")
    if workers == 0:  # or else what comes when depends on the machine
        assert kinds == {"begun", "tick", "losses", "episode", "evaluation", "evaluating", "checkpoint_due"}


def test_a_checkpoint_does_not_wait_for_an_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two, a run knows the evaluation that is of the same step as its checkpoint."""
    run = noise_config(steps=24, workers=1, checkpoint_every=8, **EVALUATED)
    train(tmp_path / "whole", run)
    held = Held(monkeypatch, 3)

    def watch(event: Event, training: OffPolicyTraining) -> None:
        if held.is_waited_for(event):
            raise Killed

    with pytest.raises(Killed):
        session.start(run, tmp_path / "run", {}, watch, never)
    assert newest(tmp_path / "run").name == "step_000000008"
    assert counters(tmp_path / "run")["modes_left"] == 2  # and one of them has its row already
    assert [row["env_steps"] for row in rows(tmp_path / "run", "evaluations.jsonl")] == [0, 0, 8]
    assert resume(tmp_path / "run") is not None
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("error", [UserError("no such clip"), WorkerError("it hangs")], ids=lambda error: str(error))
@pytest.mark.parametrize("workers", [0, 1])
def test_what_ends_an_evaluation_ends_the_run(
    error: Exception, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(act: Any, env: Any, **options: Any) -> Iterator[Evaluation | None]:
        if env.mode == "video_hard":
            raise error
        yield from evaluation_steps(act, env, **options)

    run = noise_config(steps=24, workers=workers, **EVALUATED)
    with monkeypatch.context() as patches:
        patches.setattr(evaluating, "evaluation_steps", steps)
        with pytest.raises(type(error), match=str(error)):
            train(tmp_path / "run", run)
    resume(tmp_path / "run")
    train(tmp_path / "whole", run)
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


def test_a_training_that_is_left_ends_its_evaluation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where nobody asked it to stop: the fixture sees that no thread is left."""
    Held(monkeypatch, 0)
    playing: list[bool] = []

    def watch(event: Event, training: OffPolicyTraining) -> None:
        playing.append(any(thread.name == "evaluation" for thread in threading.enumerate()))
        if training.counters.env_steps == 4:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        session.start(noise_config(workers=1, **EVALUATED), tmp_path / "run", {}, watch, never)
    assert playing[-1]


def test_videos_are_of_the_weights_that_were_taken(tmp_path: Path) -> None:
    frames: dict[tuple[int, str], Any] = {}

    def watch(event: Event, training: OffPolicyTraining) -> None:
        if event.evaluation is not None:
            frames[event.row["env_steps"], event.evaluation.mode] = event.evaluation.frames

    run: RunConfig = noise_config(steps=8, workers=1, video=True, **EVALUATED)
    session.start(run, tmp_path / "run", {}, watch, never)
    assert list(frames) == [(steps, mode) for steps in (0, 8) for mode in MODES]
    assert all(frame.shape == (5, 16, 16, 3) for frame in frames.values())
    assert (frames[0, "train"] != frames[8, "train"]).any()
