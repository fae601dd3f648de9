"""Faster ways to the same numbers that may fail on a machine: compiled losses, updates recorded as CUDA graphs.

Where such a way fails, training goes on the plain way and says why, unless the person asked for this way and no other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, final

import torch

from saccade.types import UserError

NETWORKS_LOCK = threading.Lock()
"""Held by a thread that compiles or records what networks do, and by any other thread while it uses a network.

While it compiles, PyTorch traces, and traces whichever module is called in the meantime, in any thread. And to wait for
a GPU, as cuDNN does when it looks for its fastest algorithm, spoils what another thread records, whatever CUDA is told
about threads.
"""

Choice = Literal["auto", "on", "off"]

COMPILING = "compiling losses: takes about a minute the first time, and is then cached"
RECORDING = "recording updates as CUDA graphs: takes some seconds"

LONGEST_CAUSE = 200  # characters of an error that are repeated in a sentence
OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")  # as CUDA, and as cuBLAS and cuDNN say it


@final
class Shortcut:
    """One such way: what people hear of it before and after, and what is done when it fails.

    ``failure`` is None, or why it is not taken any more.

    Args:
        doing: what it does, to begin a sentence with.
        option: of the command line, whose value ``off`` leaves it out.
        ahead: what is said before it first takes long; None for nothing.
        hint: where help is found when it fails; empty where there is none.
        demanded: whether to raise a failure as UserError instead of going on without.
    """

    def __init__(self, doing: str, option: str, ahead: str | None, hint: str, *, demanded: bool) -> None:
        self.failure: str | None = None
        self._doing, self._option, self._hint, self._demanded = doing, option, hint, demanded
        self._ahead = ahead
        self._news: list[str] = []

    def announce(self) -> str | None:
        """What to say before it first takes long: once, and nothing when it has failed."""
        said, self._ahead = self._ahead, None
        return said if self.failure is None else None

    def fail(self, error: Exception) -> None:
        """Leave it out from now on. Raises UserError where it was demanded."""
        self.failure, hint = cause_of(error), f" {self._hint}" if self._hint else ""
        if self._demanded:
            raise UserError(
                f"{self._doing} failed: {self.failure}.{hint} To train without it give {self._option} off, which "
                f"`saccade train --resume RUN` takes too."
            ) from error
        self._news.append(f"{self._doing} failed, and training goes on without it: {self.failure}.{hint}")

    def news(self) -> list[str]:
        """Sentences about failures since the last call."""
        said, self._news = self._news, []
        return said


@final
@dataclass(frozen=True)
class Shortcuts:
    """Those of one training run."""

    compilation: Shortcut
    recording: Shortcut

    def news(self) -> list[str]:
        """Sentences about failures since the last call."""
        return self.compilation.news() + self.recording.news()


def make_shortcuts(compilation: Choice = "auto", recording: Choice = "auto") -> Shortcuts:
    """Those of a run with these values of ``--compile`` and ``--graphs``; ``on`` demands one, ``off`` is silent."""
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
    """The first line of what an error says, without what the compiler puts around it, and without a full stop."""
    while isinstance(inner := getattr(error, "inner_exception", None), BaseException):
        error = inner
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[0] if lines else type(error).__name__).rstrip(".")
    return text if len(text) <= LONGEST_CAUSE else f"{text[:LONGEST_CAUSE]}..."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU had no memory left, in the words of PyTorch or of a library under it."""
    while isinstance(inner := getattr(error, "inner_exception", None), BaseException):
        error = inner
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return said or isinstance(error, torch.OutOfMemoryError)
