"""Recorded updates do what updates do one operation after the other: on a CPU, with a stand-in for CUDA graphs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import ACTIONS, build, spaces_of, tiny
from recorded_operations import CPURecorder, Recording

from saccade.agents import METHODS
from saccade.agents.agent import Agent, Term, make_update
from saccade.agents.recorded_updates import (
    CapturedUpdate,
    EagerUpdate,
    Metrics,
    StaticInputs,
    batch_sizes,
    kind_of,
    make_whole_update,
)
from saccade.data.banks.images import ImageBank
from saccade.data.replay import ReplayBuffer, Transitions
from saccade.testing.host_reads import HostReads
from saccade.types import Batch, Discrete

UPDATES, WARM_UP, CAPACITY = 20, 2, 40

every_method = pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.loop == "off_policy"])
"""What is recorded of rollouts stands with the rollouts."""


class Run:
    """A small agent with its replay, which grows by a step before every update until it overwrites itself."""

    def __init__(self, method: str, *, inputs: bool = False, captured: bool = True, agent: Agent | None = None) -> None:
        self.agent = agent or build(method)
        size = METHODS[method].rendered_size(tiny(METHODS[method].config))
        self.actions = spaces_of(METHODS[method], size).actions
        self.replay = ReplayBuffer(
            CAPACITY, (3, size, size), self.actions, segment_frames=4, returns=self.agent.returns
        )
        self.frames = np.random.default_rng(0)
        self.steps = 0
        while self.steps < CAPACITY - UPDATES // 2:
            self.make_step()
        self.generator = torch.Generator().manual_seed(1)
        host = torch.Generator().manual_seed(2) if inputs else self.generator
        self.recorder = CPURecorder()
        update = make_update(self.agent)

        def draw(size: int) -> Transitions:
            return self.replay.draw(size, host)

        places = StaticInputs(torch.device("cpu")) if inputs else None
        self.update = (
            CapturedUpdate(self.agent, update, draw, self.generator, self.recorder, inputs=places, warm_up=WARM_UP)
            if captured
            else EagerUpdate(update, draw, self.generator, "eager")
        )

    def make_step(self) -> None:
        shape = self.replay._ring.frame_shape
        if self.steps % 7 == 0:
            self.replay.start_episode(0, self.frames.integers(0, 256, shape, dtype=np.uint8))
        frame = self.frames.integers(0, 256, shape, dtype=np.uint8)
        action = self.frames.uniform(-1, 1, ACTIONS)
        if isinstance(self.actions, Discrete):
            action = self.frames.integers(self.actions.count)
        self.replay.add(0, action, self.frames.normal(), float(self.steps % 7 != 6), frame)
        self.steps += 1

    def go_on(self, indices: range) -> list[Metrics]:
        metrics = []
        for index in indices:
            self.make_step()
            metrics.append(self.update(index))
        return metrics

    def state(self) -> dict[str, torch.Tensor]:
        moments = {
            f"{phase.name}/{number}/{name}": value
            for phase in self.agent.phases
            for number, entry in phase.optimizer.state_dict()["state"].items()
            for name, value in entry.items()
        }
        return {**self.agent.networks.state_dict(), **moments, "generator": self.generator.get_state()}


def assert_equal(ours: Run, theirs: Run, metrics: list[Metrics], expected: list[Metrics]) -> None:
    for index, (one, other) in enumerate(zip(metrics, expected, strict=True)):
        assert list(one) == list(other)
        assert all(torch.equal(one[key], other[key]) and one[key].ndim == 0 for key in other), index
    state, wanted = ours.state(), theirs.state()
    assert state.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(state[name], wanted[name])] == []


@every_method
def test_recorded_updates_equal_eager_ones(method: str) -> None:
    ours, theirs = Run(method), Run(method, captured=False)
    indices = range(UPDATES)
    assert_equal(ours, theirs, ours.go_on(indices), theirs.go_on(indices))
    kinds = {kind_of(ours.agent, index) for index in indices}
    assert ours.recorder.recorded == len(kinds)
    assert ours.recorder.replayed == UPDATES - WARM_UP * len(kinds) > 0


@pytest.mark.parametrize("method", ["sac", "soda", "svea_soda", "sgqn"])
def test_recorded_updates_on_batches_from_elsewhere_equal_eager_ones(method: str) -> None:
    """The order of the host generator's draws is kept, though all batches of an update are drawn before it."""
    ours, theirs = Run(method, inputs=True), Run(method, inputs=True, captured=False)
    indices = range(UPDATES)
    assert_equal(ours, theirs, ours.go_on(indices), theirs.go_on(indices))
    assert ours.recorder.replayed > 0


def beginning_later(agent: Agent, phase: str, term: str, first_update: int) -> Agent:
    """The agent with a term that counts from a later update on."""

    def changed(terms: dict[str, Term]) -> dict[str, Term]:
        return {**terms, term: dataclasses.replace(terms[term], first_update=first_update)}

    phases = [
        dataclasses.replace(one, terms=changed(dict(one.terms))) if one.name == phase else one for one in agent.phases
    ]
    return dataclasses.replace(agent, phases=tuple(phases))


def test_a_term_that_begins_later_makes_new_kinds() -> None:
    ours, theirs = (
        Run("smg", captured=captured, agent=beginning_later(build("smg"), "separation", "mask_ratio", 9))
        for captured in (True, False)
    )
    indices = range(UPDATES)
    assert_equal(ours, theirs, ours.go_on(indices), theirs.go_on(indices))
    assert ours.recorder.recorded == 3  # odd updates, even ones before the 9th, even ones from then on


def test_a_kind_is_which_phases_run_which_terms_count_and_what_follows() -> None:
    agent = beginning_later(build("smg"), "separation", "mask_ratio", 4)
    losses = {phase.name: frozenset(phase.terms) for phase in agent.phases}
    before = losses["separation"] - {"mask_ratio"}
    odd = (("critic", losses["critic"], False),)
    even = (("critic", losses["critic"], True), ("actor", losses["actor"], True))
    assert kind_of(agent, 1) == kind_of(agent, 3) == kind_of(agent, 5) == odd
    assert kind_of(agent, 0) == kind_of(agent, 2) == (*even, ("separation", before, True))
    assert kind_of(agent, 4) == kind_of(agent, 6) == (*even, ("separation", losses["separation"], True))
    # Targets that move in every third update, behind a phase that runs in all of them.
    critic = dataclasses.replace(agent.phases[0], after_every=3)
    slow = dataclasses.replace(agent, phases=(critic,))
    assert [kind_of(slow, index)[0][2] for index in range(4)] == [True, False, False, True]


@every_method
def test_batches_are_listed_in_the_order_in_which_an_update_samples_them(method: str) -> None:
    run = Run(method)
    sampled: list[int] = []

    def sample(size: int) -> Batch:
        sampled.append(size)
        return run.replay.sample(size, run.generator)

    for index in range(3):
        sampled.clear()
        make_update(run.agent)(sample, run.generator, index)
        assert tuple(sampled) == batch_sizes(run.agent, index), index


def test_moments_that_are_loaded_are_the_ones_that_go_on() -> None:
    """Loading an optimizer's state makes new tensors: a recording of the old ones would go on with those."""
    ours, theirs = Run("sac"), Run("sac", captured=False)
    first, rest = range(10), range(10, UPDATES)
    for run in (ours, theirs):
        run.go_on(first)
        for phase in run.agent.phases:
            saved = phase.optimizer.state_dict()
            entries = {
                number: {name: value * 2 if name == "exp_avg_sq" else value.clone() for name, value in entry.items()}
                for number, entry in saved["state"].items()
            }
            phase.optimizer.load_state_dict({**saved, "state": entries})
    assert_equal(ours, theirs, ours.go_on(rest), theirs.go_on(rest))
    assert ours.recorder.recorded == 4  # both kinds, twice


def test_networks_that_are_loaded_are_the_ones_that_go_on() -> None:
    ours, theirs = Run("sac"), Run("sac", captured=False)
    for run in (ours, theirs):
        run.go_on(range(10))
        run.agent.networks.load_state_dict(build("sac", seed=3).networks.state_dict())
    rest = range(10, UPDATES)
    assert_equal(ours, theirs, ours.go_on(rest), theirs.go_on(rest))
    assert ours.recorder.recorded == 2


def test_metrics_are_the_callers() -> None:
    run = Run("sac")
    run.go_on(range(8))
    kept = run.update(8)
    values = {key: value.clone() for key, value in kept.items()}
    run.go_on(range(9, 13))
    assert all(torch.equal(kept[key], values[key]) for key in values)


def test_the_stand_in_shows_a_number_that_python_computed() -> None:
    """Or it would show nothing: one that was recorded does not change, one in a tensor does."""
    counted, shown = [0], torch.zeros(())

    def work() -> torch.Tensor:
        counted[0] += 1
        shown.add_(1)
        return torch.stack([torch.full((), float(counted[0])), shown * 1])

    replay = CPURecorder().record(work)
    assert shown == 0
    assert [replay().tolist() for _ in range(3)] == [[1, 1], [1, 2], [1, 3]]


def test_the_stand_in_takes_back_what_recording_drew() -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    with Recording() as recording:
        drawn = torch.rand(3, generator=generator)
    recording.take_back()
    assert torch.equal(generator.get_state(), state)
    recording.repeat()
    first = drawn.clone()
    recording.repeat()
    assert not torch.equal(first, drawn) and torch.equal(first, torch.rand(3, generator=generator.set_state(state)))


class Waits(HostReads):
    """Also counts operations whose results have as many elements as values say, by other names."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(function) for name in ("masked_select", "unique", "bincount")):
            self.found.append(str(function))
        return super().__torch_dispatch__(function, types, args, kwargs)


@every_method
def test_no_update_waits_for_the_device(method: str) -> None:
    """From sampling to the move of the targets: no number is read, no shape depends on values."""
    run = Run(method, captured=False)
    run.go_on(range(2))
    with Waits() as spy:
        for index in (2, 3):
            run.update(index)
    assert spy.found == []


def test_drawing_pictures_does_not_wait_for_the_device() -> None:
    bank = ImageBank(torch.randint(0, 256, (9, 3, 20, 20), dtype=torch.uint8), "random")
    with Waits() as spy:
        bank.sample(4, 12, torch.Generator().manual_seed(0))
    assert spy.found == []


def test_the_spy_sees_what_would_wait() -> None:
    with Waits() as spy:
        torch.ones(3).masked_select(torch.tensor([True, False, True]))
        bool(torch.ones(3).sum() > 0)
    assert len(spy.found) == 2


def test_the_way_is_said() -> None:
    run = Run("sac")
    generator = torch.Generator().manual_seed(0)
    whole = make_whole_update(run.agent, make_update(run.agent), run.replay, generator, generator)
    assert whole.path == "one operation after the other: CUDA graphs need a GPU"
    assert run.update.path == "one CUDA graph for each kind of update, sampling included"
    assert Run("sac", inputs=True).update.path.endswith("fed with batches from host memory")
    with pytest.raises(ValueError, match="warm_up is 0"):
        CapturedUpdate(run.agent, make_update(run.agent), run.replay.draw, generator, run.recorder, warm_up=0)


def test_on_a_cpu_the_whole_update_is_the_update() -> None:
    run, other = Run("sgqn"), Run("sgqn")
    whole = make_whole_update(run.agent, make_update(run.agent), run.replay, run.generator, run.generator)
    update = make_update(other.agent)
    for index in range(4):
        found = whole(index)
        expected = update(lambda size: other.replay.sample(size, other.generator), other.generator, index)
        assert all(torch.equal(found[key], expected[key]) for key in expected)
