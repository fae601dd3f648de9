"""The modes of the Distracting Control Suite (Stone et al., 2021), by name and intensity: ``distracting_cs:0.1``.

Loads no simulator. By default they are those of the DMControl Generalization Benchmark, which papers report.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from saccade.data.banks.davis import NUM_CLIPS
from saccade.envs.distractions import Distraction, Modes
from saccade.envs.distractions.camera import CameraWalk
from saccade.envs.distractions.material_walk import MaterialWalk
from saccade.envs.distractions.sky_clips import SkyClips
from saccade.envs.distractions.walks import BENCHMARK, NEVER, ORIGINAL

NAME = "distracting_cs"
STATIC = "_static"

NUM_VIDEOS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        NAME: MappingProxyType(
            {
                "0.025": 2, "0.05": 2, "0.1": 4, "0.15": 6, "0.2": 8,
                "0.3": NUM_CLIPS, "0.4": NUM_CLIPS, "0.5": NUM_CLIPS,
            }
        ),
        f"{NAME}_original": MappingProxyType({"0.1": 4, "0.2": 8, "0.3": NUM_CLIPS}),
    }
)  # fmt: skip
"""Variant -> its intensities -> how many clips episodes show at each. ``original`` is the paper's own code, whose easy,
medium and hard are 0.1, 0.2 and 0.3."""

PERIODS: Mapping[str, int] = MappingProxyType({NAME: BENCHMARK, f"{NAME}_original": ORIGINAL})
"""Variant -> control steps from one change to the next."""

BACKGROUND, COLOR, CAMERA = "background", "color", "camera"
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": (BACKGROUND, CAMERA, COLOR),
        f"_{BACKGROUND}": (BACKGROUND,),
        f"_{COLOR}": (COLOR,),
        f"_{CAMERA}": (CAMERA,),
    }
)
"""What follows the variant's name -> what changes, in the published order."""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        f"{variant}{part}{static}": tuple(intensities)
        for variant, intensities in NUM_VIDEOS.items()
        for static in ("", STATIC)
        for part in PARTS
    }
)
"""The part of a mode's name before its colon -> the intensities that may follow it."""

NAMES: tuple[str, ...] = tuple(f"{family}:{each}" for family, intensities in FAMILIES.items() for each in intensities)
"""Every mode."""

SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        NAME: "clips in the sky, another camera and other colours, all of which keep changing",
        f"{NAME}_{BACKGROUND}": "the clips alone",
        f"{NAME}_{COLOR}": "the colours alone",
        f"{NAME}_{CAMERA}": "the camera alone",
        f"...{STATIC}": "any of these, fixed during an episode",
        f"{NAME}_original...": "any of these as in the paper's own code, at 0.1, 0.2 (medium) or 0.3 (hard)",
    }
)
"""What a list of modes says about them."""

DOMAINS = ("reacher", "cartpole", "finger", "cheetah", "ball_in_cup", "walker")
"""The domains of the published code."""

FLOOR_OPACITY: Mapping[str, float] = MappingProxyType({"reacher": 0.0, "walker": 1.0, "cheetah": 1.0})
OTHER_FLOOR_OPACITY = 0.3
"""How opaque the floor is over the clip, by domain, at every intensity. Source: the published code."""


@cache
def modes_in(domain: str) -> Modes:
    """Return every mode of a domain of the Control Suite, and what it changes."""
    opacity = FLOOR_OPACITY.get(domain, OTHER_FLOOR_OPACITY)
    modes: dict[str, tuple[Distraction, ...]] = {}
    for variant, intensities in NUM_VIDEOS.items():
        for static in ("", STATIC):
            period = NEVER if static else PERIODS[variant]
            for part, changed in PARTS.items():
                for intensity, count in intensities.items():
                    every: dict[str, Distraction] = {
                        BACKGROUND: SkyClips(count, period, opacity),
                        CAMERA: CameraWalk(float(intensity), period),
                        COLOR: MaterialWalk(float(intensity), period),
                    }
                    modes[f"{variant}{part}{static}:{intensity}"] = tuple(every[each] for each in changed)
    return MappingProxyType(modes)
