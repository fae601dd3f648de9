"""`WorkerPool`: the processes of `EnvWorkers`; lost ones are replaced without loss."""

from __future__ import annotations

import pickle
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.connection import wait
from typing import Any, Generic, NamedTuple

from saccade.envs.workers.group import Config, EnvSpaces, MakeEnv, Renderer, Requests
from saccade.envs.workers.journal import Journal
from saccade.envs.workers.process import Worker, WorkerError, WorkerLost, end_workers, start_worker

LAST_LOOK_SECONDS = 0.5  # after a deadline: answers may have come while this process was stopped
GRACE_SECONDS = 5.0  # for environments to close before their process is killed
LOST_IN_A_ROW = 2  # without a completed command in between: then a new process does not help
ENVS_PER_DEADLINE = 8  # of one process; more are given proportionally more time
PICTURE_SECONDS = 20.0  # for a GPU's first picture once all is loaded: it takes 1, or hangs forever
RESET_IN_STEPS = 2  # a reset may take as long as this many steps: it may decode a clip
SOFTWARE_OPENGL = "osmesa"


class WorkerReplaced(RuntimeWarning):
    """An environment process was lost; the message says what is done so that its environments continue."""


class Arrangement(NamedTuple):
    """How environments are spread over processes at the moment."""

    processes: int
    """0 if they live in the caller's process."""
    environments: int
    opengl: str
    """MUJOCO_GL of the processes: ``egl``, ``osmesa`` or ``glfw``; ``default`` if nothing was chosen, and empty
    if they render without OpenGL."""
    replaced: int
    """Processes lost so far."""
    renderer: str = ""
    """What renders, in OpenGL's own words (GL_RENDERER); empty if unknown."""
    most_processes: int | None = None
    """How many processes can render at the same time without being lost, if more were tried."""

    def __str__(self) -> str:
        where = _in_processes(self.processes) if self.processes else "in this process"
        drawn = f"{self.opengl} ({self.renderer})" if self.renderer else self.opengl
        text = f"{self.environments} environment{'s' * (self.environments > 1)} {where}"
        text += f", OpenGL {drawn}" if self.opengl else ", rendering without OpenGL"
        text += f", {self.replaced} lost and replaced" if self.replaced else ""
        return text + (f", at most {self.most_processes} render at the same time here" if self.most_processes else "")


class WorkerPool(Generic[Config]):
    """Processes that hold environments, and one journal per environment.

    A process that dies or does not answer in time is killed; another makes its environments again, brings them to
    where their journals say they were, and performs what was lost. If that does not help, all environments are
    rearranged: in half as many processes, and so on down to one, then in one that renders in software. If
    several processes do not get a first picture from a GPU, they are known to block each other: then fewer are tried
    at once.

    Args:
        make: as ``EnvGroup``'s.
        renderer: tried in each process before it makes environments, if given.
        assignments: ``{environment: (config, seed)}``, numbered from 0.
        num_workers: processes to begin with; 0 makes a pool that is never used.
        block_descriptor: the file for observations.
        timeout_seconds: for making environments, repeating what they did, and their states.
        step_seconds: for a step; a reset has twice that, and so has a first picture drawn in software.
        picture_seconds: for a first picture drawn by a GPU.
        opengl: MUJOCO_GL of the processes.

    Raises:
        UserError: as raised by ``make``.
        WorkerError: a process raised (with its traceback), or was lost and nothing helped.
    """

    def __init__(
        self,
        make: MakeEnv[Config] | None,
        renderer: Renderer | None,
        assignments: Mapping[int, tuple[Config, int]],
        num_workers: int,
        block_descriptor: int,
        timeout_seconds: float,
        step_seconds: float,
        picture_seconds: float,
        opengl: str,
    ) -> None:
        self.workers: list[Worker] = []  # the caller ends exactly this list
        self.spaces: dict[int, EnvSpaces] = {}
        self._make, self._renderer, self._num_workers = make, renderer, num_workers
        self._assignments = dict(assignments)
        self._block_descriptor = block_descriptor
        self._block_shape: tuple[int, ...] | None = None
        self._timeout_seconds, self._step_seconds = timeout_seconds, step_seconds
        self._picture_seconds = picture_seconds
        self._opengl, self._drawn_by = opengl, ""
        self._most_processes: int | None = None
        self._journals = {index: Journal() for index in assignments}
        self._asked: list[Worker] = []
        self._lost: dict[Worker, WorkerLost] = {}
        self._losses: Counter[int] = Counter()  # in a row, by worker number
        self._crowded = False  # whether a GPU gave some processes no first picture
        self._tried: list[str] = []
        self._replaced = 0

    @property
    def arrangement(self) -> Arrangement:
        return Arrangement(
            len(self.workers),
            len(self._assignments),
            self._opengl,
            self._replaced,
            self._drawn_by,
            self._most_processes,
        )

    def start(self) -> None:
        """Start the processes and make the environments, whose ``spaces`` are known then."""
        self._start_workers(self._num_workers)
        self._make_environments(self.workers)
        self._recover()

    def share_block(self, shape: tuple[int, ...]) -> None:
        """Announce where observations go, once: [num_envs, channel, height, width]."""
        self._block_shape = shape
        self._repeat_journals(self.workers)
        self._recover()

    def reassign(self, assignments: Mapping[int, tuple[Config, int]]) -> None:
        """Replace the environments by the same number of others, which the command ``remake`` then makes."""
        assert assignments.keys() == self._assignments.keys()
        self._assignments = dict(assignments)
        self._journals = {index: Journal() for index in assignments}

    def post(self, command: str, requests: Requests) -> None:
        """Send a command whose results ``collect`` returns; a process that is found lost now is replaced then."""
        messages = {}
        for worker in self.workers:
            share = {index: requests[index] for index in worker.envs if index in requests}
            saved = [index for index in share if self._journals[index].needs_state(command)]
            if share:
                messages[worker] = pickle.dumps((command, share, saved))
        self._asked = list(messages)
        self._send(messages)

    def collect(self, command: str, requests: Requests) -> dict[int, Any]:
        """Wait for the results of what was posted, and recover processes that are lost meanwhile."""
        results: dict[int, Any] = {}
        drawing = {"step": self._step_seconds, "reset": RESET_IN_STEPS * self._step_seconds}
        seconds = drawing.get(command, self._timeout_seconds)
        while True:
            for worker, (answers, states) in self._receive(self._asked, seconds):
                del self._losses[worker.number]
                results |= answers
                for index, answer in answers.items():
                    if index in states:
                        self._journals[index].begin(states[index])
                    elif command == "step":
                        self._journals[index].add(requests[index][0], answer[0])
            if not self._lost:
                return results
            self._recover()
            self.post(command, {index: request for index, request in requests.items() if index not in results})

    def _send(self, messages: Mapping[Worker, bytes]) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        for worker, message in messages.items():
            try:
                worker.send(message, deadline)
            except WorkerLost as loss:
                self._lost[worker] = loss

    def _receive(
        self, workers: Iterable[Worker], seconds: float, awaited: str = "answer"
    ) -> Iterator[tuple[Worker, Any]]:
        """Yield answers as they come, until all but the lost have answered. ``awaited``: what to call them."""
        began = time.monotonic()
        silent = {worker.channel.socket: worker for worker in workers if worker not in self._lost}
        allowed = {worker: seconds * -(-len(worker.envs) // ENVS_PER_DEADLINE) for worker in silent.values()}
        while silent:
            deadline = began + min(allowed[worker] for worker in silent.values())
            ready = wait(list(silent), max(deadline - time.monotonic(), LAST_LOOK_SECONDS))
            for socket in ready:
                worker = silent.pop(socket)  # type: ignore[arg-type]
                try:
                    answer = worker.receive(time.monotonic() + allowed[worker])
                except WorkerLost as loss:
                    self._lost[worker] = loss
                else:
                    yield worker, answer
            if not ready:
                for socket, worker in list(silent.items()):
                    if began + allowed[worker] <= time.monotonic():
                        del silent[socket]
                        self._lost[worker] = WorkerLost(
                            f"no {awaited} within {allowed[worker]:g} seconds from {worker}"
                        )

    def _start_workers(self, count: int) -> None:
        for number in range(count):
            envs = tuple(range(number, len(self._assignments), count))
            self.workers.append(start_worker(number, envs, self._block_descriptor, self._opengl))

    def _make_environments(self, workers: Iterable[Worker]) -> None:
        """Send the first of two messages to a new process, after which its environments are new."""
        assigned = {worker: {index: self._assignments[index] for index in worker.envs} for worker in workers}
        self._send({worker: pickle.dumps((self._make, self._renderer, share)) for worker, share in assigned.items()})
        loaded = dict(self._receive(assigned, self._timeout_seconds))  # and whether a GPU draws
        for by_gpu, seconds in ((True, self._picture_seconds), (False, RESET_IN_STEPS * self._step_seconds)):
            drawing = [worker for worker, gpu in loaded.items() if gpu == by_gpu]
            for _, name in self._receive(drawing, seconds, awaited="first picture"):
                self._drawn_by = name
        self._crowded = any(loaded.get(worker, False) for worker in self._lost)
        for _, (spaces, opengl) in self._receive(assigned, self._timeout_seconds):
            self.spaces |= spaces
            self._opengl = opengl

    def _repeat_journals(self, workers: Iterable[Worker]) -> None:
        """Send the second message: bring new environments to where they were."""
        made = [worker for worker in workers if worker not in self._lost]
        journals = {worker: {index: self._journals[index].repetition() for index in worker.envs} for worker in made}
        self._send({worker: pickle.dumps((self._block_shape, share)) for worker, share in journals.items()})
        for worker, repeated in self._receive(made, self._timeout_seconds):
            for index, same in repeated.items():
                if not same:
                    raise WorkerError(
                        f"{worker} is a replacement in which environment {index} gives other rewards for the same"
                        " actions: it cannot go on where it was, since its get_state leaves something out"
                    )

    def _recover(self) -> None:
        """Replace lost processes, or rearrange all environments, until no process is lost."""
        while self._lost:
            lost, self._lost = {worker: self._lost[worker] for worker in self.workers if worker in self._lost}, {}
            self._replaced += len(lost)
            self._losses.update(worker.number for worker in lost)
            in_vain = max(self._losses[worker.number] for worker in lost) >= LOST_IN_A_ROW
            if not in_vain and not (self._crowded and len(self.workers) > 1):
                fresh = self._replace(lost)
            else:
                fresh = self._rearrange(lost)
            self._make_environments(fresh)
            if self._block_shape is not None:
                self._repeat_journals(fresh)

    def _replace(self, lost: Mapping[Worker, WorkerLost]) -> list[Worker]:
        """New processes in place of the lost ones."""
        for worker, loss in lost.items():
            self._require_journals(worker.envs, loss)
        losses = "; ".join(map(str, lost.values()))
        _warn(f"{losses}; a new process goes on exactly where it was (lost so far: {self._replaced})")
        self._tried = self._tried or ["a new process"]
        end_workers(list(lost), grace_seconds=0.0)
        fresh = []
        for worker in lost:
            fresh.append(start_worker(worker.number, worker.envs, self._block_descriptor, self._opengl))
            self.workers[self.workers.index(worker)] = fresh[-1]
        return fresh

    def _rearrange(self, lost: Mapping[Worker, WorkerLost]) -> list[Worker]:
        """New processes for all environments, in the next possible arrangement."""
        loss = next(iter(lost.values()))
        self._require_journals(self._assignments, loss)
        lower = self._lower_arrangement()
        if lower is None:
            raise WorkerError(f"{loss}, although all of this was tried: {', '.join(self._tried)}") from loss
        count, opengl = lower
        software = opengl != self._opengl
        how = _in_processes(count) + (f" with software OpenGL ({SOFTWARE_OPENGL})" if software else "")
        pixels = ", but for slightly other pixels" if software else ""
        no_help = f", and {self._tried[-1]} was no help" if self._tried else ""
        _warn(
            f"{loss}{no_help}; all {len(self._assignments)} environments go on"
            f" where they were{pixels}, {how} from now on (lost so far: {self._replaced})"
        )
        self._tried.append(how.removeprefix("in "))
        self._opengl, self._most_processes = opengl, None if software else count
        end_workers(list(lost), grace_seconds=0.0)
        end_workers(self.workers, GRACE_SECONDS)
        self._start_workers(count)
        self._losses = Counter(dict.fromkeys(range(count), LOST_IN_A_ROW - 1))  # one chance each
        return self.workers

    def _lower_arrangement(self) -> tuple[int, str] | None:
        """What is tried next: how many processes, and their OpenGL."""
        if len(self.workers) > 1:
            return len(self.workers) // 2, self._opengl
        return None if self._opengl == SOFTWARE_OPENGL else (1, SOFTWARE_OPENGL)

    def _require_journals(self, envs: Iterable[int], loss: WorkerLost) -> None:
        if not all(self._journals[index].complete for index in envs):
            raise loss


def _in_processes(count: int) -> str:
    return "in one process" if count == 1 else f"in {count} processes"


def _warn(text: str) -> None:
    warnings.warn(text, WorkerReplaced, stacklevel=2)
