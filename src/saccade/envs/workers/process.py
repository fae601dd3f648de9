"""One environment process: how its parent starts and loses it, what it does, and how the two communicate.

A process is a fresh interpreter, because OpenGL and its threads do not survive a fork. It does not
import the caller's main module, as `multiprocessing` would: so it holds a simulator and nothing else
(no torch), scripts need no main guard, and no tracker process or named memory can be left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from saccade.envs.workers.group import EnvGroup, map_block
from saccade.types import UserError

LENGTH = struct.Struct("!Q")  # of the pickle that follows it
EXIT_SECONDS = 2.0  # between a closed channel and the exit status that explains it
KILL_SECONDS = 5.0  # until a killed process is gone; longer only if a driver blocks it, which never recovers
PR_SET_PDEATHSIG = 1  # linux/prctl.h

# One process per core is the parallelism: more threads in each would only compete for the cores.
# In the environment before the interpreter starts, because it is read when the libraries are loaded.
SINGLE_THREADED = {
    "LP_NUM_THREADS": "1",  # Mesa's software renderer
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}

# Ctrl-C reaches every process of a terminal, and a batch system's SIGTERM every process of a job, but the parent
# alone decides what they mean.
START = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
import json, sys
sys.path[:], arguments = json.loads(sys.argv[1])
from saccade.envs.workers.process import serve
serve(*arguments)
"""


DEFAULT_OPENGL = "default"  # what MUJOCO_GL says, or else what a process finds
NO_OPENGL = ""  # for a simulator that renders without it


class WorkerError(RuntimeError):
    """An environment process raised an exception, or was lost for good; all of them were ended."""


class WorkerLost(WorkerError):
    """A process died or did not answer, which says nothing about its environments: another may continue with them."""


@dataclass(frozen=True)
class Channel:
    """Whole Python objects over a socket, between a process and the child that it started itself."""

    socket: socket.socket

    def send(self, message: bytes, deadline: float | None = None) -> None:
        """Raises ``TimeoutError`` after ``deadline`` (``time.monotonic``), ``OSError`` on a dead end."""
        self._wait_until(deadline)
        self.socket.sendall(LENGTH.pack(len(message)) + message)

    def receive(self, deadline: float | None = None) -> Any:
        """Raises ``EOFError`` when the other end is gone, ``TimeoutError`` after ``deadline``."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        return pickle.loads(self._read(length, deadline))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the other end went first
            self.socket.shutdown(socket.SHUT_RDWR)  # also for copies that a fork of this process holds
        self.socket.close()

    def _read(self, length: int, deadline: float | None) -> bytearray:
        data = bytearray(length)
        view, received = memoryview(data), 0
        while received < length:
            self._wait_until(deadline)
            count = self.socket.recv_into(view[received:])
            if count == 0:
                raise EOFError("the other end closed the channel")
            received += count
        return data

    def _wait_until(self, deadline: float | None) -> None:
        # 0 would mean "never block" to the socket, and raise another error than TimeoutError.
        self.socket.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))


@dataclass(frozen=True, eq=False)
class Worker:
    """One environment process, as its parent sees it."""

    number: int
    envs: tuple[int, ...]
    process: subprocess.Popen[bytes]
    channel: Channel

    def __str__(self) -> str:
        plural = "s" if len(self.envs) > 1 else ""
        return f"environment worker {self.number} (environment{plural} {', '.join(map(str, self.envs))})"

    def send(self, message: bytes, deadline: float) -> None:
        """Send; raises ``WorkerLost`` if the process hangs or is gone."""
        try:
            self.channel.send(message, deadline)
        except TimeoutError as error:
            raise WorkerLost(f"{self} reads no more: it hangs or was stopped") from error
        except OSError as error:
            raise self.explain_death() from error

    def receive(self, deadline: float) -> Any:
        """Return the answer; raises ``WorkerLost`` if there is none, or what the process raised."""
        try:
            kind, answer = self.channel.receive(deadline)
        except TimeoutError as error:
            raise WorkerLost(f"{self} stopped in the middle of an answer") from error
        except (EOFError, OSError) as error:
            raise self.explain_death() from error
        if kind == "user error":
            raise UserError(answer)
        if kind == "error":
            raise WorkerError(f"{self} raised an exception:\n\n{answer}")
        return answer

    def explain_death(self) -> WorkerLost:
        """Return the error once the channel is closed: the signal or the exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(EXIT_SECONDS)
        code = self.process.returncode
        if code is None:
            return WorkerLost(f"{self} closed its channel without ending")
        if code >= 0:
            return WorkerLost(f"{self} ended with exit code {code} in the middle of its work")
        hint = " (has the machine run out of memory?)" if -code == signal.SIGKILL else ""
        return WorkerLost(f"{self} was ended by {signal.Signals(-code).name}{hint}")


def start_worker(number: int, envs: tuple[int, ...], block_descriptor: int, opengl: str = DEFAULT_OPENGL) -> Worker:
    """Start a process that waits for ``(make, assignments)`` on its channel; see ``serve``.

    ``opengl`` is its MUJOCO_GL.
    """
    ours, theirs = socket.socketpair()
    # The kernel's signal comes when the *thread* that started the process ends, so only the main one
    # may ask for it; with any other, the closed channel alone ends the worker.
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else None
    arguments = json.dumps([sys.path, [theirs.fileno(), block_descriptor, parent]])
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", START, arguments],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **SINGLE_THREADED, **opengl_variables(opengl)},
            pass_fds=(theirs.fileno(), block_descriptor),
        )
    return Worker(number, envs, process, Channel(ours))


def opengl_variables(backend: str) -> dict[str, str]:
    """Return the variables that make a process render with ``backend``, a value of MUJOCO_GL."""
    if backend in (DEFAULT_OPENGL, NO_OPENGL):
        return {}
    return {"MUJOCO_GL": backend} | ({"PYOPENGL_PLATFORM": backend} if backend in ("egl", "osmesa") else {})


def current_opengl() -> str:
    """Return the backend that this process was given, or has chosen, to render with."""
    return os.environ.get("MUJOCO_GL") or DEFAULT_OPENGL


def end_workers(workers: list[Worker], grace_seconds: float) -> None:
    """Close every channel, which tells workers to leave; kill those still there after ``grace_seconds``."""
    for worker in workers:
        worker.channel.close()
    deadline = time.monotonic() + grace_seconds
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(deadline - time.monotonic(), 0.0))
    for worker in workers:
        worker.process.kill()  # also ends a stopped process; does nothing to one that has ended
    deadline = time.monotonic() + KILL_SECONDS
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(deadline - time.monotonic(), 0.0))
    workers.clear()


def serve(channel_descriptor: int, block_descriptor: int, parent: int | None) -> None:
    """Run a worker: make the environments, then answer commands until the channel closes.

    An exception is not caught here: it ends the process, and its traceback goes to the parent.

    Args:
        parent: the process to die with, or None where only the closed channel tells.
    """
    channel = Channel(socket.socket(fileno=channel_descriptor))
    sys.excepthook = report_to(channel)
    warnings.showwarning = tell_warning
    if parent is not None:
        die_with(parent)
    with contextlib.suppress(EOFError):  # the parent closed the channel, or is gone: time to leave
        answer_commands(channel, block_descriptor)


def answer_commands(channel: Channel, block_descriptor: int) -> None:
    """Converse with the parent: assignments and spaces, the block's shape and what to repeat, then commands.

    Assignments have three answers, one after the other, since they may take very different times: once the renderer is
    loaded, whether it is a GPU; once a first picture is rendered, by what; once the environments are made, their
    spaces. A command is answered with its results and with the states after it of the environments in ``saved``.
    """
    make, renderer, assignments = channel.receive()
    channel.send(pickle.dumps(("done", renderer is not None and renderer.load())))
    channel.send(pickle.dumps(("done", "" if renderer is None else renderer.draw())))
    with contextlib.closing(EnvGroup(make, assignments)) as group:
        channel.send(pickle.dumps(("done", (group.spaces(), current_opengl()))))
        shape, repetitions = channel.receive()
        group.attach(map_block(block_descriptor, shape))
        channel.send(pickle.dumps(("done", group.run("repeat", repetitions))))
        while True:
            command, requests, saved = channel.receive()
            results = group.run(command, requests)
            channel.send(pickle.dumps(("done", (results, group.states(saved)))))


def report_to(
    channel: Channel,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return a ``sys.excepthook`` that reports to the parent why this process ends."""

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, UserError):
            message = ("user error", str(error))
        else:
            message = ("error", "".join(traceback.format_exception(kind, error, trace)))
        with contextlib.suppress(OSError):  # the parent is gone
            channel.send(pickle.dumps(message))

    return report


def tell_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning in one line, as the command line does; its place in the code is left out."""
    sys.stderr.write(f"saccade: warning: {message}\n")


def die_with(parent: int) -> None:
    """Make the kernel end this process when its parent dies, even if stopped or in an endless loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
