"""Dials of a simulator's scene, one row each: its light, its camera, and the benchmark's distractions on a scale.

Their changes are rendered, not painted over: shadows move with the light, and a moved camera sees around a corner.
Loads no simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from saccade.envs.distractions import Distraction
from saccade.envs.distractions.color_dial import ColorDial
from saccade.envs.distractions.distracting_cs import FAMILIES
from saccade.envs.distractions.video_dial import VideoDial
from saccade.envs.distractions.view import View
from saccade.envs.shifts import SHIFTS
from saccade.types import UserError

PAINTED_ELSEWHERE = ("gb2_color", "gb2_video", *(f"{name}:" for name in FAMILIES if "camera" not in name))
"""Prefixes of other benchmarks' modes that paint colours, skies or screens."""


@final
@dataclass(frozen=True)
class SceneDial:
    """One row of ``SCENE_DIALS``.

    Attributes:
        half, full: its effect at strength 0.5 and at 1; at 0 nothing changes.
        suites: the suites whose tasks have it.
        make: ``strength -> Distraction``.
        in_place: whether it also changes rendered pictures, at its place among the shifts; else it comes first.
        under: prefixes of modes that it cannot be combined with, since they paint the same things.
    """

    summary: str
    half: str
    full: str
    suites: tuple[str, ...]
    make: Callable[[float], Distraction]
    in_place: bool = False
    under: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Describe it in one line."""
        return f"{self.summary}: at 0.5 {self.half}, at 1 {self.full}"


def _view(name: str) -> Callable[[float], Distraction]:
    return lambda strength: View(name, strength)


CONTROL, MUJOCO = ("dmc",), ("dmc", "manipulation")

SCENE_DIALS: Mapping[str, SceneDial] = MappingProxyType(
    {
        "light_intensity": SceneDial(
            "all lamps are dimmed", "60 % of their light is left", "20 %", MUJOCO, _view("light_intensity")
        ),
        "light_colour": SceneDial(
            "all lamps turn from white to orange", "red, green, blue are 100, 78, 60 %", "100, 55, 20 %", MUJOCO,
            _view("light_colour"),
        ),
        "light_direction": SceneDial(
            "all lamps but the camera's move sideways around what the camera looks at", "by 25 degrees", "by 50",
            MUJOCO, _view("light_direction"),
        ),
        "camera_yaw": SceneDial(
            "the camera moves around what it looks at, to its right", "by 15 degrees", "by 30", MUJOCO,
            _view("camera_yaw"),
        ),
        "camera_pitch": SceneDial(
            "the camera moves up, and looks at the same place", "by 10 degrees", "by 20", MUJOCO, _view("camera_pitch")
        ),
        "camera_roll": SceneDial(
            "the camera is tilted about its line of sight", "by 15 degrees", "by 30", MUJOCO, _view("camera_roll")
        ),
        "camera_distance": SceneDial(
            "the camera moves away from what it looks at", "half as far again", "twice as far", MUJOCO,
            _view("camera_distance"),
        ),
        "colors": SceneDial(
            "floor, body and sky move from their own colours to those of color_hard", "half-way", "color_hard", CONTROL,
            ColorDial, under=("color_", "video_", *PAINTED_ELSEWHERE),
        ),
        "video": SceneDial(
            "the picture fades into that of video_hard", "half of either", "video_hard", CONTROL, VideoDial,
            in_place=True, under=("video_", *PAINTED_ELSEWHERE),
        ),
    }
)  # fmt: skip
"""Every dial of a scene by name. ``video`` is a shift in other tasks, which replaces pixels."""


def scene_dials_of(suite: str) -> tuple[str, ...]:
    """Return the dials that a suite's tasks have."""
    return tuple(name for name, dial in SCENE_DIALS.items() if suite in dial.suites)


def check_scene(parts: Sequence[tuple[str, float]], under: str) -> None:
    """Raise UserError for a dial of a scene that is set twice, or under a mode that paints the same things."""
    names = [name for name, _ in parts if name in SCENE_DIALS]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name} is turned twice: give it one strength.")
        if under.startswith(SCENE_DIALS[name].under):
            raise UserError(f"{name} and the mode {under} paint the same things: leave one of them out.")


def refuse_scene_dials(parts: Sequence[tuple[str, float]], whose: str, others: Sequence[str] = ()) -> None:
    """Raise UserError for a dial of scenes that ``whose`` scene does not have.

    others: dials of scenes that it does have.
    """
    for name, _ in parts:
        if name not in SHIFTS and name not in others:
            suites = " and ".join(SCENE_DIALS[name].suites)
            raise UserError(
                f"{name} changes what a simulator draws, in tasks of {suites}, not of {whose}: choose from "
                f"{', '.join(dict.fromkeys((*SHIFTS, *others)))}."
            )
