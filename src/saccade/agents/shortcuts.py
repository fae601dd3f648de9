"""Faster ways to the same numbers that may fail on a machine: compiled losses, updates recorded as CUDA graphs.

If one fails, training continues without it and says why, unless the user demanded it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, final

import torch

from saccade.types import UserError

NETWORKS_LOCK = threading.Lock()
"""Held by a thread that compiles or records networks, and by any other thread while it uses a network.

While PyTorch compiles, it traces any module that is called in the meantime, in any thread. And waiting for a GPU, as
cuDNN does when it looks for its fastest algorithm, breaks what another thread records, regardless of CUDA's settings
for threads.
"""

Choice = Literal["auto", "on", "off"]

COMPILING = "compiling losses: takes about a minute the first time, and is then cached"
RECORDING = "recording updates as CUDA graphs: takes some seconds"

LONGEST_CAUSE = 200  # characters of an error that are repeated in a sentence
OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")  # as CUDA, and as cuBLAS and cuDNN say it


@final
class Shortcut:
    """One such way: what is said about it before and after, and what happens if it fails.

    ``failure`` is None, or why it is no longer used.

    Args:
        doing: what it does, as the beginning of a sentence.
        option: the command-line option whose value ``off`` disables it.
        ahead: what is said before it first takes long; None for nothing.
        hint: where to find help if it fails; empty if there is none.
        demanded: whether to raise a failure as UserError instead of continuing without it.
    """

    def __init__(self, doing: str, option: str, ahead: str | None, hint: str, *, demanded: bool) -> None:
        self.failure: str | None = None
        self._doing, self._option, self._hint, self._demanded = doing, option, hint, demanded
        self._ahead = ahead
        self._news: list[str] = []

    def announce(self) -> str | None:
        """Return what to say before it first takes long: once, and nothing after a failure."""
        said, self._ahead = self._ahead, None
        return said if self.failure is None else None

    def fail(self, error: Exception) -> None:
        """Disable it from now on. Raises UserError if it was demanded."""
        self.failure, hint = cause_of(error), f" {self._hint}" if self._hint else ""
        if self._demanded:
            raise UserError(
                f"{self._doing} failed: {self.failure}.{hint} To train without it give {self._option} off, which "
                f"`saccade train --resume RUN` takes too."
            ) from error
        self._news.append(f"{self._doing} failed; training continues without it: {self.failure}.{hint}")

    def news(self) -> list[str]:
        """Return messages about failures since the last call."""
        said, self._news = self._news, []
        return said


@final
@dataclass(frozen=True)
class Shortcuts:
    """The shortcuts of one training run."""

    compilation: Shortcut
    recording: Shortcut

    def news(self) -> list[str]:
        """Return messages about failures since the last call."""
        return self.compilation.news() + self.recording.news()


def make_shortcuts(compilation: Choice = "auto", recording: Choice = "auto") -> Shortcuts:
    """Return shortcuts for these values of ``--compile`` and ``--graphs``; ``on`` demands one, ``off`` disables it."""
    return Shortcuts(
        Shortcut(
            "Compiling the losses",
            "--compile",
            None if compilation == "off" else COMPILING,
            "`saccade doctor` looks for what it needs.",
            demanded=compilation == "on",
        ),
        Shortcut(
            "Recording updates as CUDA graphs",
            "--graphs",
            None if recording == "off" else RECORDING,
            "",
            demanded=recording == "on",
        ),
    )


def cause_of(error: BaseException) -> str:
    """Return the first line of an error, without what the compiler wraps around it, and without a full stop."""
    while isinstance(inner := getattr(error, "inner_exception", None), BaseException):
        error = inner
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__).rstrip(".")
    return text if len(text) <= LONGEST_CAUSE else f"{text[:LONGEST_CAUSE]}..."


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a GPU ran out of memory, according to PyTorch or a library beneath it."""
    while isinstance(inner := getattr(error, "inner_exception", None), BaseException):
        error = inner
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return said or isinstance(error, torch.OutOfMemoryError)
