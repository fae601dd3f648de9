"""What is drawn: the picture of a camera, and the textures and materials that distractions may change."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import final
from xml.etree import ElementTree

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco

from saccade.envs.mujoco.moving import Moving
from saccade.envs.mujoco.opengl import no_opengl
from saccade.types import UserError

CAMERA = 0  # where nobody chooses

# render_quality "fast". A small shadow map and coarse capsules: what software rendering spends its time on.
FAST_SHADOW_SIZE = 512  # texels; the Control Suite has 2048
FAST_SLICES, FAST_STACKS = 12, 6  # facets of round shapes; MuJoCo has 28 and 16
FAST_SAMPLES = 4  # per pixel, as MuJoCo has it: without them edges are ragged

Rgb = tuple[float, float, float]
BuiltinTextures = Mapping[str, Mapping[str, str]]  # a texture's name -> its XML attributes

CUBE_FACES = 6
SKY = "skybox"


@final
class Scene:
    """The picture of a dm_control physics, and how to change what is in it.

    Textures and materials are changed in the compiled model and handed to OpenGL anew, which gives the same
    pixels as compiling the model with other colours (the published code's way) in a fraction of the time.

    Raises:
        UserError: no OpenGL context can be made.
    """

    def __init__(
        self,
        physics: dm_mujoco.Physics,
        image_size: int,
        render_quality: str,
        textures: BuiltinTextures,
        camera: int = CAMERA,
    ) -> None:
        self._physics = physics
        self._textures = textures
        self._painted: dict[str, object] = {}
        self._own_colors = np.array(physics.model.mat_rgba)
        self.moving = Moving(physics, camera)
        visual = physics.model.vis
        visual.global_.offwidth = visual.global_.offheight = image_size  # same pixels as a larger buffer, sooner
        if render_quality == "fast":
            visual.quality.shadowsize = FAST_SHADOW_SIZE
            visual.quality.numslices = FAST_SLICES
            visual.quality.numstacks = FAST_STACKS
            visual.quality.offsamples = FAST_SAMPLES
        try:
            self._camera = dm_mujoco.Camera(physics, image_size, image_size, camera)
        except (mujoco.FatalError, ImportError, RuntimeError) as error:
            physics.free()
            raise no_opengl(os.environ.get("MUJOCO_GL", ""), error) from error

    def render(self) -> np.ndarray:
        """The picture now: uint8 ``[H, W, 3]``, a view that the next call overwrites."""
        return self._camera.render()

    def paint_texture(self, name: str, **colors: Rgb) -> None:
        """Draw one of the suite's built-in textures again with some of ``rgb1 rgb2 markrgb`` replaced (0..1).

        Colours that are not given are the suite's own. A model without that texture keeps what it has.
        """
        if self._painted.get(name) != colors:
            self._replace_texture(name, colors, lambda: _draw_texture(self._textures[name], colors))

    def paint_picture(self, name: str, picture: np.ndarray) -> None:
        """Show a picture, uint8 ``[side, side, 3]``, on every face of a cube texture of that side.

        It is not to be written to afterwards. A model without that texture keeps what it has.
        """
        if self._painted.get(name) is not picture:
            self._replace_texture(name, picture, lambda: np.concatenate([picture] * CUBE_FACES).ravel())

    def paint_material(self, name: str, rgb: Rgb) -> None:
        """Give a material an opaque colour (0..1); a model without that material keeps what it has."""
        material = self._find(mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material >= 0:
            self._physics.model.mat_rgba[material] = (*rgb, 1.0)

    def tint_material(self, name: str, rgb: Rgb) -> None:
        """Multiply a material's own colour by another (0..1); a model without that material keeps what it has."""
        material = self._find(mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material >= 0:
            self._physics.model.mat_rgba[material] = self._own_colors[material] * (*rgb, 1.0)

    @property
    def material_colors(self) -> np.ndarray:
        """The materials' own colours: red, green, blue in 0..1, ``[materials, 3]``, in the model's order."""
        return np.array(self._own_colors[:, :3])

    def color_materials(self, rgb: np.ndarray) -> None:
        """Give every material a colour, ``[materials, 3]`` in 0..1; each stays as opaque as it is."""
        self._physics.model.mat_rgba[:, :3] = rgb

    def fade_material(self, name: str, opacity: float) -> None:
        """Let a material show what lies behind it (0..1); a model without that material keeps what it has."""
        material = self._find(mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material >= 0:
            self._physics.model.mat_rgba[material, 3] = opacity

    def show_in_sky(self, picture: np.ndarray, painted: object) -> None:
        """Show a picture, uint8 ``[side, side, 3]``, on all six sides of the sky; no larger than the sky's own are.

        painted: what tells it from other pictures: with the same as before, nothing is done.
        """
        texture = self._find(mujoco.mjtObj.mjOBJ_TEXTURE, SKY)
        if texture >= 0 and self._painted.get(SKY) != painted:
            # MuJoCo repeats a texture that is as high as it is wide on all sides of a cube.
            model = self._physics.model
            model.tex_width[texture] = model.tex_height[texture] = len(picture)
            self._replace_texture(SKY, painted, picture.ravel)

    def upload_heights(self) -> None:
        """Draw every height field as it now is in the model (the terrain of quadruped_escape)."""
        for field in range(self._physics.model.nhfield):
            self._upload(mujoco.mjr_uploadHField, field)

    def close(self) -> None:
        """Free the OpenGL context; nothing can be rendered afterwards."""
        self._physics.free()

    def _find(self, kind: mujoco.mjtObj, name: str) -> int:
        return int(mujoco.mj_name2id(self._physics.model.ptr, kind, name))

    def _replace_texture(self, name: str, painted: object, draw: Callable[[], np.ndarray]) -> None:
        model, texture = self._physics.model, self._find(mujoco.mjtObj.mjOBJ_TEXTURE, name)
        if texture < 0:
            return
        content = draw()
        start = model.tex_adr[texture]
        model.tex_data[start : start + content.size] = content
        self._upload(mujoco.mjr_uploadTexture, texture)
        self._painted[name] = painted

    def _upload(self, upload: object, number: int) -> None:
        contexts = self._physics.contexts
        with contexts.gl.make_current() as context:
            context.call(upload, self._physics.model.ptr, contexts.mujoco.ptr, number)


def camera_number(model: mujoco.MjModel, wanted: str) -> int:
    """The number of the camera with this name, or this number. Raises UserError for one that the model lacks."""
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_CAMERA, number) or "" for number in range(model.ncam)]
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < model.ncam:
        return int(wanted)
    have = ", ".join(name or str(number) for number, name in enumerate(names))
    raise UserError(f"there is no camera {wanted!r}; this task has {have}, or their numbers from 0")


@cache
def builtin_textures(*documents: str | bytes) -> BuiltinTextures:
    """The named textures of some models' XML, with the attributes that MuJoCo draws them from."""
    elements = [element for document in documents for element in ElementTree.fromstring(document).iter("texture")]
    return {element.attrib["name"]: dict(element.attrib) for element in elements}


def _draw_texture(definition: Mapping[str, str], colors: Mapping[str, Rgb]) -> np.ndarray:
    """The texture's pixels, flat uint8, from MuJoCo's own compiler: a model of this texture alone."""
    attributes = {**definition, **{key: " ".join(map(repr, rgb)) for key, rgb in colors.items()}}
    root = ElementTree.Element("mujoco")
    ElementTree.SubElement(ElementTree.SubElement(root, "asset"), "texture", attributes)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode")).tex_data
