"""What can be typed after ``saccade bench``, and what it means; importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Bench:
    """A table of a paper, or an experiment of your own, by one command: list, show, run, report.

    A grid is every one of its methods on every task with every seed. It can be stopped at any moment; the same command
    goes on with what is missing. Its runs are ordinary ones, and its commands those that you could type. What would be
    run: `saccade bench show NAME`, with the same options.
    """

    verb: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="{list,show,run,report}")]
    """list: grids and published tables; show: published numbers, what has run, what is missing and what it would cost
    here; run: run what is missing; report: write the page."""
    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """A grid of `saccade bench list`, a file FILE.toml that describes one, or FILE.PY:NAME, whose file is run."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="PRESET")] = None
    """What every run starts with, and the grid's form of that name, such as small; by default the grid's own."""
    methods: tuple[str, ...] = ()
    """Its methods to run, as its rows are called; by default all. Teachers of these come along."""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK")] = ()
    """Its tasks to run; by default all."""
    seeds: int | None = None
    """How many seeds: the first of the grid's, or more; by default all of the grid's."""
    out: Path | None = None
    """Folder of its runs; by default runs/bench/NAME, with the preset after it where that is not paper."""
    executor: str = "local"
    """Where its runs are done: local, ray or slurm."""
    slots: int | None = None
    """Runs at the same time; by default 1 here, what the cluster holds with ray, and 100 jobs with slurm."""
    threads: int | None = None
    """Threads of each run; by default the cores of this machine, shared by the slots, and 1 on a cluster."""
    gpus: float | None = None
    """GPUs of each run, or the part of one, such as 0.25; by default all of this machine, shared by the slots, and 0 on
    a cluster."""
    retries: int = 2
    """How often a run that crashed is tried again from its newest checkpoint."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Of a Ray cluster that is there, or auto; by default ray begins one on this machine."""
    seconds_between_copies: float = 60.0
    """With ray, seconds between copies of a run from the machine that makes it."""
    partition: str | None = None
    """With slurm, the partition; by default Slurm's own."""
    hours: float = 24.0
    """With slurm, the longest time of a job, which is asked for again where a run needs more."""
    images: str | None = None
    """Folder of pictures to blend into observations, in every run."""
    data: str | None = None
    """The benchmark's data folder, in every run."""
    device: str | None = None
    """Where every run trains: auto, cpu, cuda."""
    measure: bool = False
    """With show: first measure how fast each method is here, which takes a minute for each."""
