"""Where the jobs of a grid are done: on this machine, on a Ray cluster, or by Slurm. One small protocol for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from saccade.bench.work import Ended, Job
from saccade.later import Later
from saccade.types import UserError


class Executor(Protocol):
    """Does jobs below one folder. All of it is called from one thread."""

    @property
    def slots(self) -> int:
        """Jobs that it does at the same time."""

    def start(self, job: Job) -> None:
        """Begin a job; called while fewer than ``slots`` are under way."""

    def ended(self) -> list[Ended]:
        """The jobs that ended since the last call."""

    def doing(self) -> Mapping[str, tuple[str, str]]:
        """Of each job under way the step and the place, such as ``train`` and ``slot 1``."""

    def stop(self) -> None:
        """Ask every job to save and leave, and return at once: ``ended`` tells when they did."""

    def close(self) -> None:
        """Leave nothing running."""


@dataclass(frozen=True)
class Wanted:
    """What a person asks of an executor; None is its own choice.

    Attributes:
        folder: below which the runs are.
        slots: jobs at the same time.
        threads: that each computes with.
        gpus: of each run; a part of one where several share it.
        address: of a cluster that is there.
        partition, hours: of a batch system.
        seconds_between_copies: of runs that are on another machine's disk.
    """

    folder: Path
    slots: int | None = None
    threads: int | None = None
    gpus: float | None = None
    address: str | None = None
    partition: str | None = None
    hours: float = 24.0
    seconds_between_copies: float = 60.0


def refuse_shares(slots: int | None, threads: int | None, gpus: float | None) -> None:
    """Raise UserError for numbers that no run can have, wherever it is."""
    for name, value, least in (("slots", slots, 1), ("threads", threads, 1), ("gpus", gpus, 0)):
        if value is not None and value < least:
            raise UserError(f"--{name} {value:g} is too small: it must be at least {least}.")
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise UserError(f"--gpus {gpus:g} is neither a part of one GPU nor a whole number of them.")


EXECUTORS: Mapping[str, Callable[[Wanted], Executor]] = MappingProxyType(
    {
        "local": Later("saccade.bench.executors.local", "local_executor"),
        "ray": Later("saccade.bench.executors.on_ray", "ray_executor"),
        "slurm": Later("saccade.bench.executors.on_slurm", "slurm_executor"),
    }
)
"""By the name that a person types. Each raises UserError where it cannot be had, before anything runs."""
