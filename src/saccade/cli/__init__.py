"""The program ``saccade``: the only place where names that people type become functions."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from saccade import __version__
from saccade.cli.commands import COMMANDS
from saccade.cli.help import help_of
from saccade.cli.nearest import nearest
from saccade.envs.worker_process import WorkerError
from saccade.types import UserError

HELP = ("-h", "--help")
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
    if words[:1] == ["help"]:
        words = [*words[1:], HELP[0]]
    if not words or words[0] in HELP:
        print(_usage())
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        raise UserError(f"There is no command {words[0]!r}. {nearest(words[0], COMMANDS)}")
    if any(word in HELP for word in words[1:]):
        print(help_of(words[0], words[1:]))
        return 0
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


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  saccade {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Visual reinforcement learning that knows where to look.",
            "",
            *lines,
            "",
            "examples:",
            "  saccade demo",
            "  saccade train sgqn dmc/walker_walk --preset small --out runs/small",
            "  saccade explain runs/small --modes train video_hard",
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
