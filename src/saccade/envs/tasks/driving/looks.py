"""How the highway looks at four times of day, as numbers. Loads no simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

DAY = "day"  # of the mode `train`
Rgb = tuple[float, float, float]


@final
@dataclass(frozen=True)
class Look:
    """Sky, sun and air; colours in 0..1.

    Attributes:
        zenith, horizon: colours of the sky.
        sun: the light of the sun or the moon.
        sun_from: where it shines from, as a direction: forwards, to the left, up.
        ambient: the light that comes from everywhere.
        air: the colour into which everything fades with distance.
        clear, gone: metres up to which nothing fades, and beyond which nothing is visible.
        lamps: how bright the cars' lamps are, 0..1.
        beams: how opaque the light on the road in front of a car, and around its lamps, is, 0..1.
        shadows: how dark it is below a car, 0..1.
        sun_disc: the colour of the sun itself, and how opaque it is; 0 is invisible.
    """

    zenith: Rgb
    horizon: Rgb
    sun: Rgb
    sun_from: Rgb
    ambient: Rgb
    air: Rgb
    clear: float
    gone: float
    lamps: float
    beams: float
    shadows: float
    sun_disc: tuple[float, float, float, float]


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        DAY: Look(
            zenith=(0.02, 0.24, 0.78), horizon=(0.85, 0.92, 0.98), sun=(0.62, 0.60, 0.55), sun_from=(-0.5, 0.5, 1.0),
            ambient=(0.40, 0.42, 0.45), air=(0.80, 0.88, 0.95), clear=60, gone=950, lamps=0.15, beams=0.0, shadows=0.5,
            sun_disc=(1.0, 1.0, 0.9, 0.0),
        ),
        "sunset": Look(
            zenith=(0.05, 0.04, 0.40), horizon=(1.0, 0.52, 0.16), sun=(0.85, 0.50, 0.28), sun_from=(0.8, -0.35, 0.45),
            ambient=(0.42, 0.33, 0.36), air=(0.93, 0.55, 0.32), clear=40, gone=850, lamps=0.6, beams=0.15, shadows=0.4,
            sun_disc=(1.0, 0.93, 0.62, 1.0),
        ),
        "fog": Look(
            zenith=(0.72, 0.74, 0.76), horizon=(0.72, 0.74, 0.76), sun=(0.15, 0.15, 0.15), sun_from=(0.0, 0.0, 1.0),
            ambient=(0.60, 0.61, 0.62), air=(0.72, 0.74, 0.76), clear=8, gone=65, lamps=0.8, beams=0.0, shadows=0.2,
            sun_disc=(1.0, 1.0, 1.0, 0.0),
        ),
        "night": Look(
            zenith=(0.0, 0.0, 0.03), horizon=(0.10, 0.11, 0.22), sun=(0.12, 0.13, 0.20), sun_from=(-0.3, -0.5, 1.0),
            ambient=(0.22, 0.23, 0.32), air=(0.035, 0.04, 0.09), clear=30, gone=650, lamps=1.0, beams=1.0, shadows=0.0,
            sun_disc=(1.0, 1.0, 1.0, 0.0),
        ),
    }
)  # fmt: skip
"""The road's look by day, as in training, and in the three other modes."""
