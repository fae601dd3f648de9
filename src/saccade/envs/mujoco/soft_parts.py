"""What rays do not hit but pictures show: tendons, such as strings and springs, and skins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, final

import mujoco
import numpy as np

MOST_GEOMS = 2000  # in a scene; the Control Suite's largest has a few hundred
WRAPPED_GEOMS = (mujoco.mjtWrap.mjWRAP_SPHERE, mujoco.mjtWrap.mjWRAP_CYLINDER)


class Capsule(NamedTuple):
    """A piece of a tendon: where its middle is, its axes as MuJoCo's 9 numbers, radius and half length."""

    position: np.ndarray
    frame: np.ndarray
    size: np.ndarray


@final
class SoftParts:
    """The tendons and skins of moving bodies, as MuJoCo draws them; needs no OpenGL.

    A tendon belongs if a site or geom on its path moves, a skin if one of its bones does.
    """

    def __init__(self, model: mujoco.MjModel, moving: np.ndarray) -> None:
        """moving: bool ``[bodies]``."""
        self._model = model
        self._tendons = {tendon for tendon in range(model.ntendon) if moving[_bodies_along(model, tendon)].any()}
        self._skins = [skin for skin in range(model.nskin) if moving[_bones(model, skin)].any()]
        self.any = bool(self._tendons or self._skins)
        self._scene = mujoco.MjvScene(model, MOST_GEOMS) if self.any else None
        self._options, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()

    def update(self, data: mujoco.MjData) -> None:
        """Bring them to the current state."""
        if self._scene is not None:
            everything = mujoco.mjtCatBit.mjCAT_ALL
            mujoco.mjv_updateScene(self._model, data, self._options, None, self._camera, everything, self._scene)

    def capsules(self) -> Iterator[Capsule]:
        """Yield the pieces of the tendons that are drawn."""
        if self._scene is None:
            return
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_TENDON and geom.objid in self._tendons and geom.rgba[3] > 0:
                radius, _, half_length = geom.size
                size = np.array([radius, half_length, 0.0])
                yield Capsule(geom.pos.astype(float), geom.mat.astype(float).ravel(), size)

    def triangles(self) -> np.ndarray:
        """Return the faces of the skins that are drawn, in the world: ``[faces, 3, 3]``, corners by coordinates."""
        model, scene, found = self._model, self._scene, [np.empty((0, 3, 3))]
        for skin in self._skins:
            assert scene is not None
            if self._options.skingroup[model.skin_group[skin]] and _skin_alpha(model, skin) > 0:
                first, count = scene.skinvertadr[skin], scene.skinvertnum[skin]
                corners = np.reshape(scene.skinvert, (-1, 3))[first : first + count]
                face, faces = model.skin_faceadr[skin], model.skin_facenum[skin]
                found.append(corners[model.skin_face[face : face + faces]].astype(float))
        return np.concatenate(found)


def _bodies_along(model: mujoco.MjModel, tendon: int) -> list[int]:
    """The bodies of the sites and geoms on a tendon's path; none if it couples joints, and so has no shape."""
    bodies = []
    for wrap in range(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon]):
        kind, number = model.wrap_type[wrap], model.wrap_objid[wrap]
        if kind == mujoco.mjtWrap.mjWRAP_SITE:
            bodies.append(int(model.site_bodyid[number]))
        elif kind in WRAPPED_GEOMS:
            bodies.append(int(model.geom_bodyid[number]))
    return bodies


def _bones(model: mujoco.MjModel, skin: int) -> np.ndarray:
    first = model.skin_boneadr[skin]
    return model.skin_bonebodyid[first : first + model.skin_bonenum[skin]]


def _skin_alpha(model: mujoco.MjModel, skin: int) -> float:
    material = model.skin_matid[skin]
    return float(model.mat_rgba[material, 3] if material >= 0 else model.skin_rgba[skin, 3])
