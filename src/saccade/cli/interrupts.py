"""Ctrl-C while somebody's code runs: it may catch it, or be in a library that does not listen, and is ended then."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from saccade.data.user_code import at_work

INTERRUPTED = 130
GRACE_SECONDS = 3.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def obeyed() -> Iterator[None]:
    """Ends the process some seconds after it was asked to, where code that is not ours goes on as if nothing was.

    What the program does itself, such as saving a run, may take its time. Nothing is done where signals go elsewhere:
    in any other thread than the main one.
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
        os.close(writer)  # which ends the watch
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
