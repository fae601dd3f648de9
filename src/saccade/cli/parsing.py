"""Parse the words of the command line into options."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

Options = TypeVar("Options")
MOST_DIGITS = 30  # of a whole number, since 1e999999999 would take all memory


def parsed(options: type[Options], program: str, words: Sequence[str]) -> Options:
    """Return the options that the words mean; exit with code 2 and a message for words that mean none.

    The names of options have no prefixes, in whatever dataclass inside ``options`` they are.
    """
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
    return tyro.cli(options, prog=program, args=list(words), config=config, registry=_registry())


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
