"""What ``--help`` prints: usage that fits, examples, and every option with a sentence, in groups.

It is made from the dataclasses into which the words are parsed, and loads no torch.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import shutil
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from saccade.agents import METHODS
from saccade.agents.methods_of import method_of
from saccade.cli.commands import COMMANDS, SHOWN
from saccade.cli.suite_options import SUITES_OF_OPTION
from saccade.cli.train_options import (
    SIZE_HELP,
    Resume,
    chosen_preset,
    is_resumed,
    method_named,
    names_first,
    train_options,
)
from saccade.envs.config import EnvConfig
from saccade.envs.suites import SUITES, option_names, suite_of
from saccade.runs.training import OffPolicy

WIDEST, NARROWEST = 100, 60  # characters of a line
FLAGS = 28  # characters of the column of options
KINDS: Mapping[Any, str] = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
METAVARS = {
    "attacks": "ATTACK", "beside": "ATTACK",
    "checkpoint": "FILE", "data": "FOLDER", "device": "DEVICE", "dial": "NAME [STRENGTH ...]",
    "evaluation_modes": "MODE", "game": "GAME",
    "gaze": "FOLDER", "images": "FOLDER",
    "method": "FILE.PY:NAME", "methods": "METHOD", "modes": "MODE", "obs": "FRAMES", "out": "FOLDER",
    "output": "OUTPUT", "policy": "FILE.PY:CLASS", "preset": "NAME", "resume": "RUN", "return_methods": "METHOD",
    "runs": "WHAT", "score": "SCORE", "target": "TARGET", "task": "TASK", "teacher": "WHAT",
    "teacher_output": "OUTPUT", "teacher_policy": "FILE.PY:CLASS", "transfer_from": "WHAT",
    "truth_player": "WHAT", "video_where": "COLOUR", "what": "WHAT",
    "name": "NAME", "tasks": "TASK", "verb": "VERB",
}  # fmt: skip
"""Placeholders of values, by the name of an option; others are named by their type."""
EXAMPLE_TASK = "dmc/walker_walk"
OWN = "or FILE.PY:NAME, a Method of that name in a Python file of yours, which is run."


@dataclass(frozen=True)
class Option:
    """One option as it is typed and explained; ``about`` describes its dataclass."""

    name: str
    typed: str
    sentence: str
    about: str


def help_of(name: str, words: list[str]) -> str:
    """Return the help of a command; for ``train`` with a method's own options, if one is named. Raises UserError."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    command = COMMANDS[name]
    usage = [f"{'' if place else 'usage:':6} {line}" for place, line in enumerate(command.usage)]
    examples = ["examples:", *(f"  {line}" for line in command.examples)]
    parts = ["\n".join(usage), _wrapped(_about(name, words), width), "\n".join(examples)]
    if command.options is not None:
        parts += grouped(options_of(nothing_given(command.options)), command.groups, width)
    elif is_resumed(words):
        parts += grouped(options_of(nothing_given(Resume)), {}, width)
    else:
        parts += _of_training(words, width)
    return "\n\n".join(parts)


def _about(name: str, words: list[str]) -> str:
    options = COMMANDS[name].options
    if options is None:
        return inspect.getdoc(Resume if is_resumed(words) else train_options) or ""
    return inspect.getdoc(options) or ""


def _of_training(words: list[str], width: int) -> Iterator[str]:
    """The options of a new run, and the method's own if one is named."""
    names, (size, _) = names_first(words), chosen_preset(words)
    method, task = [*names, *("sac", EXAMPLE_TASK)[len(names) :]]
    method = method_named(method)
    task = EnvConfig.parse(task).task
    options = options_of(nothing_given(train_options(method, task, size)))
    groups = COMMANDS["train"].groups
    groups = {**groups, SHOWN: (*groups[SHOWN], *option_names(suite_of(task)))}
    if names:
        yield _wrapped(f"The values are those of {names[0]} on {task} with --preset {size}.", width)
    else:
        longest = max(map(len, METHODS))
        rows = (f"{name:<{longest}}  {row.summary}" for name, row in METHODS.items())
        yield "\n".join(
            ["METHOD is one of", *(_wrapped(row, width, longest + 4) for row in rows), _wrapped(OWN, width)]
        )
        own = {option.name for config in (method_of(method).config, OffPolicy()) for option in options_of(config)}
        options = [option for option in options if option.name not in own]
    yield from grouped([Option("preset", "--preset NAME", SIZE_HELP, ""), *options], groups, width)
    if not names:
        yield "saccade train METHOD TASK --help also shows the options of both."


def grouped(options: list[Option], groups: Mapping[str, tuple[str, ...]], width: int) -> list[str]:
    """Return options below the headings given for them, and others below their dataclass's description."""
    headings = {name: heading for heading, names in groups.items() for name in names}
    members: dict[str, list[Option]] = {heading: [] for heading in groups}
    for option in options:
        members.setdefault(headings.get(option.name, option.about), []).append(option)
    return [
        "\n".join([_wrapped(heading, width), *(_line(option, width) for option in some)])
        for heading, some in members.items()
        if some
    ]


def _line(option: Option, width: int) -> str:
    lines = textwrap.wrap(option.sentence, width - FLAGS, break_on_hyphens=False)
    start = f"  {option.typed}"
    if len(start) <= FLAGS - 2:
        start = f"{start:<{FLAGS}}{lines.pop(0)}"
    return "\n".join([start, *(" " * FLAGS + line for line in lines)])


def _wrapped(text: str, width: int, hanging: int = 0) -> str:
    start = "  " if hanging else ""
    return "\n\n".join(
        textwrap.fill(paragraph, width, initial_indent=start, subsequent_indent=" " * hanging, break_on_hyphens=False)
        for paragraph in _plain(text)
    )


def _plain(text: str) -> list[str]:
    """Paragraphs without marks for code; line breaks within them are kept."""
    return text.replace("`", "").split("\n\n")


def nothing_given(kind: type[Any]) -> Any:
    """Return the options if nothing is given; None for those that are required."""
    missing = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    needed = [field.name for field in fields if field.default is missing and field.default_factory is missing]
    return kind(**dict.fromkeys(needed))


def options_of(config: Any, about: str = "options") -> list[Option]:
    """Return every option of a dataclass, then of the dataclasses in it, with their values."""
    kind = type(config)
    hints, sentences = get_type_hints(kind, include_extras=True), _sentences(kind)
    own: list[Option] = []
    inner: list[Option] = []
    for field in dataclasses.fields(kind):
        value, sentence = getattr(config, field.name), " ".join(sentences.get(field.name, "").split())
        if SUITES_OF_OPTION in field.metadata:
            sentence = _of_suites(field.name, field.metadata[SUITES_OF_OPTION])
        if dataclasses.is_dataclass(value):
            heading = " ".join(f"{inspect.getdoc(type(value))} {sentence}".split())
            inner += options_of(value, heading.removesuffix("."))
        else:
            typed, required = _typed(field.name, hints[field.name], value)
            text = f"{sentence} ({_default(value)})" if _default(value) and not required else sentence
            own.append(Option(field.name, typed, text.replace("`", ""), about))
    return own + inner


def _of_suites(name: str, suites: Sequence[str]) -> str:
    """The help of the first of several suites for an option, for a command that leaves it unchanged by default."""
    sentence = " ".join(_sentences(SUITES[suites[0]].options)[name].split())
    return f"{sentence} For {' and '.join(suites)}; by default as in the run."


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"default: {'on' if value else 'off'}"
    words = " ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    return words and f"default: {words}"


def _typed(name: str, hint: Any, value: Any) -> tuple[str, bool]:
    """How an option is typed, such as ``--steps N``, and whether it is required."""
    positional = False
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        positional = any(mark is tyro.conf.Positional for mark in marks)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = kinds
    flag = f"--{name.replace('_', '-')}"
    if hint is bool:
        return (f"{flag}, --no-{flag[2:]}" if value else flag), False
    if get_origin(hint) is Literal:
        words = _one_of(hint)
    elif get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is tuple:  # may be given several times
        words = METAVARS[name]
    elif get_origin(hint) is tuple:
        first = get_args(hint)[0]
        inner = METAVARS.get(name) or (_one_of(first) if get_origin(first) is Literal else KINDS[first])
        several = f"{inner} [{inner} ...]" if positional else f"[{inner} ...]"
        words = several if get_args(hint)[-1] is Ellipsis else " ".join([inner] * len(get_args(hint)))
    else:
        words = METAVARS.get(name) or KINDS.get(hint, "VALUE")
    return (words, value is None) if positional else (f"{flag} {words}", value is None)


def _one_of(hint: Any) -> str:
    """The words of a ``Literal``, one of which is to be typed."""
    return f"{{{','.join(map(str, get_args(hint)))}}}"


def _sentences(kind: type[Any]) -> dict[str, str]:
    """The docstring below each field of a dataclass, including its bases."""
    sentences: dict[str, str] = {}
    for one in kind.__mro__:
        with contextlib.suppress(OSError, TypeError):  # made at run time, or builtin: it has no source
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
            assert isinstance(tree, ast.ClassDef)
            for field, below in zip(tree.body, tree.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                    assert isinstance(field.target, ast.Name)
                    sentences.setdefault(field.target.id, ast.literal_eval(below.value))
    return sentences
