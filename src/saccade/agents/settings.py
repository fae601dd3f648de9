"""What a method's hyper-parameters may be, whatever the method: a range for every number, by its name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from saccade.types import UserError

LARGEST_COUNT = 2.0**31 - 1  # of filters, units, samples: no machine holds more
AT_LEAST_ONE, NOT_NEGATIVE, SHARE = (1.0, LARGEST_COUNT), (0.0, math.inf), (0.0, 1.0)
ANY = (-math.inf, math.inf)  # of a name that the table does not know: a new method's own
SMALLEST_TEMPERATURE = 1e-9  # its logarithm is what is learned
HIGHEST_FREQUENCY = 0.5  # of any picture, in cycles per pixel
LARGEST_MOMENTUM = 0.9999  # Adam refuses 1
LARGEST_LOG_STD = 20.0  # e^20 is already 5e8 times the width of the action space

RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("size", "filters", "layers", "projection", "hidden", "positions", "every"), AT_LEAST_ONE),
    **dict.fromkeys(("shift", "lr", "weight", "update", "norm", "velocity"), NOT_NEGATIVE),
    **dict.fromkeys(("discount", "rate", "opacity", "quantile", "ratio", "share", "probability"), SHARE),
    **dict.fromkeys(("frequency", "width"), (0.0, HIGHEST_FREQUENCY)),
    "temperature": (SMALLEST_TEMPERATURE, math.inf),
    "beta1": (0.0, LARGEST_MOMENTUM),
    **dict.fromkeys(("min", "max"), (-LARGEST_LOG_STD, LARGEST_LOG_STD)),
}
"""Smallest and largest value by the last word of a field's name: ``size`` stands for ``batch_size`` as well."""


def numbers_of(config: Any) -> Iterator[tuple[str, float]]:
    """Every number in a method's configuration with its field's name, those of nested ones too."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers_of(value)
        for number in value if isinstance(value, tuple) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield field.name, number


def check_settings(config: Any) -> None:
    """Raise UserError for a hyper-parameter out of its range, NaN included."""
    for name, value in numbers_of(config):
        low, high = RANGES.get(name.rpartition("_")[2], ANY)
        if not low <= value <= high:
            allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:.10g}"
            raise UserError(f"--{name.replace('_', '-')} {value} is out of range: it must be {allowed}.")
