"""Which pixels show the task: the moving bodies and their target, found by casting one ray per pixel (no OpenGL)."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from typing import final

import mujoco
import numpy as np

from saccade.envs.mujoco.scene import CAMERA
from saccade.envs.mujoco.soft_parts import SoftParts
from saccade.envs.mujoco.state import EPISODE_MODEL_FIELDS

TARGET = "target"  # in the name of a geom, a site or the body that it belongs to
VISIBLE_GROUPS = 3  # MuJoCo draws geoms and sites of groups 0, 1, 2
HIDDEN_GROUP = 5
MAX_DISTANCE = 1e10
DEFAULT_SITE_RGBA = (
    0.5,
    0.5,
    0.5,
    1.0,
)  # MuJoCo draws a site in its material's colour only where it has this one
NEAREST = 1e-3  # metres before the camera, from where faces are drawn
BOUND_MARGIN = 1.5  # pixels that a site may lie outside the outline of its bounding sphere


@final
class TaskMask:
    """The simulator's own mask of where an agent should look.

    A pixel belongs to the task if the first thing on its ray is a visible geom or site of something that moves
    (of the bodies connected with its own, up to the world, one has a joint or is a motion-capture
    body) or of a target (``target`` in its name or its body's). So a robot's fixed foot belongs, as do its tendons
    (the string of ball_in_cup, the springs of lqr) and its skin (the dog's fur); floors, walls, tables, terrain and
    the rails of cartpole do not, nor do shadows. A ray goes through the middle of a pixel, and faces of a skin fill
    every pixel that they touch, so outlines may differ from an anti-aliased picture by one pixel.
    """

    def __init__(
        self, model: mujoco.MjModel, image_size: int, camera: int = CAMERA, ground: Collection[str] = ()
    ) -> None:
        """camera: its number. ground: the names of geoms that count as ground, which a mask may include."""
        self._size, self._camera = image_size, camera
        moving = _moving_bodies(model)
        self._geoms = _belongs(model, mujoco.mjtObj.mjOBJ_GEOM, model.geom_bodyid, moving)
        self._geoms &= model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
        self._ground = np.array([name in ground for name in _names(model, mujoco.mjtObj.mjOBJ_GEOM, model.ngeom)])
        sites = _belongs(model, mujoco.mjtObj.mjOBJ_SITE, model.site_bodyid, moving)
        self._sites = np.flatnonzero(sites & (model.site_group < VISIBLE_GROUPS))
        self._rays = _camera_rays(float(model.cam_fovy[camera]), image_size)
        self._visible_groups = (np.arange(mujoco.mjNGROUP) < VISIBLE_GROUPS).astype(np.uint8)
        self._geom_hit = np.empty(image_size**2, dtype=np.int32)
        self._distance = np.empty(image_size**2)
        # Rays are cast at a copy of the model without bounding volumes: with them, mj_multiRay bounds shapes
        # by the angles of their boxes' corners, which is too tight, and loses parts of finger and pendulum.
        self._model = copy.copy(model)
        self._model.body_bvhadr[:] = -1
        self._soft = SoftParts(self._model, moving)

    def begin_episode(self, model: mujoco.MjModel) -> None:
        """Take over what a task changed in ``model`` when the episode started."""
        for field in EPISODE_MODEL_FIELDS:
            getattr(self._model, field)[...] = getattr(model, field)
        transparent = model.geom_rgba[:, 3] == 0  # not drawn, so not to be hit (the target of fish_upright)
        self._model.geom_group[:] = np.where(transparent, HIDDEN_GROUP, model.geom_group)

    def __call__(self, data: mujoco.MjData, ground: bool = False) -> np.ndarray:
        """Return the mask of the current state: bool ``[H, W]``, as the camera sees it, with the ground if wanted."""
        origin, axes = data.cam_xpos[self._camera], data.cam_xmat[self._camera].reshape(3, 3)
        directions = self._rays @ axes.T
        mujoco.mj_multiRay(
            self._model, data, origin, directions.ravel(), self._visible_groups, 1, -1,
            self._geom_hit, self._distance, None, len(directions), MAX_DISTANCE,
        )  # fmt: skip
        kept = self._geoms | self._ground if ground else self._geoms
        mask = kept[self._geom_hit] & (self._geom_hit >= 0)
        for site in self._sites.tolist():
            if _site_alpha(self._model, site) > 0:
                shape = data.site_xpos[site], data.site_xmat[site], self._model.site_size[site]
                self._add_shape(mask, origin, directions, self._model.site_type[site], *shape)
        if self._soft.any:
            self._soft.update(data)
            for capsule in self._soft.capsules():
                self._add_shape(mask, origin, directions, mujoco.mjtGeom.mjGEOM_CAPSULE, *capsule)
            self._add_triangles(mask, (self._soft.triangles() - origin) @ axes, directions)
        return mask.reshape(self._size, self._size)

    def _add_shape(
        self,
        mask: np.ndarray,
        origin: np.ndarray,
        directions: np.ndarray,
        kind: int,
        position: np.ndarray,
        frame: np.ndarray,
        size: np.ndarray,
    ) -> None:
        """Add the pixels where a shape is in front; MuJoCo's rays over a whole model see geoms only."""
        for pixel in self._near(position - origin, float(np.linalg.norm(size)), directions):
            distance = mujoco.mju_rayGeom(position, frame, size, origin, directions[pixel], kind, None)
            behind = 0 <= self._distance[pixel] < distance
            if distance >= 0 and not behind:
                mask[pixel] = True
                self._distance[pixel] = distance

    def _add_triangles(self, mask: np.ndarray, corners: np.ndarray, directions: np.ndarray) -> None:
        """Add the pixels of faces ``[n, 3, 3]``, in the camera's frame, whose middle nothing else hides."""
        corners = corners[(corners[:, :, 2] < -NEAREST).all(1)]  # in front of the camera
        if not len(corners):
            return
        from PIL import Image, ImageDraw

        focal_length, middle = -self._rays[0, 2], self._size / 2
        places = focal_length * corners[:, :, :2] / -corners[:, :, 2:] * (1, -1) + middle  # columns and rows
        depth = -corners[:, :, 2].mean(1)
        column, row = np.floor(places.mean(1)).astype(int).T
        inside = (column >= 0) & (column < self._size) & (row >= 0) & (row < self._size)
        pixel = np.where(inside, row * self._size + column, 0)
        before = self._distance[pixel] * focal_length  # a ray is as long as its depth is focal lengths
        hidden = inside & (before >= 0) & (before < depth) & ~mask[pixel]
        picture = Image.new("1", (self._size, self._size))
        draw = ImageDraw.Draw(picture)
        for triangle in np.floor(places[~hidden]).astype(int).reshape(-1, 6).tolist():
            draw.polygon(triangle, fill=1, outline=1)
        mask |= np.asarray(picture).ravel()

    def _near(self, offset: np.ndarray, radius: float, directions: np.ndarray) -> np.ndarray:
        """Pixels whose ray may pass within ``radius`` of the point ``offset`` away from the camera."""
        along = directions @ offset / (directions**2).sum(axis=1)
        gap = np.linalg.norm(along[:, None] * directions - offset, axis=1)
        pixel_width = np.linalg.norm(offset) / -self._rays[0, 2]
        return np.flatnonzero((gap <= radius + BOUND_MARGIN * pixel_width) & (along > 0))


def _camera_rays(vertical_angle: float, image_size: int) -> np.ndarray:
    """One direction per pixel in the camera's frame (x right, y up, looking along -z): ``[H * W, 3]``.

    Their length is the focal length in pixels at the middle of the picture; ``vertical_angle`` is in degrees.
    """
    across = np.arange(image_size) + 0.5 - image_size / 2
    focal_length = image_size / 2 / math.tan(math.radians(vertical_angle) / 2)
    down, right = np.meshgrid(across, across, indexing="ij")
    return np.stack([right, -down, np.full_like(right, -focal_length)], axis=-1).reshape(-1, 3)


def _moving_bodies(model: mujoco.MjModel) -> np.ndarray:
    """Which bodies are part of something that moves: of a tree with a joint or a motion-capture body in it."""
    driven = (model.body_jntnum > 0) | (model.body_mocapid >= 0)
    return np.isin(model.body_rootid, model.body_rootid[driven])


def _belongs(model: mujoco.MjModel, kind: mujoco.mjtObj, bodies: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Which geoms or sites on ``bodies`` move or are targets."""
    names = _names(model, kind, len(bodies))
    owners = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, body) or "" for body in bodies]
    target = [TARGET in name or TARGET in owner for name, owner in zip(names, owners, strict=True)]
    return moving[bodies] | np.array(target, dtype=bool)


def _names(model: mujoco.MjModel, kind: mujoco.mjtObj, count: int) -> list[str]:
    return [mujoco.mj_id2name(model, kind, number) or "" for number in range(count)]


def _site_alpha(model: mujoco.MjModel, site: int) -> float:
    rgba, material = model.site_rgba[site], model.site_matid[site]
    if material >= 0 and np.array_equal(rgba, DEFAULT_SITE_RGBA):
        return float(model.mat_rgba[material, 3])
    return float(rgba[3])
