"""The whole update, from sampling to the move of the targets, as CUDA graphs that are recorded once and replayed.

An update is a thousand and more small operations, which take a processor longer to launch than a GPU to do. A graph is
launched at once. It does the same operations on the same memory again, so there is one for every kind of update, and
whatever differs between updates of a kind must lie in tensors that are changed in place: weights, Adam's moments and
step counts, what the replay holds, the state of the generator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol, final

import torch
from torch import Generator, Tensor

from saccade.agents.agent import Agent, Sample, Update
from saccade.data.replay import ReplayBuffer, Transitions
from saccade.types import Batch

WARM_UP = 3  # updates of a kind before it is recorded: they compile, choose algorithms and make the optimizers' state

Draw = Callable[[int], Transitions]
Kind = tuple[tuple[str, frozenset[str], bool], ...]
Metrics = dict[str, Tensor]


class WholeUpdate(Protocol):
    """``(update_index) -> metrics``: one whole update, sampling included; metrics are scalars on the device.

    ``path``: for people, how updates are performed and, where that is not the fastest way, why.
    """

    @property
    def path(self) -> str: ...

    def __call__(self, index: int) -> Metrics: ...


class Recorder(Protocol):
    """What performs work once now, or records it to be performed later, again and again."""

    def warm_up(self, work: Callable[[], Metrics]) -> Metrics:
        """Perform the work where it will be recorded, so that recording finds all that it needs."""
        ...

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A function that performs the work and returns a new copy of its result. Recording itself changes nothing."""
        ...


def kind_of(agent: Agent, index: int) -> Kind:
    """What one update has in common with others: the phases that run, their terms that count, and if ``after`` runs."""
    return tuple(
        (phase.name, phase.begun(index), index % phase.after_every == 0)
        for phase in agent.phases
        if index % phase.every == 0
    )


def batch_sizes(agent: Agent, index: int) -> tuple[int, ...]:
    """Sizes of the batches that an update samples, in that order: the minibatch, and those that phases have alone."""
    due = (phase.own_batch for phase in agent.phases if index % phase.every == 0)
    return (agent.batch_size, *(own.size for own in due if own is not None))


def make_whole_update(
    agent: Agent,
    update: Update,
    replay: ReplayBuffer,
    generator: Generator,
    host_generator: Generator,
    *,
    eager_because: str | None = None,
) -> WholeUpdate:
    """CUDA graphs where the agent is on a GPU, and what they cannot be used for done one operation after the other.

    Args:
        update: what ``make_update`` made of the agent; on a GPU its optimizers must be ``capturable``.
        replay: on the agent's device it is sampled with ``generator``, as a part of the graph. In host memory it is
            sampled with ``host_generator`` before the graph, which begins with a copy; make such a buffer ``pinned``.
        generator: of the agent's device, for whatever ``Agent.prepare`` draws.
        eager_because: why there shall be no graphs, such as pictures in host memory; None if they are wanted.
    """
    device = generator.device
    resident = replay.device.type == device.type

    def draw(size: int) -> Transitions:
        return replay.draw(size, generator if resident else host_generator)

    if device.type != "cuda":
        eager_because = "CUDA graphs need a GPU"
    if eager_because is not None:
        return EagerUpdate(update, draw, generator, f"one operation after the other: {eager_because}")
    inputs = None if resident else StaticInputs(device)
    return CapturedUpdate(agent, update, draw, generator, CUDAGraphs(generator), inputs=inputs)


@final
class EagerUpdate:
    """A ``WholeUpdate`` that does one operation after the other."""

    def __init__(self, update: Update, draw: Draw, generator: Generator, path: str) -> None:
        self.path = path
        self._update, self._draw, self._generator = update, draw, generator

    def __call__(self, index: int) -> Metrics:
        return self._update(self._sample, self._generator, index)

    def _sample(self, size: int) -> Batch:
        return self._draw(size).to(self._generator.device).batch()


@final
class StaticInputs:
    """Where a graph reads batches that come from host memory: one place for each batch of an update."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._places: dict[tuple[int, int], Transitions] = {}

    def fill(self, drawn: list[Transitions]) -> list[Transitions]:
        """Copy the batches of one update to their places, which they are given at their first time."""
        return [self._put((order, len(batch.reward)), batch) for order, batch in enumerate(drawn)]

    def _put(self, name: tuple[int, int], batch: Transitions) -> Transitions:
        if name not in self._places:
            self._places[name] = Transitions(*(torch.empty_like(value, device=self._device) for value in batch))
        for place, value in zip(self._places[name], batch, strict=True):
            place.copy_(value, non_blocking=self._device.type == "cuda")
        return self._places[name]


@final
class CapturedUpdate:
    """A ``WholeUpdate`` whose kinds are each performed a few times as they are, then recorded, then replayed.

    Every call is one real update, whichever way. Weights and buffers must stay where they are in memory, as they do in
    ``Module.load_state_dict``. ``Optimizer.load_state_dict`` moves what it loads: all is then recorded anew.

    Args:
        draw: samples transitions: on the device where ``inputs`` is None, else in host memory.
        generator: the only one that recorded work draws from.
        inputs: where batches from host memory are put for the graphs.
        warm_up: updates of a kind, 1 or more, before it is recorded.
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
    ) -> None:
        if warm_up < 1:
            raise ValueError(f"warm_up is {warm_up}: it must be 1 or more, or the optimizers' state would be recorded")
        self._agent, self._update, self._generator = agent, update, generator
        self._draw, self._inputs, self._recorder, self._warm_up = draw, inputs, recorder, warm_up
        self._warm: Counter[Kind] = Counter()
        self._replays: dict[Kind, Callable[[], Metrics]] = {}
        self._moments = self._optimizer_states()

    @property
    def path(self) -> str:
        sampling = "sampling included" if self._inputs is None else "fed with batches from host memory"
        return f"one CUDA graph for each kind of update, {sampling}"

    def __call__(self, index: int) -> Metrics:
        self._forget_if_optimizers_were_loaded()
        kind, sample = kind_of(self._agent, index), self._source(index)
        if kind not in self._replays:
            if self._warm[kind] < self._warm_up:
                self._warm[kind] += 1
                return self._recorder.warm_up(lambda: self._update(sample, self._generator, index))
            self._replays[kind] = self._record(sample, index)
        return self._replays[kind]()

    def _source(self, index: int) -> Sample:
        """Where the update gets its batches; those from host memory are put in their places now."""
        if self._inputs is None:
            return lambda size: self._draw(size).batch()
        placed = self._inputs.fill([self._draw(size) for size in batch_sizes(self._agent, index)])
        following: Iterator[Transitions] = iter(placed)
        return lambda size: next(following).batch()

    def _record(self, sample: Sample, index: int) -> Callable[[], Metrics]:
        keys: list[str] = []

        def work() -> Tensor:
            metrics = self._update(sample, self._generator, index)
            keys[:] = metrics
            return torch.stack(list(metrics.values()))  # one tensor, so that handing it out is one operation

        replay = self._recorder.record(work)
        return lambda: dict(zip(keys, replay().unbind(), strict=True))

    def _optimizer_states(self) -> list[object]:
        return [phase.optimizer.state for phase in self._agent.phases]

    def _forget_if_optimizers_were_loaded(self) -> None:
        states = self._optimizer_states()
        if any(now is not before for now, before in zip(states, self._moments, strict=True)):
            self._moments = states
            self._warm.clear()
            self._replays.clear()


@final
class CUDAGraphs:
    """A ``Recorder`` of CUDA graphs that share their memory.

    They may be replayed in any order: nothing in that memory outlives a replay but its result, which is copied at once.
    Gradients live there too, and are gone when a phase has made its step. Work is warmed up on the stream that it is
    recorded on, so that workspaces of libraries exist before. While work is recorded, no other thread may draw from the
    GPU's default generator.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator, self._device = generator, generator.device
        self._stream = torch.cuda.Stream(self._device)
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: list[torch.cuda.CUDAGraph] = []

    def warm_up(self, work: Callable[[], Metrics]) -> Metrics:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            metrics = work()
        current.wait_stream(self._stream)
        return metrics

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        try:
            # Only this thread must keep to what can be recorded: another one may evaluate on the same GPU.
            with (
                torch.cuda.device(self._device),
                torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
            ):
                result = work()
        except RuntimeError as error:
            error.add_note("An update was being recorded as a CUDA graph, in which nothing may wait for the GPU.")
            raise
        self._graphs.append(graph)  # kept: memory that no graph holds any more could not be shared again

        def replay() -> Tensor:
            graph.replay()
            return result.clone()

        return replay
