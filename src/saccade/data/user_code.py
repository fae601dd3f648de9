"""Load functions and classes from the user's own Python files, named ``file.py:Name``."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
import time
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from saccade.data.files import refuse_endless
from saccade.types import UserError

FAILURES = (Exception, SystemExit)
"""What foreign code may raise: anything but Ctrl-C."""

LIBRARIES = (str(Path(__file__).parents[1]), *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
"""Folders whose files are not the user's own."""

MODULE_PREFIX = "saccade_user_code_"  # a user's random.py must not replace Python's


@dataclass(frozen=True, eq=False)
class AtWork:
    """Foreign code that is running: what it does, and when it began (``time.monotonic()``)."""

    what: str
    since: float


_AT_WORK: list[AtWork] = []


def at_work() -> AtWork | None:
    """Return what foreign code is running at this moment, for those who wait for it; the outermost of several."""
    return next(iter(tuple(_AT_WORK)), None)


@contextmanager
def running(what: str) -> Iterator[None]:
    """Turn a failure of foreign code into a sentence, with the code's own words, and its traceback as the cause.

    Inside the block ``at_work`` reports it, since it may never end.
    """
    begun = AtWork(what, time.monotonic())
    _AT_WORK.append(begun)
    try:
        yield
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(f"{what} failed: {error_text(error)}.") from error
    finally:
        _AT_WORK.remove(begun)


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Turn a failure into a sentence, as ``running`` does, if foreign code is involved; others pass through.

    For work that is mostly Saccade's own, and so ends when asked to.
    """
    try:
        yield
    except UserError:
        raise
    except FAILURES as error:
        if _place(error) is None:
            raise
        raise UserError(f"{what} failed: {error_text(error)}.") from error


def first_line(error: BaseException) -> str:
    """Return an error's first line of text, without a full stop; its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def error_text(error: BaseException) -> str:
    """Describe an error of foreign code in one line: its class, its first line of text, and its file and line."""
    reason = (str(error).splitlines() or [""])[0].rstrip(".")
    words = f"{type(error).__name__}{f': {reason}' if reason else ''}"
    place = _place(error)
    return f"{words} ({place})" if place and place.partition(",")[0] not in reason else words


def _place(error: BaseException) -> str | None:
    """The innermost line that is neither Saccade's nor a library's; None if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(("<", *LIBRARIES))]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else None


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Make modules in these folders importable inside the block, the first folder's first, as for a script there.

    Afterwards they still are, but after all others: the user's code may import some only when it is called.
    """
    paths = [str(folder.resolve()) for folder in folders]
    sys.path[:0] = paths
    try:
        yield
    finally:
        for path in paths:
            with suppress(ValueError):  # the code removed it itself
                sys.path.remove(path)
        sys.path += [path for path in dict.fromkeys(paths) if path not in sys.path]


def module_of(name: str) -> ModuleType | None:
    """Return the module that ``from_file`` made for ``file.py:Name``; None before that."""
    return sys.modules.get(_module_name(Path(name.rpartition(":")[0])))


def _module_name(path: Path) -> str:
    """Give files of the same name in two folders different module names."""
    return f"{MODULE_PREFIX}{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"


def from_file(name: str) -> Any:
    """Return what ``file.py:Name`` names. The file is run, as naming it requests.

    Raises:
        UserError: there is no such file or no such name in it, or the file cannot be run.
    """
    path_text, _, attribute = name.rpartition(":")
    path = Path(path_text)
    if not attribute or path.suffix != ".py":
        raise UserError(f"{name!r} does not name something in a Python file: write file.py:Name.")
    refuse_endless(path)
    if not path.is_file():
        raise UserError(f"There is no file {path_text!r}, which {name!r} names.")
    module = module_from(path)
    if attribute not in vars(module):
        public = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise UserError(f"{path} has no {attribute!r}; it has {public or 'nothing that can be called'}.")
    return vars(module)[attribute]


def module_from(path: Path) -> ModuleType:
    """Return the module of a Python file. Raises UserError if it cannot be run."""
    spec = importlib.util.spec_from_file_location(_module_name(path), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their own module
    # As when Python runs a script, the file can import modules beside it.
    with importable(path.parent), running(f"Running {path}"):
        spec.loader.exec_module(module)
    return module
