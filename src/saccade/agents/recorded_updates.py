"""Perform whole updates, from sampling to moving the targets, as CUDA graphs that are recorded once and replayed.

An update is more than a thousand small operations, which take a processor longer to launch than a GPU to run. A graph
is launched at once. It repeats the same operations on the same memory, so there is one for every kind of update, and
whatever differs between updates of a kind must lie in tensors that are changed in place: weights, Adam's moments and
step counts, the contents of the replay buffer, the state of the generator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol, final

import torch
from torch import Generator, Tensor

from saccade.agents import cuda_graphs
from saccade.agents.agent import Agent, Sample, Update
from saccade.agents.shortcuts import NETWORKS_LOCK, Shortcuts
from saccade.data.replay import Transitions
from saccade.types import Batch

WARM_UP = 3  # updates of a kind before it is recorded: they compile, choose algorithms and create the optimizers' state

NEEDS_A_GPU = "CUDA graphs need a GPU"


class Drawn(Protocol):
    """A minibatch that has been drawn, but may still lie on another device."""

    def batch(self) -> Any:
        """Return the batch as an update takes it."""
        ...

    def to(self, device: torch.device) -> Drawn:
        """Return a copy on another device, or itself if it is there already."""
        ...


class Source(Protocol):
    """What minibatches are drawn from: a replay buffer or a rollout."""

    @property
    def device(self) -> torch.device: ...

    def draw(self, size: int, generator: Generator) -> Drawn: ...


Draw = Callable[[int], Drawn]
Kind = tuple[tuple[str, frozenset[str], bool], ...]
Metrics = dict[str, Tensor]


class WholeUpdate(Protocol):
    """``(update_index) -> metrics``: performs one whole update, sampling included; metrics are scalars on the device.

    ``path``: how updates are performed, for messages, and if that is not the fastest way, why.
    """

    @property
    def path(self) -> str: ...

    def __call__(self, index: int) -> Metrics: ...

    def ahead(self, index: int) -> str | None:
        """Return what will take long in this update, for messages; once, and None if nothing will."""
        ...


class Recorder(Protocol):
    """Performs work once now, or records it to be repeated later."""

    def warm_up(self, work: Callable[[], Tensor]) -> Tensor:
        """Perform the work where it will be recorded, so that recording finds all that it needs."""
        ...

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Return a function that performs the work and returns a copy of its result. Recording itself changes nothing.

        If the function raises, the work was not performed.
        """
        ...

    def give_up(self) -> None:
        """After a failure, drop all that was recorded, and make the device and its generators usable again."""
        ...


def kind_of(agent: Agent, index: int) -> Kind:
    """Return what makes up the kind of an update: phases that run, terms that count, and whether ``after`` runs."""
    return tuple(
        (phase.name, phase.begun(index), index % phase.after_every == 0)
        for phase in agent.phases
        if index % phase.every == 0
    )


def batch_sizes(agent: Agent, index: int) -> tuple[int, ...]:
    """Return the sizes of the batches that an update samples, in order: the minibatch, then those of single phases."""
    due = (phase.own_batch for phase in agent.phases if index % phase.every == 0)
    return (agent.batch_size, *(own.size for own in due if own is not None))


def make_whole_update(
    agent: Agent,
    update: Update,
    replay: Source,
    generator: Generator,
    host_generator: Generator,
    *,
    eager_because: str | None = None,
    shortcuts: Shortcuts | None = None,
) -> WholeUpdate:
    """Return what performs updates: CUDA graphs if the agent is on a GPU, else one operation after the other.

    Args:
        update: what ``make_update`` returned for the agent; on a GPU its optimizers must be ``capturable``.
        replay: on the agent's device it is sampled with ``generator``, as part of the graph. A replay buffer in host
            memory is sampled with ``host_generator`` before the graph, which begins with a copy; make it ``pinned``.
        generator: of the agent's device, for whatever ``Agent.prepare`` draws.
        eager_because: why there should be no graphs, such as pictures in host memory; None if they are wanted.
        shortcuts: are told about a recording that failed, after which updates are performed one operation after the
            other, beginning with the very update that failed; None raises the error. Compilation is the update's own.
    """
    device = generator.device
    resident = replay.device.type == device.type

    def draw(size: int) -> Drawn:
        return replay.draw(size, generator if resident else host_generator)

    if not cuda_graphs.can_record(device) and eager_because is None:
        eager_because = NEEDS_A_GPU
    if eager_because is not None:
        return EagerUpdate(update, draw, generator, f"one operation after the other: {eager_because}", shortcuts)
    inputs = None if resident else StaticInputs(device)
    recorder = cuda_graphs.CUDAGraphs(generator)
    return CapturedUpdate(agent, update, draw, generator, recorder, inputs=inputs, shortcuts=shortcuts)


@final
class EagerUpdate:
    """A ``WholeUpdate`` that performs one operation after the other."""

    def __init__(
        self, update: Update, draw: Draw, generator: Generator, path: str, shortcuts: Shortcuts | None = None
    ) -> None:
        self.path = path
        self._update, self._draw, self._generator, self._shortcuts = update, draw, generator, shortcuts

    def __call__(self, index: int) -> Metrics:
        return self._update(self._sample, self._generator, index)

    def ahead(self, index: int) -> str | None:
        return self._shortcuts.compilation.announce() if self._shortcuts is not None else None

    def _sample(self, size: int) -> Batch:
        return self._draw(size).to(self._generator.device).batch()


@final
class StaticInputs:
    """Memory from which a graph reads batches that come from the host: one place for each batch of an update."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._places: dict[tuple[int, int], Transitions] = {}

    def fill(self, drawn: list[Drawn]) -> list[Transitions]:
        """Copy the transitions of one update to their places, which are allocated the first time."""
        batches = [batch for batch in drawn if isinstance(batch, Transitions)]
        assert len(batches) == len(drawn), "rollouts lie where they are learned from"
        return [self._put((order, len(batch.reward)), batch) for order, batch in enumerate(batches)]

    def _put(self, name: tuple[int, int], batch: Transitions) -> Transitions:
        if name not in self._places:
            self._places[name] = Transitions(*(torch.empty_like(value, device=self._device) for value in batch))
        for place, value in zip(self._places[name], batch, strict=True):
            place.copy_(value, non_blocking=self._device.type == "cuda")
        return self._places[name]


@final
class CapturedUpdate:
    """A ``WholeUpdate`` whose kinds are each performed eagerly a few times, then recorded, then replayed.

    Every call is one real update, in any of these ways. Weights and buffers must stay where they are in memory, as with
    ``Module.load_state_dict``. ``Optimizer.load_state_dict`` moves what it loads: then everything is recorded again.

    Args:
        draw: samples transitions: on the device if ``inputs`` is None, else in host memory.
        generator: the only one that recorded work draws from.
        inputs: where batches from host memory are put for the graphs.
        warm_up: updates of a kind, 1 or more, before it is recorded.
        shortcuts: are told about failures, as in ``make_whole_update``.
    """

    def __init__(
        self,
        agent: Agent,
        update: Update,
        draw: Draw,
        generator: Generator,
        recorder: Recorder,
        *,
        inputs: StaticInputs | None = None,
        warm_up: int = WARM_UP,
        shortcuts: Shortcuts | None = None,
    ) -> None:
        if warm_up < 1:
            raise ValueError(f"warm_up is {warm_up}: it must be 1 or more, or the optimizers' state would be recorded")
        self._agent, self._update, self._generator = agent, update, generator
        self._draw, self._inputs, self._recorder, self._warm_up = draw, inputs, recorder, warm_up
        self._shortcuts, self._failure = shortcuts, None if shortcuts is None else shortcuts.recording.failure
        self._warm: Counter[Kind] = Counter()
        self._replays: dict[Kind, Callable[[], Metrics]] = {}
        self._recorded = self._what_was_recorded()

    @property
    def path(self) -> str:
        if self._failure is not None:
            return f"one operation after the other: recording them failed ({self._failure})"
        sampling = "sampling included" if self._inputs is None else "fed with batches from host memory"
        return f"one CUDA graph for each kind of update, {sampling}"

    def __call__(self, index: int) -> Metrics:
        source = self._source(index)
        if self._failure is None:
            self._forget_if_what_was_recorded_is_past()
            metrics = self._by_recorder(source, index)
            if metrics is not None:
                return metrics
        return self._update(source(), self._generator, index)

    def ahead(self, index: int) -> str | None:
        if self._shortcuts is None:
            return None
        kind = kind_of(self._agent, index)
        records = self._failure is None and kind not in self._replays and self._warm[kind] >= self._warm_up
        return self._shortcuts.compilation.announce() or (self._shortcuts.recording.announce() if records else None)

    def _source(self, index: int) -> Callable[[], Sample]:
        """Where an update gets its batches, in order; those from host memory are put in their places now."""
        if self._inputs is None:
            return lambda: lambda size: self._draw(size).batch()
        placed = self._inputs.fill([self._draw(size) for size in batch_sizes(self._agent, index)])

        def from_the_first() -> Sample:
            following: Iterator[Transitions] = iter(placed)
            return lambda size: next(following).batch()

        return from_the_first

    def _by_recorder(self, source: Callable[[], Sample], index: int) -> Metrics | None:
        """The metrics of the update; None if recording failed, in which case neither it nor a draw was performed."""
        kind, before = kind_of(self._agent, index), self._generator.get_state()
        warms = kind not in self._replays and self._warm[kind] < self._warm_up
        keys: list[str] = []

        def work() -> Tensor:
            metrics = self._update(source(), self._generator, index)
            keys[:] = metrics
            return torch.stack(list(metrics.values()))  # one tensor, so that copying it is one operation

        def named(values: Tensor) -> Metrics:
            return dict(zip(keys, values.unbind(), strict=True))

        begun = False

        def begin() -> Tensor:
            nonlocal begun
            begun = True
            return work()

        try:
            if warms:
                self._warm[kind] += 1
                return named(self._recorder.warm_up(begin))
            if kind not in self._replays:
                with NETWORKS_LOCK:
                    replay = self._recorder.record(work)
                self._replays[kind] = lambda: named(replay())
            return self._replays[kind]()
        except Exception as error:
            if begun:  # an update that was partly performed must not be repeated
                raise
            self._give_up(before)
            if self._shortcuts is None:
                raise
            self._shortcuts.recording.fail(error)
            self._failure = self._shortcuts.recording.failure
            return None

    def _give_up(self, before: Tensor) -> None:
        """Drop everything that was or was being recorded, and restore the generator's state from before."""
        self._replays.clear()
        self._warm.clear()
        for phase in self._agent.phases:
            for parameter in phase.owned():
                parameter.grad = None
        self._recorder.give_up()
        self._generator.set_state(before)

    def _what_was_recorded(self) -> list[object]:
        """What recordings depend on: where the optimizers' state is, and whether losses are compiled."""
        failure = None if self._shortcuts is None else self._shortcuts.compilation.failure
        return [*(phase.optimizer.state for phase in self._agent.phases), failure]

    def _forget_if_what_was_recorded_is_past(self) -> None:
        now = self._what_was_recorded()
        if any(one is not other for one, other in zip(now, self._recorded, strict=True)):
            self._recorded = now
            self._warm.clear()
            self._replays.clear()
