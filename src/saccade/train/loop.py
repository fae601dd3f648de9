"""What every loop is to those around it: its events, and a state that it takes and restores itself.

A session, a progress bar and a checkpoint know this protocol and no single loop.
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
    """What a loop must find again beyond what all loops have: by file, as ``write_checkpoint`` takes it.

    Of ``changing`` a copy is made at once. What is in ``lasting`` and ``segments`` the loop leaves as it is until the
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
        paths: for people, where on this machine things are kept.
        started: whether the first episodes have begun; ``restore`` makes it so.
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
        """Train, yielding what happens, until all steps and the evaluation at their end are made.

        What is due is read off the counters, so that a run restored from a checkpoint of any moment goes on with
        exactly what would have come next. Only when the results of evaluations arrive depends on the machine. Between
        two events all state is consistent.
        """
        ...

    def progress(self) -> Progress:
        """How far the run is."""
        ...

    def ways(self) -> list[str]:
        """For people: how updates are performed, and how environments are spread."""
        ...

    def snapshot(self, root: Path) -> Snapshot:
        """What a checkpoint below ``root`` holds of this loop beyond weights, optimizers, generators and counters."""
        ...

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put back what ``snapshot`` gave."""
        ...
