"""Parse the words of the command line into options."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from saccade.spelling import close_names
from saccade.types import UserError

Options = TypeVar("Options")
MOST_DIGITS = 30  # of a whole number, since 1e999999999 would take all memory


def parsed(options: type[Options], program: str, words: Sequence[str]) -> Options:
    """Return the options that the words mean; exit with code 2 and a message for values that mean nothing.

    The names of options have no prefixes, in whatever dataclass inside ``options`` they are.

    Raises:
        UserError: an option that does not exist, with the nearest ones, or a word too many.
    """
    shown = f"`{program} --help` shows what there is"
    known = list(_names(options))
    for word in words:
        name = word.partition("=")[0].removeprefix("--").replace("_", "-")
        if word.startswith("--") and name and name.removeprefix("no-") not in known and not name.startswith("tyro-"):
            raise UserError(f"`{program}` has no option --{name}: {_meant(name, [*known, 'help'], shown)}")
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
    found, unknown = tyro.cli(
        options, prog=program, args=list(words), config=config, registry=_registry(), return_unknown_args=True
    )
    if unknown:
        raise UserError(f"`{program}` has no use for {unknown[0]!r}: {shown}.")
    return found


def _meant(name: str, known: Sequence[str], shown: str) -> str:
    close = close_names(name, known, most=2)
    return f"did you mean {' or '.join(f'--{one}' for one in close)}? ({shown})" if close else f"{shown}."


def _names(options: type[Any]) -> Iterator[str]:
    """Every option of a dataclass and of those in it, as it is typed after the dashes."""
    hints = get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):
        hint = hints[field.name]
        kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if dataclasses.is_dataclass(kind):
            yield from _names(kind)  # type: ignore[arg-type]
        elif tyro.conf.Positional not in marks:
            yield field.name.replace("_", "-")


def whole_number(word: str) -> int:
    """Parse ``100000``, ``100_000`` or ``1e5``. Raises ValueError for anything else, or a huge number."""
    try:
        number = Decimal(word)
    except InvalidOperation:
        raise ValueError(f"{word!r} is not a whole number such as 100000 or 1e5.") from None
    if not number.is_finite() or number.adjusted() >= MOST_DIGITS or number != number.to_integral_value():
        raise ValueError(f"{word!r} is not a whole number such as 100000 or 1e5, or it is too large.")
    return int(number)


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def whole(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if kind.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="N",
            instance_from_str=lambda words: whole_number(words[0]),
            is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
            str_from_instance=lambda number: [str(number)],
        )

    return registry
