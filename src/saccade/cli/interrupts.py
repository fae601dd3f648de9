"""Ctrl-C: as a request to save and leave; and forced, if a user's code is running that does not respond."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from saccade.data.user_code import at_work

INTERRUPTED = 130
GRACE_SECONDS = 3.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked:
    """Turns Ctrl-C and other signals to end into a request; a second one ends the program at once.

    ``tell`` is called at the first. Used in a ``with`` block.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell, self._stop = tell, False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Asked:
        self._handlers = {
            number: signal.signal(number, self._ask)
            for number in ENDING
            if signal.getsignal(number) != signal.SIG_IGN  # as under nohup
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True
        self._tell()

    def to_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop


@contextmanager
def obeyed() -> Iterator[None]:
    """End the process some seconds after a request to stop, if a user's code continues regardless.

    What the program does itself, such as saving a run, may take its time. Does nothing where signals do not arrive:
    in any thread but the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(reader, over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        os.close(writer)  # this ends the watch
        watch.join()
        os.close(reader)


def _watch(reader: int, over: threading.Event) -> None:
    while number := os.read(reader, 1):
        if number[0] not in ENDING or over.is_set():
            continue
        begun = at_work()
        if begun is not None and not over.wait(GRACE_SECONDS) and at_work() is begun:
            print(f"saccade: interrupted; {begun.what} did not stop by itself.", file=sys.stderr, flush=True)
            os._exit(INTERRUPTED)
