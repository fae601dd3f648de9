"""The normalisation of a network's input, as given by --mean and --std."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from saccade.types import UserError

BYTE, UNIT = 255.0, 1.0


@final
@dataclass(frozen=True)
class Normalisation:
    """A normalisation: the network's input is ``(picture - mean) / std``.

    Attributes:
        mean, std: one number, or one for each channel of a frame or of the whole observation; for pixels in 0..1, or
            for pixels in 0..255 if one of them is above 1.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def high(self) -> float:
        """The brightest value of the pictures that mean and std are for: 1 or 255."""
        return BYTE if max(*self.mean, *self.std) > UNIT else UNIT

    def per_channel(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, float32 ``[channels]`` each.

        Raises:
            UserError: their number is not that of the channels in a frame or an observation.
        """
        given = len(self.mean)
        if channels % given:
            raise UserError(f"--mean and --std have {given} numbers each, but observations have {channels} channels.")
        mean, std = (np.array(numbers, np.float32) for numbers in (self.mean, self.std))
        return np.tile(mean, channels // given), np.tile(std, channels // given)

    def description(self) -> str:
        mean, std = (" ".join(f"{number:g}" for number in numbers) for numbers in (self.mean, self.std))
        return f"normalised with mean {mean} and standard deviation {std}"


def normalisation(mean: Sequence[float], std: Sequence[float]) -> Normalisation | None:
    """Return the normalisation that is given; None if there is none.

    Raises:
        UserError: one of the two is missing, or a number cannot be right.
    """
    if not mean and not std:
        return None
    if not mean or not std:
        raise UserError("A normalisation needs --mean and --std together, such as --mean 0.5 --std 0.5.")
    if 1 < len(mean) != len(std) > 1:
        raise UserError(f"--mean has {len(mean)} numbers and --std has {len(std)}: give each channel both.")
    count = max(len(mean), len(std))
    found = [tuple(map(float, numbers)) * (count // len(numbers)) for numbers in (mean, std)]
    if not all(map(math.isfinite, (*found[0], *found[1]))) or min(found[1]) <= 0 or min(found[0]) < 0:
        raise UserError(
            "--mean must be a brightness, so 0 or more, and --std above 0: give those of the pixels in 0..1, or of "
            "the pixels in 0..255."
        )
    if max(found[0]) > BYTE:
        raise UserError(f"--mean {max(found[0]):g} is brighter than any pixel: pixels lie in 0..1 or in 0..255.")
    return Normalisation(*found)
