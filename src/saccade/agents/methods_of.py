"""Find the row of any method that a run names: from the package's table, or from your own file, ``file.py:NAME``.

Your file is run, so you must have named it yourself: on a command line or to a function. That is
recorded outside of any run, because whoever makes a run also writes its configuration: a run alone can never
have a file run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import ModuleType

from saccade.agents import METHODS, Method
from saccade.data.documents import typed
from saccade.data.files import NoFile, read_bounded
from saccade.data.folder import cache_dir
from saccade.data.user_code import blamed, module_from, running
from saccade.types import Continuous, Discrete, UserError

MOST_BYTES = 2**24  # of a method's file
_OPENED: dict[str, tuple[str, Method]] = {}  # by whole name: the SHA-256 of the file, and the row in it


def is_own(name: str) -> bool:
    """Return whether a name is that of a user's own file, with or without a method's name after it."""
    return _file_and_name(name)[0].endswith(".py")


def label_of(name: str) -> str:
    """Return a method's name in folders and tables: ``my_method-ONE`` for ``/home/me/my_method.py:ONE``."""
    file, row = _file_and_name(name)
    return f"{Path(file).stem}-{row}" if is_own(name) else name


def method_of(name: str) -> Method:
    """Return the row of a method of the table, or of a user's file that has been opened.

    Raises:
        UserError: there is no such method.
    """
    if name in _OPENED:
        return _OPENED[name][1]
    if name not in METHODS:
        raise UserError(f"There is no method {name!r}: choose from {', '.join(METHODS)}, or your own file.py:NAME.")
    return METHODS[name]


def digest_of(name: str) -> str | None:
    """Return the SHA-256 of the file that an opened method came from; None for a method of the table."""
    return _OPENED[name][0] if name in _OPENED else None


def blamed_on_owner(name: str, what: str) -> AbstractContextManager[None]:
    """Return a context for a method's work: if it is a user's own, a failure in its file is reported in one sentence.

    what: the work that may fail, such as ``Training my_method-MINE``.
    """
    return blamed(what) if is_own(name) else nullcontext()


def open_named(spelled: str) -> str:
    """Run the file of ``file.py:NAME``, as naming it requests; return the name with the whole path.

    Raises:
        UserError: there is no such file or no method of that name in it, or the file cannot be run.
    """
    file, row = _file_and_name(spelled)
    path = Path(file).expanduser().resolve()
    digest = _digest(path, spelled)
    name = f"{path}:{row}"
    if digest_of(name) != digest:
        _OPENED[name] = digest, _row_in(module_from(path), path, row)
    remember_named(path, digest)
    return name


def open_recorded(name: str, digest: str | None, run: Path) -> None:
    """Run the file of a method that a run names, if it is the file that the run was trained with.

    Args:
        name: with the whole path, as ``open_named`` returned it.
        digest: SHA-256 of the file at that time; None if unknown.
        run: for messages.

    Raises:
        UserError: the file has moved or changed, or this user has never named it.
    """
    file, row = _file_and_name(name)
    path = Path(file)
    try:
        present = _digest(path, name)
    except UserError as error:
        raise UserError(
            f"{error} {run} was trained with it: say which it is now with --method FILE.PY:NAME."
        ) from error
    meant = f"if it is the one you mean, say so with --method {name}."
    if present != digest:
        raise UserError(f"{path} has changed since {run} was trained: {meant}")
    if not was_named(path, present):
        raise UserError(f"Opening {run} runs {path}, a file that you have not named before: {meant}")
    if digest_of(name) != present:
        _OPENED[name] = present, _row_in(module_from(path), path, row)


def _file_and_name(name: str) -> tuple[str, str]:
    """Split ``file.py:NAME`` in two; the name is empty if there is none."""
    file, colon, row = name.rpartition(":")
    return (file, row) if colon and file.endswith(".py") else (name, "")


def _digest(path: Path, spelled: str) -> str:
    try:
        return hashlib.sha256(read_bounded(path, MOST_BYTES)).hexdigest()
    except FileNotFoundError as error:
        raise UserError(f"There is no file {str(path)!r}, which {spelled!r} names.") from error
    except OSError as error:
        raise NoFile(f"{path} cannot be read: {error.strerror}.") from error


def _row_in(module: ModuleType, path: Path, name: str) -> Method:
    """Return the row of that name. Raises UserError with the names that there are."""
    rows = {key: value for key, value in vars(module).items() if isinstance(value, Method)}
    there = f"it has {', '.join(rows)}" if rows else "it has none: make one with saccade.agents.Method"
    if not name:
        example = next(iter(rows), "NAME")
        raise UserError(f"Say which method of {path} with {path.name}:{example}; {there}.")
    if name not in rows:
        what = "which is no Method" if name in vars(module) else "which it does not have"
        raise UserError(f"{path.name}:{name} names no method of {path}, {what}; {there}.")
    row = rows[name]
    _check_fields(row, f"{path}:{name}")
    for what in ("overlays", "rendered_size", "decodes"):
        with running(f"{what}(config) of {path}:{name}"):
            getattr(row, what)(row.config)
    return row


def _check_fields(row: Method, of: str) -> None:
    """Raise UserError for values that the package's own rows cannot have, which a type checker has checked."""
    if not dataclasses.is_dataclass(row.config) or isinstance(row.config, type):
        raise UserError(f"The config of {of} must be an instance of a dataclass, not {row.config!r:.80}.")
    if row.loop not in ("off_policy", "on_policy"):
        raise UserError(f"The loop of {of} is {row.loop!r}: it must be off_policy or on_policy.")
    if not isinstance(row.actions, tuple) or not set(row.actions) <= {Continuous, Discrete}:
        raise UserError(f"The actions of {of} must be a tuple of saccade.types.Continuous and Discrete.")
    try:  # as a run stores it
        typed(json.loads(json.dumps(dataclasses.asdict(row.config))), type(row.config))
    except (TypeError, ValueError, UserError) as error:
        raise UserError(
            f"The config of {of} cannot be stored in a run ({error}): its fields must be numbers, strings, tuples of "
            "them, "
            "or dataclasses."
        ) from error


def _mark(path: Path, digest: str) -> Path:
    """The empty file that records that this user has named a file with this content."""
    whole = hashlib.sha256(f"{path}\n{digest}".encode()).hexdigest()
    return cache_dir() / "methods" / whole


def remember_named(path: Path, digest: str) -> None:
    """Record that this user has named a file with this content, whose code was run then."""
    mark = _mark(path, digest)
    with suppress(OSError):  # then the user is asked again
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def was_named(path: Path, digest: str) -> bool:
    """Return whether this user has named a file with this content before."""
    try:
        return _mark(path, digest).stat().st_uid == os.getuid()  # a cache may be shared
    except OSError:
        return False
