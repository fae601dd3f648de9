"""A screen in the scene: a box that clips play on. It is a site, which physics ignores."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, radians, sin
from typing import final
from xml.etree import ElementTree

import mujoco
from dm_control import mujoco as dm_mujoco

from saccade.envs.distractions.on_screen import HALF_DEPTH, SCREEN, ScreenPlace

FLOOR = "grid"  # the material of the suite's floors
FOLLOWED = "torso"


def add_screen(
    physics: dm_mujoco.Physics, document: str | bytes, assets: Mapping[str, bytes], place: ScreenPlace, side: int
) -> None:
    """Compile a model again with a screen in it, for pictures of ``side`` x ``side`` pixels.

    document, assets: what ``physics`` was compiled from.
    """
    root = ElementTree.fromstring(document)
    new = ElementTree.SubElement(root, "asset")
    size = str(side)
    flat = {"name": SCREEN, "type": "cube", "builtin": "flat", "width": size, "height": size}
    ElementTree.SubElement(new, "texture", flat)
    dull = {"specular": "0", "shininess": "0", "reflectance": "0", "emission": "0"}
    ElementTree.SubElement(new, "material", {"name": SCREEN, "texture": SCREEN, "texuniform": "false", **dull})
    half_turn = radians(place.tilt) / 2
    box = {
        "name": SCREEN,
        "type": "box",
        "size": _numbers(place.half_width, HALF_DEPTH, place.half_width),
        "pos": _numbers(*place.position),
        "quat": _numbers(cos(half_turn), sin(half_turn), 0, 0),
        "material": SCREEN,
    }
    world = root.find("worldbody")
    assert world is not None
    ElementTree.SubElement(world, "site", box)
    physics.reload_from_xml_string(ElementTree.tostring(root, encoding="unicode"), dict(assets))


def _numbers(*values: float) -> str:
    return " ".join(map(repr, values))


@final
class Screen:
    """The screen of a model, if it has one."""

    def __init__(self, physics: dm_mujoco.Physics, place: ScreenPlace | None) -> None:
        self._physics, self._beside = physics, None if place is None else place.beside

    def follow(self) -> None:
        """Place it behind the agent as it is now. Only where it is drawn is written, afresh in each step."""
        if self._beside is not None:
            data = self._physics.data.ptr
            agent, (across, up) = data.body(FOLLOWED).subtree_com, self._beside
            data.site(SCREEN).xpos[[0, 2]] = agent[0] + across, agent[2] + up

    def hide_floor(self) -> None:
        """Make the floor invisible, together with the shadows on it and its reflections."""
        material = mujoco.mj_name2id(self._physics.model.ptr, mujoco.mjtObj.mjOBJ_MATERIAL, FLOOR)
        self._physics.model.mat_rgba[material, 3] = 0.0
