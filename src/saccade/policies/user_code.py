"""Functions and classes in a person's own Python files, named ``file.py:Name``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium

from saccade.types import UserError

FAILURES = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, NameError,
    OSError, RuntimeError, SyntaxError, SystemExit, TypeError, ValueError, gymnasium.error.Error,
)  # fmt: skip
"""What code of other people raises when it cannot do what it is asked to; Ctrl-C is not among it."""

MODULE_PREFIX = "saccade_user_code_"  # a person's random.py must not stand in for Python's


@contextmanager
def running(what: str) -> Iterator[None]:
    """Turns the failure of somebody's code into a sentence, with the code's own words and its trace as the cause."""
    try:
        yield
    except UserError:
        raise
    except FAILURES as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise UserError(f"{what} failed: {type(error).__name__}{f': {reason}' if reason else ''}.") from error


def from_file(name: str) -> Any:
    """What ``file.py:Name`` names. The file is run, as the person who named it asks for.

    Raises:
        UserError: there is no such file or no such name in it, or the file cannot be run.
    """
    path_text, _, attribute = name.rpartition(":")
    path = Path(path_text)
    if not attribute or path.suffix != ".py":
        raise UserError(f"{name!r} does not name something in a Python file: write file.py:Name.")
    if not path.is_file():
        raise UserError(f"There is no file {path_text!r}, which {name!r} names.")
    spec = importlib.util.spec_from_file_location(f"{MODULE_PREFIX}{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    # As when Python runs a script: what lies beside the file can be imported by it.
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        with running(str(path)):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent.resolve()))
    if attribute not in vars(module):
        public = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise UserError(f"{path} has no {attribute!r}; it has {public or 'nothing that can be called'}.")
    return vars(module)[attribute]
