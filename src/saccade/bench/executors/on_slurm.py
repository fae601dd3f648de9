"""Jobs by Slurm, each an own batch job that submitit asks for; its folder must be one that every machine sees."""

from __future__ import annotations

import importlib
import shutil
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from saccade.bench.executors import Wanted, refuse_shares
from saccade.bench.work import INTERRUPTED, Ended, Job, Share, carry_out
from saccade.types import UserError

USUAL_SLOTS = 100
PROGRAM = "sbatch"
SECONDS_TO_SAVE = 120
ASKED = ".slurm"
"""In the grid's folder: what submitit writes of each job."""


def work(job: Job, folder: Path, share: Share, stop_file: Path) -> Ended:
    """What a batch job does. A signal asks it to save and leave, as does a file that a cancelled grid leaves."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return carry_out(job, folder, share, lambda: stop.is_set() or stop_file.exists())


@dataclass
class SlurmExecutor:
    """Batch jobs of submitit; ``submitter`` is its executor."""

    wanted: Wanted
    submitter: Any
    slots: int
    _jobs: dict[str, tuple[Job, Any]] = field(default_factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)

    @property
    def _stop_file(self) -> Path:
        return self.wanted.folder / ASKED / "stop"

    def start(self, job: Job) -> None:
        self._stop_file.unlink(missing_ok=True)
        share = Share(self.wanted.threads or 1)
        asked = self.submitter.submit(work, job, self.wanted.folder, share, self._stop_file)
        self._jobs[job.name] = job, asked

    def ended(self) -> list[Ended]:
        found = []
        for name, (_, asked) in list(self._jobs.items()):
            if asked.done():
                found.append(self._result(name, asked))
                del self._jobs[name]
        return found

    def _result(self, name: str, asked: Any) -> Ended:
        error = asked.exception()
        if error is None:
            result: Ended = asked.result()
            return result
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        if self._stopping:
            return Ended(name, INTERRUPTED, reason, stopped=True)
        # A machine that fails, or a job whose time is over, is no fault of the run: it goes on from its checkpoint.
        return Ended(name, 1, reason, lost=asked.state in ("NODE_FAIL", "PREEMPTED", "TIMEOUT"))

    def doing(self) -> Mapping[str, tuple[str, str]]:
        return {name: ("", f"job {asked.job_id}") for name, (_, asked) in self._jobs.items()}

    def stop(self) -> None:
        self._stopping = True
        if self._jobs:
            self._stop_file.touch()

    def close(self) -> None:
        self.stop()
        for _, asked in self._jobs.values():
            asked.cancel()
        self._jobs.clear()
        self._stop_file.unlink(missing_ok=True)


def slurm_executor(wanted: Wanted, cluster: str = "slurm") -> SlurmExecutor:
    """The executor of Slurm; ``cluster="local"`` is submitit's stand-in, processes of this machine.

    Raises:
        UserError: submitit or Slurm is missing, or numbers that no job can have.
    """
    try:
        submitit = importlib.import_module("submitit")
    except ImportError as error:
        raise UserError("--executor slurm needs submitit: pip install 'saccade-rl[cluster]'.") from error
    if cluster == "slurm" and shutil.which(PROGRAM) is None:
        raise UserError(f"There is no Slurm on this machine ({PROGRAM} is not found): use --executor local or ray.")
    slots = USUAL_SLOTS if wanted.slots is None else wanted.slots
    refuse_shares(wanted.slots, wanted.threads, wanted.gpus)
    if wanted.hours <= 0:
        raise UserError(f"--hours {wanted.hours:g} is too small: it must be more than 0.")
    if wanted.gpus and wanted.gpus != int(wanted.gpus):
        raise UserError(f"--gpus {wanted.gpus:g} is a part of a GPU, which Slurm does not give: use a whole number.")
    submitter = submitit.AutoExecutor(folder=str(wanted.folder / ASKED / "%j"), cluster=cluster)
    asked: dict[str, Any] = {"timeout_min": max(1, round(wanted.hours * 60)), "name": wanted.folder.name}
    if cluster == "slurm":
        asked["cpus_per_task"] = wanted.threads or 1
        asked["slurm_signal_delay_s"] = SECONDS_TO_SAVE
        if wanted.gpus:
            asked["gpus_per_node"] = int(wanted.gpus)
        if wanted.partition is not None:
            asked["slurm_partition"] = wanted.partition
    submitter.update_parameters(**asked)
    return SlurmExecutor(wanted, submitter, slots)
