"""Options of ``saccade bench``; importing them does not load torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Bench:
    """Reproduce a paper's table, or run your own experiment, with one command: list, show, run, report.

    A grid runs each of its methods on every task with every seed. It can be stopped at any moment; the same command
    continues with what is missing. Its runs are ordinary runs, made by commands that you could type yourself. What
    would be
    run: `saccade bench show NAME`, with the same options.
    """

    verb: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="{list,show,run,report}")]
    """list: grids and published tables; show: published numbers, what has run, what is missing and what it would cost
    here; run: run what is missing; report: write the page."""
    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """A grid named by `saccade bench list`, a FILE.toml that describes one, or FILE.PY:NAME, whose file is executed."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="PRESET")] = None
    """Preset that every run starts with, and the grid's form of that name, such as small; by default the grid's own."""
    methods: tuple[str, ...] = ()
    """Methods to run, named as the grid's rows; by default all. Their teachers are included."""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK")] = ()
    """Tasks to run; by default all of the grid's."""
    seeds: int | None = None
    """Number of seeds: the first of the grid's, or more than it has; by default all of the grid's."""
    out: Path | None = None
    """Folder for the runs; by default runs/bench/NAME, followed by the preset if that is not paper."""
    executor: str = "local"
    """Where runs are carried out: local, ray or slurm."""
    slots: int | None = None
    """Runs at the same time; by default 1 here, as many as the cluster holds with ray, and 100 jobs with slurm."""
    threads: int | None = None
    """Threads for each run; by default this machine's cores, shared by the slots, and 1 on a cluster."""
    gpus: float | None = None
    """GPUs for each run, or a fraction of one, such as 0.25; by default this machine's, shared by the slots, and 0 on
    a cluster."""
    retries: int = 2
    """How often to retry a crashed run from its newest checkpoint."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Address of a running Ray cluster, or auto; by default ray starts one on this machine."""
    seconds_between_copies: float = 60.0
    """With ray, seconds between copies of a run from the machine that carries it out."""
    partition: str | None = None
    """With slurm, the partition; by default Slurm's default."""
    hours: float = 24.0
    """With slurm, the time limit of a job; a run that needs more gets another job."""
    images: str | None = None
    """Folder of pictures to blend into observations, for every run."""
    data: str | None = None
    """The benchmark's data folder, for every run."""
    device: str | None = None
    """Device on which every run trains: auto, cpu, cuda."""
    measure: bool = False
    """With show: first measure how fast each method is on this machine, which takes a minute for each."""
