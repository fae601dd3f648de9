"""Jobs on a Ray cluster: machines need not share a disk, since what a run writes is copied home while it runs.

A job that is started again, on any machine, first fetches what came home: a node that dies loses what was not
copied yet.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saccade.bench.executors import Wanted, refuse_shares
from saccade.bench.work import INTERRUPTED, Ended, Job, Share, carry_out, log_of
from saccade.data.files import written_aside
from saccade.types import UserError

SECONDS_TO_ANSWER = 5.0
Stamp = tuple[int, int]
"""Size and time of a file, which tell whether it changed."""


class Home:
    """Where runs come home to: an actor on the machine that asked for the grid, and the only one that writes there."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._doing: dict[str, tuple[str, str]] = {}
        self._stop = False

    def files(self, names: list[str]) -> dict[str, bytes]:
        """What is there of these runs and their logs, by the path below the grid's folder."""
        found: dict[str, bytes] = {}
        for name in names:
            for path in files_of(self._folder, name):
                found[str(path.relative_to(self._folder))] = path.read_bytes()
        return found

    def take(self, name: str, changed: dict[str, bytes], there: list[str]) -> bool:
        """Write what changed of a run, drop what it no longer has, and say whether it shall stop."""
        for path, content in changed.items():
            place = self._folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(place) as aside:
                aside.write_bytes(content)
        for kept in files_of(self._folder, name):
            if str(kept.relative_to(self._folder)) not in there:
                kept.unlink()
        return self._stop

    def begun(self, name: str, step: str, place: str) -> None:
        """A run says what it does, and where."""
        self._doing[name] = (step, place)

    def doing(self) -> dict[str, tuple[str, str]]:
        """What each run said last."""
        return self._doing

    def stop(self) -> None:
        """From now on every run is told to save and leave."""
        self._stop = True

    def stopping(self) -> bool:
        """Whether runs shall leave."""
        return self._stop


def files_of(folder: Path, name: str) -> list[Path]:
    """The files of a run and its log that are whole: what is being written has another name."""
    run = folder / name
    found = [path for path in sorted(run.rglob("*")) if path.is_file() and not _is_passing(path, run)]
    log = log_of(folder, name)
    return [*found, log] if log.is_file() else found


def _is_passing(path: Path, run: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(run).parts)


@dataclass
class _Copying:
    """Copies of a run on their way home: only of what changed since the last one."""

    home: Any
    job: Job
    folder: Path
    seconds: float
    _seen: dict[str, Stamp] = field(default_factory=dict)
    _copied_at: float = field(default_factory=time.monotonic)
    _asked_at: float = 0.0
    stop: bool = False

    def fetch(self) -> None:
        """What came home before, of the run and of its teacher's."""
        ray = importlib.import_module("ray")
        names = [self.job.name, *([self.job.needs] if self.job.needs else [])]
        for path, content in ray.get(self.home.files.remote(names)).items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self._seen = self._stamps()

    def look(self) -> None:
        """Copy if it is time to, and ask whether to stop."""
        if time.monotonic() - self._asked_at > min(1.0, self.seconds):
            self._asked_at = time.monotonic()
            ray = importlib.import_module("ray")
            self.stop = ray.get(self.home.stopping.remote())
        if time.monotonic() - self._copied_at > self.seconds:
            self.copy()

    def copy(self) -> None:
        """Send home what changed."""
        ray = importlib.import_module("ray")
        self._copied_at = time.monotonic()
        now = self._stamps()
        changed: dict[str, bytes] = {}
        for path, stamp in now.items():
            if self._seen.get(path) != stamp:
                try:
                    changed[path] = (self.folder / path).read_bytes()
                except FileNotFoundError:  # an old checkpoint that went meanwhile
                    continue
        self.stop = ray.get(self.home.take.remote(self.job.name, changed, list(now)))
        self._seen = now

    def _stamps(self) -> dict[str, Stamp]:
        stamps: dict[str, Stamp] = {}
        for path in files_of(self.folder, self.job.name):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            stamps[str(path.relative_to(self.folder))] = stat.st_size, stat.st_mtime_ns
        return stamps


def work(job: Job, home: Any, threads: int, seconds: float) -> Ended:
    """What a Ray task does: fetch, run, copy home."""
    ray = importlib.import_module("ray")
    node = ray.get_runtime_context().get_node_id()[:6]
    place = f"{socket.gethostname()} ({node})"
    with tempfile.TemporaryDirectory(prefix="saccade-grid-") as scratch:
        copying = _Copying(home, job, Path(scratch), seconds)
        copying.fetch()

        def begun(step: str) -> None:
            ray.get(home.begun.remote(job.name, step, place))

        gpus = tuple(int(number) for number in ray.get_gpu_ids())
        share = Share(threads, gpus=gpus)
        try:
            return carry_out(job, Path(scratch), share, lambda: copying.stop, begun, copying.look)
        finally:
            copying.copy()


@dataclass
class RayExecutor:
    """Tasks of a Ray cluster."""

    wanted: Wanted
    slots: int
    ray: Any
    home: Any
    task: Any
    _tasks: dict[str, Any] = field(default_factory=dict, init=False)

    def start(self, job: Job) -> None:
        seconds = self.wanted.seconds_between_copies
        self._tasks[job.name] = self.task.remote(job, self.home, self.wanted.threads or 1, seconds)

    def ended(self) -> list[Ended]:
        if not self._tasks:
            return []
        names = {task: name for name, task in self._tasks.items()}
        over, _ = self.ray.wait(list(names), num_returns=len(names), timeout=0)
        found = [self._result(names[task], task) for task in over]
        for ended in found:
            del self._tasks[ended.name]
        return found

    def _result(self, name: str, task: Any) -> Ended:
        errors = self.ray.exceptions
        try:
            result: Ended = self.ray.get(task)
        except errors.TaskCancelledError:
            return Ended(name, INTERRUPTED, stopped=True)
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.ObjectLostError,
            errors.OutOfMemoryError,
        ) as error:
            return Ended(name, 1, f"its machine was lost: {_first_line(error)}", lost=True)
        except errors.RayError as error:
            return Ended(name, 1, _first_line(error), lost=isinstance(error, errors.RaySystemError))
        return result

    def doing(self) -> Mapping[str, tuple[str, str]]:
        if not self._tasks:
            return {}
        said = self.ray.get(self.home.doing.remote())
        return {name: said.get(name, ("", "")) for name in self._tasks}

    def stop(self) -> None:
        self.ray.get(self.home.stop.remote())

    def close(self) -> None:
        if not self.ray.is_initialized():
            return
        for task in self._tasks.values():
            self.ray.cancel(task)
        if self._tasks:
            self.ray.wait(list(self._tasks.values()), num_returns=len(self._tasks), timeout=SECONDS_TO_ANSWER)
        self._tasks.clear()
        self.ray.shutdown()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]


def ray_executor(wanted: Wanted) -> RayExecutor:
    """The executor of a Ray cluster: the one at the address, or one that begins on this machine.

    Raises:
        UserError: Ray is missing, nobody answers at the address, or the cluster has not what a run needs.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise UserError("--executor ray needs Ray: pip install 'saccade-rl[cluster]'.") from error
    refuse_shares(wanted.slots, wanted.threads, wanted.gpus)
    if wanted.seconds_between_copies <= 0:
        raise UserError(f"--seconds-between-copies {wanted.seconds_between_copies:g} must be more than 0.")
    if wanted.address not in (None, "auto", "local"):
        _refuse_silent(wanted.address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a task without GPUs leaves them as they are
    try:
        ray.init(
            address=wanted.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if wanted.address in (None, "local") else None,
        )
    except Exception as error:  # Ray has no common ancestor of what it raises here
        raise UserError(
            f"No Ray cluster answers at {wanted.address or 'this machine'}: {_first_line(error)}."
        ) from error
    try:
        return _made(ray, wanted)
    except BaseException:
        ray.shutdown()
        raise


def _made(ray: Any, wanted: Wanted) -> RayExecutor:
    threads, gpus = wanted.threads or 1, wanted.gpus or 0
    there = ray.cluster_resources()
    if gpus > there.get("GPU", 0):
        raise UserError(f"--gpus {gpus:g} for each run is more than the {there.get('GPU', 0):g} of the cluster.")
    if threads > there.get("CPU", 0):
        raise UserError(f"--threads {threads} for each run is more than the {there.get('CPU', 0):g} cores there.")
    fits = math.floor(there["CPU"] / threads)
    if gpus:
        fits = min(fits, math.floor(there["GPU"] / gpus + 1e-9))
    here = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    home = ray.remote(Home).options(num_cpus=0, scheduling_strategy=here).remote(str(wanted.folder))
    task = ray.remote(work).options(num_cpus=threads, num_gpus=gpus, max_retries=0)
    return RayExecutor(wanted, wanted.slots or max(1, fits), ray, home, task)


def _refuse_silent(address: str) -> None:
    """Raise UserError where nobody listens: Ray itself would go on asking for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise UserError(f"--address {address} is no HOST:PORT, such as 10.0.0.5:6379; auto finds a cluster here.")
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({error}): start one with `ray start --head`, or check the address."
        ) from error
