"""The program ``saccade``: the only place where names that people type become functions."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from saccade.envs.worker_process import WorkerError
from saccade.types import UserError

COMMANDS = {
    "demo": "train SAC and SGQN for some minutes, and draw what they learned",
    "train": "train a method on a task",
    "evaluate": "play a trained run in the benchmark's modes",
    "explain": "show what a policy looks at, Saccade's or anybody's",
    "score": "say whether its saliency maps are right",
    "list": "the methods, tasks and modes there are",
    "doctor": "what this machine has, and what is wrong with it",
}
BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 2 for a mistake that one printed sentence explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Before torch is loaded: threads that wait by spinning make a busy machine ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.showwarning = _one_line_warnings()
    try:
        return _dispatch(words)
    except UserError as error:
        print(f"saccade: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("saccade: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        from saccade import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        raise UserError(f"There is no command {words[0]!r}. {nearest(words[0], COMMANDS)}")
    # Each command's module is imported when it is called, so that `list` does not wait for a simulator.
    run = importlib.import_module(f"saccade.cli.{words[0]}_command").run
    try:
        code: int = run(words[1:])
    except (ArithmeticError, WorkerError) as error:  # a NaN or infinity; or an environment broke, whose trace it has
        print(f"saccade: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return 0
    return code


def nearest(word: str, allowed: Sequence[str] | dict[str, str]) -> str:
    """A sentence that offers what the person may have meant."""
    close = difflib.get_close_matches(word, list(allowed), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(allowed)}."


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  saccade {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "Visual reinforcement learning that knows where to look.",
            "",
            *lines,
            "",
            "saccade COMMAND --help tells a command's options.",
        ]
    )


def _one_line_warnings() -> Callable[..., None]:
    """Prints each warning once and in a line, however many environments raise it."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            print(f"saccade: warning: {message}", file=sys.stderr)

    return show
