"""Standard output and error of the program in any condition: another encoding, a full disk, closed."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Make every name printable somehow, even one that is no text, or that the output's encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the program
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unwritable_output() -> str | None:
    """Return why output cannot be written, such as a full disk; None if it was. Call it at the end, or errors are lost.

    Nothing more is written to that stream afterwards: the interpreter would fail as well.
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
