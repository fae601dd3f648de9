"""The work of one cell: its missing commands one after another, each in a process that can be stopped.

A run that was begun resumes from its newest checkpoint. What a process prints goes to a log beside the runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from saccade.bench.cells import MARKS, RUN, TEACHER, TRAIN, Cell, Step
from saccade.train.logs import write_aside

LOGS = "logs"
CONFIG = "config.json"
PROGRAM = (sys.executable, "-m", "saccade")
BAD_INPUT, INTERRUPTED = 2, 130
SECONDS_BETWEEN_LOOKS = 0.05
GRACE_SECONDS = 120.0  # time to save, including a replay buffer of gigabytes
MOST_OF_A_LOG = 4000  # bytes at its end that are searched for a last sentence
SPOKEN = "saccade: "

# Start a program that ends with its parent, even when that is killed, and stays on its own cores. This takes
# milliseconds, and is a program of its own because code between fork and exec may hang.
LAUNCHER = """
import ctypes, os, signal, sys
parent, cores = int(sys.argv[1]), sys.argv[2]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
if os.getppid() == parent:
    os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Command:
    """A step with folders filled in, and the arguments to resume it with where it was begun before."""

    step: str
    words: tuple[str, ...]
    output: str
    mark: str | None = None
    resumed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Job:
    """What is missing of a cell, independent of any folder and small enough to be sent to another machine.

    ``needs``: the run of its teacher, which must exist. ``program``: the command that takes the arguments.
    """

    name: str
    commands: tuple[Command, ...]
    needs: str | None = None
    program: tuple[str, ...] = PROGRAM


@dataclass(frozen=True)
class Share:
    """The share of a machine that a job may use.

    Attributes:
        threads: number of threads to compute with.
        cores: cores that it may run on; none for any.
        gpus: numbers of the GPUs that it sees; None for all, empty for none.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    gpus: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Ended:
    """How a job ended: the exit code of its process, 0 where all is done, else with the last sentence it printed.

    ``lost``: the machine went away, which is not the job's fault. ``stopped``: it was asked to stop.
    """

    name: str
    code: int
    reason: str = ""
    lost: bool = False
    stopped: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)


def is_done(step: Step | Command, run: Path) -> bool:
    """Whether the step's file exists, and its mark where it has one."""
    return (run / step.output).exists() and (step.mark is None or (run / step.mark).exists())


def job_of(cell: Cell, folder: Path, program: tuple[str, ...] = PROGRAM) -> Job | None:
    """Return what is missing of a cell; None where nothing is."""
    run = folder / cell.name
    missing = tuple(command_of(step) for step in cell.steps if not is_done(step, run))
    return Job(cell.name, missing, cell.needs, program) if missing else None


def command_of(step: Step) -> Command:
    """Return the command of a step; it resumes with its own options, and its teacher's folder where that is now."""
    teacher = ("--teacher", TEACHER) if TEACHER in step.words else ()
    resumed = (TRAIN, "--resume", RUN, *teacher) if step.name == TRAIN else None
    return Command(step.name, step.words, step.output, step.mark, resumed)


def log_of(folder: Path, name: str) -> Path:
    """Return the file in which the output of a job is kept."""
    return folder / LOGS / f"{name.replace('/', '_')}.log"


def carry_out(
    job: Job,
    folder: Path,
    share: Share,
    stopped: Callable[[], bool],
    begun: Callable[[str], None] = lambda step: None,
    looking: Callable[[], None] = lambda: None,
) -> Ended:
    """Do what is missing of a job in ``folder``, until it is done, fails or is stopped.

    begun: called with each step. looking: called now and then while a step runs.
    """
    run = folder / job.name
    seconds: dict[str, float] = {}
    log = log_of(folder, job.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    run.parent.mkdir(parents=True, exist_ok=True)
    for command in job.commands:
        if is_done(command, run):
            continue
        if stopped():
            return Ended(job.name, INTERRUPTED, stopped=True, seconds=seconds)
        begun(command.step)
        start = time.monotonic()
        words = _words(command, job, folder)
        code = _run((*job.program, *words), log, share, stopped, looking)
        seconds[command.step] = time.monotonic() - start
        if code != 0:
            return Ended(job.name, code, f"{command.step}: {_last_sentence(log, code)}", False, stopped(), seconds)
        if not (run / command.output).exists():
            return Ended(job.name, 1, f"{command.step} ended without {command.output}", seconds=seconds)
        if command.mark is not None:
            (run / MARKS).mkdir(exist_ok=True)
            text = json.dumps({"command": ["saccade", *words], "seconds": round(seconds[command.step], 3)})
            write_aside(run / command.mark, text)
    return Ended(job.name, 0, seconds=seconds)


def _words(command: Command, job: Job, folder: Path) -> list[str]:
    run = folder / job.name
    words = command.words
    if command.resumed is not None and (run / CONFIG).exists():
        words = command.resumed
    places = {RUN: str(run), TEACHER: str(folder / job.needs) if job.needs else ""}
    return [places.get(word, word) for word in words]


def _run(
    words: Sequence[str], log: Path, share: Share, stopped: Callable[[], bool], looking: Callable[[], None]
) -> int:
    """Run a process in its own group and return its exit code; it is asked to stop when it should, then forced to."""
    cores = ",".join(map(str, share.cores))
    launcher = (sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), cores)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(words)}\n".encode())
        out.flush()
        process = subprocess.Popen(
            (*launcher, *words),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_environment(share),
            start_new_session=True,  # Ctrl-C in a terminal goes to the process that runs the grid, which passes it on
        )
    asked = 0.0
    try:
        while not _is_over(process.pid):
            looking()
            if stopped() and not asked:
                asked = time.monotonic()
                _signal(process, signal.SIGTERM)
            if asked and time.monotonic() - asked > GRACE_SECONDS:
                _signal(process, signal.SIGKILL)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    except BaseException:  # such as KeyboardInterrupt in a worker that is asked to stop: the process may save, too
        _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while not _is_over(process.pid) and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise
    finally:
        _signal(process, signal.SIGKILL)  # whatever is left of its group, such as workers of environments
        process.wait()
    return process.returncode


def _is_over(pid: int) -> bool:
    """Whether a process has ended; it keeps its number until it is waited for, so its group can still be stopped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)


def _environment(share: Share) -> dict[str, str]:
    own = {**os.environ, "OMP_NUM_THREADS": str(share.threads), "PYTHONUNBUFFERED": "1"}
    if share.gpus is not None:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, share.gpus))
    return own


def _last_sentence(log: Path, code: int) -> str:
    """Return what the program said last, or the signal that ended it."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - MOST_OF_A_LOG))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("$ ")]
    spoken = [line.removeprefix(SPOKEN) for line in lines if line.startswith(SPOKEN) and "warning:" not in line]
    return (spoken or lines or [f"exit code {code}"])[-1][:400]
