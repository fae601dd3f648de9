"""The options of suites as flags: of the suite that a run is of, or of all where that is not known before."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_type_hints

from saccade.envs.config import foreign_option
from saccade.envs.suites import SUITES, TASKS, option_names
from saccade.types import UserError

SUITES_OF_OPTION = "suites"
"""In the metadata of a field: the names of the suites that it is an option of."""

SWITCH = "switch"
"""In the metadata of a field: whether its words on and off stand for yes and no."""


def flag(option: str) -> str:
    """How an option is typed."""
    return f"--{option.replace('_', '-')}"


def options_of_all_suites() -> type[Any]:
    """A dataclass with every option of every suite, None where it is not given: then all is as it was."""
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
    """The values that were given of ``options_of_all_suites``. Raises UserError for one that ``task`` does not have."""
    values = {field: getattr(options, field.name) for field in dataclasses.fields(options)}
    told = {
        field.name: value == "on" if field.metadata[SWITCH] else value
        for field, value in values.items()
        if value is not None
    }
    if task in TASKS:
        refuse_foreign(told, str(task))
    return told


def refuse_foreign(names: Iterable[str], task: str) -> None:
    """Raise UserError for an option that other suites have and the task's has not."""
    for name in names:
        sentence = foreign_option(name, task, flag)
        if sentence is not None:
            raise UserError(f"{sentence}.")


def names_in(words: Iterable[str]) -> list[str]:
    """The options that words of a command line name."""
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [flag.removeprefix("--").removeprefix("no-").replace("-", "_") for flag in flags]
