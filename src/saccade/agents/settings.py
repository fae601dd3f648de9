"""The valid range of every number among a method's hyper-parameters.

It is given on the field, as in ``learning_rate: Annotated[float, NOT_NEGATIVE]``, or follows from the last word of its
name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, get_type_hints

from saccade.types import UserError


class Range(NamedTuple):
    """The smallest and the largest value that a number may have."""

    low: float
    high: float


LARGEST_COUNT = 2.0**31 - 1  # of filters, units, samples: no machine holds more
AT_LEAST_ONE, NOT_NEGATIVE, SHARE = Range(1.0, LARGEST_COUNT), Range(0.0, math.inf), Range(0.0, 1.0)
POSITIVE = Range(1e-12, math.inf)
DEGREES = Range(0.0, 180.0)
ANY = Range(-math.inf, math.inf)  # for names that the table lacks: a new method's own
SMALLEST_TEMPERATURE = 1e-9  # its logarithm is learned
HIGHEST_FREQUENCY = 0.5  # of any picture, in cycles per pixel
LARGEST_MOMENTUM = 0.9999  # Adam refuses 1
LARGEST_LOG_STD = 20.0  # e^20 is already 5e8 times the width of the action space
LOG_STD = Range(-LARGEST_LOG_STD, LARGEST_LOG_STD)

RANGES: dict[str, Range] = {
    **dict.fromkeys(("size", "filters", "layers", "projection", "hidden", "positions", "every"), AT_LEAST_ONE),
    **dict.fromkeys(("shift", "lr", "weight", "update", "norm", "velocity"), NOT_NEGATIVE),
    **dict.fromkeys(("discount", "rate", "opacity", "quantile", "ratio", "share", "probability"), SHARE),
    **dict.fromkeys(("frequency", "width"), Range(0.0, HIGHEST_FREQUENCY)),
    "temperature": Range(SMALLEST_TEMPERATURE, math.inf),
    "beta1": Range(0.0, LARGEST_MOMENTUM),
    **dict.fromkeys(("min", "max"), LOG_STD),
}
"""Ranges by the last word of a field's name, if the field gives none: ``size`` also applies to ``batch_size``."""


def numbers_of(config: Any) -> Iterator[tuple[str, float]]:
    """Yield every number in a method's configuration with its field's name, also nested ones."""
    return ((name, number) for name, number, _ in ranged_numbers_of(config))


def ranged_numbers_of(config: Any) -> Iterator[tuple[str, float, Range]]:
    """Yield every number with its field's name and its range, ``ANY`` if it has none."""
    hints = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from ranged_numbers_of(value)
        marks = getattr(hints[field.name], "__metadata__", ())
        by_name = RANGES.get(field.name.rpartition("_")[2], ANY)
        allowed = next((mark for mark in marks if isinstance(mark, Range)), by_name)
        for number in value if isinstance(value, tuple) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield field.name, number, allowed


def check_settings(config: Any) -> None:
    """Raise UserError for a hyper-parameter out of its range, including NaN."""
    for name, value, (low, high) in ranged_numbers_of(config):
        if not low <= value <= high:
            allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:.10g}"
            raise UserError(f"--{name.replace('_', '-')} {value} is out of range: it must be {allowed}.")
