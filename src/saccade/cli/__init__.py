"""The program ``saccade``: it turns what people type into function calls, which happens nowhere else."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from saccade import __version__
from saccade.cli import interrupts
from saccade.cli.commands import COMMANDS
from saccade.cli.help import help_of
from saccade.cli.nearest import nearest
from saccade.cli.streams import prepare_streams, unwritable_output
from saccade.envs.workers.process import WorkerError
from saccade.types import UserError

HELP = ("-h", "--help")
BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 2 for a mistake, which one printed sentence explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    # Before torch is loaded: threads that spin while they wait make a busy machine ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.showwarning = _one_line_warnings()
    with _ends_in_a_sentence(), interrupts.obeyed():
        code = _run(words)
    why = unwritable_output()
    if why:
        print(f"saccade: the output cannot be written: {why}.", file=sys.stderr)
        return FAILED
    return code


def _run(words: list[str]) -> int:
    try:
        for word in words:
            _refuse_no_text(word)
        return _dispatch(words)
    except UserError as error:
        print(f"saccade: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as error:
        print(f"saccade: {error.args[0] if error.args else 'interrupted'}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        fault = _machine_fault(error)
        if fault is None:
            raise
        print(f"saccade: {fault}.", file=sys.stderr)
        return FAILED


def _refuse_no_text(word: str) -> None:
    """Raise UserError for a word that could not be written into any file of a run."""
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{word!a} is not text in UTF-8: rename the file or folder that it names.") from error


def _machine_fault(error: Exception) -> str | None:
    """What this machine lacks, if an error says so: memory, open files, disk space. None for other errors."""
    message = (str(error).splitlines() or [""])[0].rstrip(".")
    if isinstance(error, OSError) and error.strerror is not None:
        what = "the output cannot be written" if error.filename is None else error.filename  # for files it is known
        return f"{what}: {error.strerror}"
    if isinstance(error, MemoryError) or "allocate memory" in message or type(error).__name__ == "OutOfMemoryError":
        return f"there is not enough memory: {message or 'a smaller task, picture or batch needs less'}"
    if isinstance(error, ImportError) and "cannot open shared object file" in message:
        return f"a library cannot be loaded: {message}"
    return None


@contextmanager
def _ends_in_a_sentence() -> Iterator[None]:
    """Make everything that asks the program to end act like Ctrl-C, from the very start, unless it is to be ignored."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")

    numbers = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    ours = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


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
    except (ArithmeticError, WorkerError) as error:  # NaN or infinity; or a failed environment, with its traceback
        print(f"saccade: {error}", file=sys.stderr)
        return FAILED
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
            "saccade COMMAND --help shows a command's options.",
        ]
    )


def _one_line_warnings() -> Callable[..., None]:
    """Print each warning once and in one line, however many environments raise it."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            print(f"saccade: warning: {message}", file=sys.stderr)

    return show
