"""What all loops share: how their updates are made and performed, and what is due after them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing

import torch

from saccade.agents.agent import Agent, make_update
from saccade.agents.recorded_updates import Source, WholeUpdate, make_whole_update
from saccade.agents.shortcuts import Shortcuts, make_shortcuts
from saccade.runs.torch_setup import is_compiled
from saccade.runs.training import Training
from saccade.train.events import Event, due, position
from saccade.train.loop import Loop


def make_generators(seed: int, device: torch.device) -> tuple[torch.Generator, torch.Generator]:
    """Return the generators of the device that learns, and of the host: one and the same on a CPU."""
    host = torch.Generator().manual_seed(seed)
    return (host if device.type == "cpu" else torch.Generator(device).manual_seed(seed)), host


def make_updates(
    config: Training,
    agent: Agent,
    source: Source,
    generators: tuple[torch.Generator, torch.Generator],
    device: torch.device,
    eager_because: str | None,
) -> tuple[Shortcuts, WholeUpdate]:
    """Return an agent's whole updates from a source of minibatches, and the shortcuts that they take.

    eager_because: why they cannot be recorded as CUDA graphs, for messages; None if they can be.
    """
    compiled = is_compiled(config, device)
    shortcuts = make_shortcuts(config.compile if compiled else "off", config.graphs)
    update = make_update(agent, compile_losses=compiled, shortcut=shortcuts.compilation)
    return shortcuts, make_whole_update(
        agent, update, source, *generators, eager_because=eager_because, shortcuts=shortcuts
    )


def with_evaluations(loop: Loop, training: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """Yield the events of training, and between them results of the running evaluation; both end together."""
    with closing(loop.evaluations), closing(training):
        for event in training:
            yield event
            yield from loop.evaluations.results()


def perform_update(loop: Loop) -> Iterator[Event]:
    """Perform one update; yield messages about what takes long in it, and about what failed."""
    counters = loop.counters
    if (ahead := loop.update.ahead(counters.updates)) is not None:
        yield Event("note", {**position(counters), "note": ahead})
    began = time.monotonic()
    loop.health.note(loop.update(counters.updates))
    counters.updates += 1
    counters.seconds += time.monotonic() - began
    for failure in loop.shortcuts.news():
        yield Event("warning", {**position(counters), "warning": failure})


def was_interrupted(loop: Loop) -> bool:
    """Return whether the run was stopped while its current weights were being evaluated."""
    return loop.counters.modes_left > 0 and loop.counters.evaluated_at == loop.counters.env_steps


def after_updates(loop: Loop, interrupted: bool) -> Iterator[Event]:
    """Yield what is due once the updates of a tick are made: losses to be read, an evaluation, a checkpoint.

    interrupted: what ``was_interrupted`` returned before the evaluation continued.
    """
    config, counters = loop.config, loop.counters
    finished = counters.env_steps >= config.steps
    if len(loop.health) >= config.log_every:
        yield _losses(loop)
    evaluation_due = loop.evaluations.due(finished)
    if evaluation_due:
        yield from loop.evaluations.begin()
    unevaluated = evaluation_due or interrupted or counters.modes_left > 0
    unsaved = finished and unevaluated  # even if the last step was saved
    if finished:
        yield from loop.evaluations.finish()
    if unsaved or due(counters.checkpointed_at, counters.env_steps, config.checkpoint_every, finished):
        if len(loop.health):
            yield _losses(loop)
        loop.health.require_finite()
        yield Event("checkpoint_due")


def _losses(loop: Loop) -> Event:
    return Event("losses", {**position(loop.counters), **loop.health.read()})
