"""Standard output and error of the program, whatever they are: a terminal of another encoding, a full disk, closed."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Have every name printed somehow, also one that is no text, or that the output's encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the program
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unwritable_output() -> str | None:
    """Why what was printed cannot be written, such as a full disk; None where it was. Asked at the end, or it is lost.

    Nothing more is then written to that stream: the interpreter would fail in its turn.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (OSError, ValueError):  # no file of the system
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the program
        return "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return None
