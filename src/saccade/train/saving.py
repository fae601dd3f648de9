"""Checkpoints written during training: by a thread, from a copy of everything that training goes on to change."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from saccade.types import UserError

Write = Callable[[], Path]
"""Writes one checkpoint from data that nothing else changes; returned by ``train.state.take``."""


class BackgroundSaving:
    """Writes checkpoints in a thread, never two at once.

    A context manager, which is left when the last one is written. A checkpoint that cannot be written ends the run,
    as if it had been waited for: ``raise_failure`` and ``finish`` raise the error.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[Path] | None = None

    def begin(self, write: Write) -> None:
        """Start writing; the previous checkpoint must be finished."""
        assert self._writing is None, "finish comes first"
        self._writing = self._thread.submit(write)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is being written."""
        return self._writing is None or self._writing.done()

    def raise_failure(self) -> None:
        """Raise the error that has ended the writing in the meantime, without waiting for it."""
        if self.is_finished:
            self.finish()

    def finish(self) -> None:
        """Wait until everything is written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> BackgroundSaving:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.finish()
        except UserError as failure:
            if error is None:
                raise
            warnings.warn(str(failure), stacklevel=2)  # the run ends because of something else
        finally:
            self._thread.shutdown()
