"""The picture of the highway: places of everything, its light, and which pixels show what."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from dm_control.mujoco.wrapper import MjvOption
from numpy.typing import NDArray

from saccade.envs.mujoco.scene import Scene, builtin_textures
from saccade.envs.tasks.driving.looks import DAY, LOOKS
from saccade.envs.tasks.driving.model import (
    DASH_PERIOD,
    DECALS,
    EGO,
    GROUND_PERIOD,
    POST_PERIOD,
    SCENERIES,
    SCENERY_PERIOD,
    model_xml,
)

if TYPE_CHECKING:
    from saccade.envs.tasks.driving.traffic import Traffic

SEEN_BEHIND, SEEN_BEFORE = 12.0, 300.0  # metres from the ego, beyond which no car is drawn
DETAILED_BEFORE = 60.0  # metres beyond which plates, hubs and the like, smaller than a pixel, are not drawn
HIDDEN_GROUP = 5
DETAILS = ("hub", "plate", "plastic", "head")  # materials
ALL, FAR, NONE = 0, 1, 2  # how much of a car is drawn
BRAKING = -0.6  # m/s², below which a car's brake lights are on
BRAKE_PEDAL = -0.05
EGO_PAINT = (0.80, 0.07, 0.08)
PAINTS = (
    (0.92, 0.92, 0.92), (0.12, 0.13, 0.15), (0.60, 0.62, 0.65), (0.13, 0.25, 0.52), (0.85, 0.66, 0.15),
    (0.16, 0.40, 0.28), (0.34, 0.36, 0.40), (0.45, 0.24, 0.16), (0.30, 0.52, 0.72), (0.80, 0.78, 0.70),
)  # fmt: skip
"""Colours of the other cars; only the ego is red."""


@final
class RoadScene:
    """A road with cars on it, for pictures of ``side`` x ``side`` pixels.

    Raises:
        UserError: no OpenGL context can be made.
    """

    def __init__(self, lanes: int, others: int, side: int) -> None:
        document = model_xml(lanes, others, side)
        self._physics = dm_mujoco.Physics.from_xml_string(document)
        self._scene = Scene(self._physics, side, "full", builtin_textures(document))
        self._scene.draw_with(mujoco.mjtRndFlag.mjRND_SHADOW, False)
        self._scene.draw_with(mujoco.mjtRndFlag.mjRND_REFLECTION, False)
        self._scene.draw_with(mujoco.mjtRndFlag.mjRND_HAZE, False)
        model = self._physics.model.ptr
        self._things = MjvOption()
        self._things.geomgroup[DECALS] = 0
        self._materials = {model.material(number).name: number for number in range(model.nmat)}
        self._cars = (EGO, *(f"car{number}" for number in range(others)))
        self._mocap = {
            model.body(body).name: int(model.body_mocapid[body])
            for body in range(model.nbody)
            if model.body_mocapid[body] >= 0
        }
        self._paint = np.array([[model.geom(f"{car}_{part}").id for part in ("body", "roof")] for car in self._cars])
        self._tails = np.array(
            [[model.geom(f"{car}_tail_{side}").id for side in ("left", "right")] for car in self._cars]
        )
        owners = [model.body(int(body)).name for body in model.geom_bodyid]
        self._geoms = [np.flatnonzero(np.array(owners) == car) for car in self._cars]
        self._groups = [self._groups_of(model, geoms) for geoms in self._geoms]
        self._drawn = [-1] * len(self._cars)
        self._of = {
            "ego": np.array([owner == EGO for owner in owners]),
            "others": np.array([owner.startswith("car") for owner in owners]),
            "road": np.array([owner == "dashes" for owner in owners]),
        }
        for number in range(model.ngeom):
            material = int(model.geom_matid[number])
            line = owners[number] == "along" and material in (self._materials["marking"], self._materials["yellow"])
            self._of["road"][number] |= line or model.geom(number).name == "road"
        self.set_weather(DAY)

    def set_weather(self, name: str) -> None:
        """Set sky, sun, air and lamps to a row of ``LOOKS``."""
        row, model = LOOKS[name], self._physics.model.ptr
        self._scene.paint_texture("skybox", rgb1=row.zenith, rgb2=row.horizon)
        direction = -np.array(row.sun_from) / np.linalg.norm(row.sun_from)
        model.light_dir[0] = direction
        model.light_diffuse[0] = row.sun
        model.light_specular[0] = 0.5 * np.array(row.sun)
        visual = model.vis
        visual.headlight.ambient[:] = row.ambient
        visual.headlight.diffuse[:] = 0.15 * np.array(row.ambient)
        self._scene.fill_with_air(row.air, row.clear, row.gone)
        emission, colour = model.mat_emission, model.mat_rgba
        for name, share in (("tail", 0.9), ("head", 1.0), ("lamp", 1.0)):
            emission[self._materials[name]] = share * row.lamps
        colour[self._materials["glow"], 3] = 0.22 * row.beams
        colour[self._materials["beam"], 3] = 0.11 * row.beams
        colour[self._materials["shade"], 3] = row.shadows
        colour[self._materials["disc"]] = row.sun_disc

    def show(self, traffic: Traffic) -> None:
        """Put everything where it is now; doing it twice changes nothing."""
        data, model = self._physics.data.ptr, self._physics.model.ptr
        forward = float(traffic.ego.position[0])
        for number, (vehicle, car) in enumerate(zip(traffic.vehicles, self._cars, strict=True)):
            place = self._mocap[car]
            along = float(vehicle.position[0]) - forward
            self._draw_as(number, along)
            # Drawn around the ego, so that numbers stay small however far it drives.
            data.mocap_pos[place] = (along, -float(vehicle.position[1]), 0.0)
            half = -float(vehicle.heading) / 2
            data.mocap_quat[place] = (np.cos(half), 0.0, 0.0, np.sin(half))
            braking = traffic.pedal < BRAKE_PEDAL if number == 0 else float(vehicle.action["acceleration"]) < BRAKING
            model.geom_matid[self._tails[number]] = self._materials["brake" if braking else "tail"]
            paint = EGO_PAINT if number == 0 else PAINTS[int(traffic.styles[number]) % len(PAINTS)]
            model.geom_rgba[self._paint[number], :3] = paint
        data.mocap_pos[self._mocap["dashes"], 0] = -(forward % DASH_PERIOD)
        data.mocap_pos[self._mocap["ground"], 0] = -(forward % GROUND_PERIOD)
        data.mocap_pos[self._mocap["posts"], 0] = -(forward % POST_PERIOD)
        for number in range(SCENERIES):
            data.mocap_pos[self._mocap[f"scenery{number}"], 0] = number * SCENERY_PERIOD - forward % SCENERY_PERIOD
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)

    def _groups_of(self, model: mujoco.MjModel, geoms: NDArray[np.int64]) -> tuple[NDArray[np.int32], ...]:
        """The groups of a car's geoms, by how much of it is drawn."""
        own = np.array(model.geom_group[geoms])
        details = np.isin(model.geom_matid[geoms], [self._materials[name] for name in DETAILS])
        return own, np.where(details, HIDDEN_GROUP, own), np.full_like(own, HIDDEN_GROUP)

    def _draw_as(self, number: int, along: float) -> None:
        """Draw as much of a car as can be seen at this distance from the ego."""
        wanted = NONE if not -SEEN_BEHIND < along < SEEN_BEFORE else ALL if along < DETAILED_BEFORE else FAR
        if self._drawn[number] != wanted:
            self._drawn[number] = wanted
            self._physics.model.ptr.geom_group[self._geoms[number]] = self._groups[number][wanted]

    def render(self) -> np.ndarray:
        """Render the current picture: uint8 ``[H, W, 3]``, a view that the next call overwrites."""
        return self._scene.render()

    def mask(self, *kinds: str) -> NDArray[np.bool_]:
        """Return which pixels show any of these kinds of thing, ``ego``, ``others`` or ``road``: bool ``[H, W]``."""
        geoms = self._scene.render_ids(self._things)
        wanted = np.logical_or.reduce([self._of[kind] for kind in kinds])
        return np.asarray((geoms >= 0) & wanted[geoms])

    def close(self) -> None:
        """Free the OpenGL context."""
        self._scene.close()
