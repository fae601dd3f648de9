"""The options of suites as flags: of a run's own suite, or of all suites if that is not known beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_type_hints

from saccade.envs.config import foreign_option
from saccade.envs.suites import SUITES, TASKS, option_names
from saccade.types import UserError

SUITES_OF_OPTION = "suites"
"""Key in the metadata of a field: the names of the suites that have this option."""

SWITCH = "switch"
"""Key in the metadata of a field: whether its words on and off stand for yes and no."""


def flag(option: str) -> str:
    """Return how an option is typed."""
    return f"--{option.replace('_', '-')}"


def options_of_all_suites() -> type[Any]:
    """Return a dataclass with every option of every suite; None if not given, which changes nothing."""
    suites: dict[str, list[str]] = {}
    for suite, row in SUITES.items():
        for name in option_names(row):
            suites.setdefault(name, []).append(suite)
    fields = []
    for name, having in suites.items():
        hint = get_type_hints(SUITES[having[0]].options)[name]
        switch = hint is bool
        hint = Literal["on", "off"] if switch else hint
        metadata = {SUITES_OF_OPTION: tuple(having), SWITCH: switch}
        fields.append((name, hint | None, dataclasses.field(default=None, metadata=metadata)))
    made = dataclasses.make_dataclass("SuiteOptions", fields, frozen=True)
    made.__doc__ = "Options of Saccade's own tasks."
    return made


def given(options: Any, task: str | None = None) -> dict[str, Any]:
    """Return the values given in ``options_of_all_suites``. Raises UserError for one that ``task`` does not have."""
    values = {field: getattr(options, field.name) for field in dataclasses.fields(options)}
    given = {
        field.name: value == "on" if field.metadata[SWITCH] else value
        for field, value in values.items()
        if value is not None
    }
    if task in TASKS:
        refuse_foreign(given, str(task))
    return given


def refuse_foreign(names: Iterable[str], task: str) -> None:
    """Raise UserError for an option that other suites have but the task's does not."""
    for name in names:
        sentence = foreign_option(name, task, flag)
        if sentence is not None:
            raise UserError(f"{sentence}.")


def names_in(words: Iterable[str]) -> list[str]:
    """Return the options that words of a command line name."""
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [flag.removeprefix("--").removeprefix("no-").replace("-", "_") for flag in flags]
