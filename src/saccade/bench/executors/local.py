"""Jobs on this machine: so many slots, each with its own cores, threads and share of a GPU."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from saccade.bench.executors import Wanted, refuse_shares
from saccade.bench.work import Ended, Job, Share, carry_out
from saccade.data.nvidia import num_gpus
from saccade.types import UserError


def cores_of_process() -> list[int]:
    """Numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def shares(cores: list[int], slots: int, threads: int | None, gpus: float | None, there: int) -> list[Share]:
    """What each slot may use: cores as evenly as they go, and of the GPUs as much as is asked for.

    gpus: of each slot; None for none where there is none, and else for all of them to be shared evenly.

    Raises:
        UserError: more slots than none, or more GPUs than there are.
    """
    refuse_shares(slots, threads, gpus)
    if gpus:
        fits = there * int(1 / gpus + 1e-9) if gpus <= 1 else there // int(gpus)
        if fits < slots:
            fewer = f"at most {fits} slot{'s' * (fits != 1)}, or for less of a GPU" if fits else "fewer GPUs"
            raise UserError(
                f"{slots} slot{'s' * (slots != 1)} with {gpus:g} GPUs each need more than the {there} of this machine: "
                f"ask for {fewer}."
            )
    own = [tuple(cores[slot::slots]) for slot in range(slots)]
    return [
        Share(threads or max(1, len(own[slot])), own[slot] if own[slot] else (), _gpus_of(slot, slots, gpus, there))
        for slot in range(slots)
    ]


def _gpus_of(slot: int, slots: int, gpus: float | None, there: int) -> tuple[int, ...] | None:
    if not there:
        return None
    if gpus is None:
        return (slot * there // slots,) if slots > there else tuple(range(there))[slot::slots]
    if gpus <= 1:
        return (slot // int(1 / gpus + 1e-9),) if gpus else ()
    return tuple(range(slot * int(gpus), (slot + 1) * int(gpus)))


@dataclass
class _Slot:
    share: Share
    job: Job | None = None
    step: str = ""
    thread: threading.Thread | None = None


@dataclass
class LocalExecutor:
    """Slots of this machine, a thread each that waits for a process."""

    wanted: Wanted
    of_slots: list[Share]
    _slots: list[_Slot] = field(init=False)
    _ended: queue.SimpleQueue[Ended] = field(default_factory=queue.SimpleQueue, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self._slots = [_Slot(share) for share in self.of_slots]

    @property
    def slots(self) -> int:
        return len(self._slots)

    def start(self, job: Job) -> None:
        slot = next(slot for slot in self._slots if slot.job is None)
        slot.job, slot.step = job, ""
        slot.thread = threading.Thread(target=self._work, args=(slot, job), daemon=True)
        slot.thread.start()

    def _work(self, slot: _Slot, job: Job) -> None:
        def begun(step: str) -> None:
            slot.step = step

        try:
            ended = carry_out(job, self.wanted.folder, slot.share, self._stop.is_set, begun)
        except Exception as error:  # noqa: BLE001 - a slot that fails must not stop the others
            ended = Ended(job.name, 1, f"{type(error).__name__}: {error}")
        self._ended.put(ended)

    def ended(self) -> list[Ended]:
        found: list[Ended] = []
        while not self._ended.empty():
            found.append(self._ended.get())
        for ended in found:
            slot = next(slot for slot in self._slots if slot.job is not None and slot.job.name == ended.name)
            assert slot.thread is not None
            slot.thread.join()
            slot.job = None
        return found

    def doing(self) -> Mapping[str, tuple[str, str]]:
        return {
            slot.job.name: (slot.step, f"slot {number}")
            for number, slot in enumerate(self._slots)
            if slot.job is not None
        }

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()
        for slot in self._slots:
            if slot.thread is not None:
                slot.thread.join()


def local_executor(wanted: Wanted) -> LocalExecutor:
    """The executor of this machine; by default with one slot."""
    cores = cores_of_process()
    slots = 1 if wanted.slots is None else wanted.slots
    return LocalExecutor(wanted, shares(cores, slots, wanted.threads, wanted.gpus, num_gpus()))
