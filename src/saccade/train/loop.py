"""The protocol of all training loops: their events, and a state that they save and restore themselves.

A session, a progress bar and a checkpoint know this protocol and no particular loop.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.agents.recorded_updates import WholeUpdate
from saccade.agents.shortcuts import Shortcuts
from saccade.data.checkpoints import Checkpoint, Segment
from saccade.runs.training import Training
from saccade.train.evaluations import Evaluations
from saccade.train.events import Counters, Event, Progress
from saccade.train.health import Health
from saccade.types import Spaces


class Snapshot(NamedTuple):
    """What a loop must restore beyond what all loops have: by file, as ``write_checkpoint`` takes it.

    ``changing`` is copied at once. The loop leaves the contents of ``lasting`` and ``segments`` unchanged until the
    checkpoint is written.
    """

    changing: Mapping[str, Mapping[str, Tensor]]
    documents: Mapping[str, Any]
    lasting: Mapping[str, Mapping[str, Tensor]] = {}
    segments: tuple[Segment, ...] = ()


class Loop(Protocol):
    """A training run in progress: an agent, what feeds it, and every random generator.

    Attributes:
        generator, host_generator: of the device that learns, and of the host; one and the same on a CPU.
        paths: where things are stored on this machine, for messages.
        started: whether the first episodes have begun; ``restore`` sets it.
    """

    config: Training
    agent: Agent
    spaces: Spaces
    device: torch.device
    generator: torch.Generator
    host_generator: torch.Generator
    counters: Counters
    health: Health
    evaluations: Evaluations
    shortcuts: Shortcuts
    update: WholeUpdate
    paths: tuple[str, ...]
    started: bool

    def events(self) -> Generator[Event, None, None]:
        """Train, yielding events, until all steps and the final evaluation are done.

        What is due is derived from the counters, so that a run restored from a checkpoint of any moment continues with
        exactly what would have come next. Only the time at which results of evaluations arrive depends on the machine.
        Between two events all state is consistent.
        """
        ...

    def progress(self) -> Progress:
        """Return how far the run is."""
        ...

    def ways(self) -> list[str]:
        """Return how updates are performed, and how environments are spread, for messages."""
        ...

    def snapshot(self, root: Path) -> Snapshot:
        """What a checkpoint below ``root`` stores of this loop besides weights, optimizers, generators, counters."""
        ...

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore what ``snapshot`` returned."""
        ...
