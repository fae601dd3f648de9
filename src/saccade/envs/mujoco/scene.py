"""Render the picture of a camera, and change the textures and materials in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import final
from xml.etree import ElementTree

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from dm_control.mujoco.wrapper import MjvOption

from saccade.envs.distractions.on_screen import PUBLISHED_SCREENS
from saccade.envs.mujoco.camera import TurnableCamera
from saccade.envs.mujoco.moving import Moving
from saccade.envs.mujoco.opengl import no_opengl
from saccade.envs.mujoco.screen import Screen
from saccade.envs.mujoco.view import View
from saccade.types import UserError

CAMERA = 0  # by default

# render_quality "fast". A small shadow map and coarse capsules: what software rendering spends its time on.
FAST_SHADOW_SIZE = 512  # texels; the Control Suite uses 2048
FAST_SLICES, FAST_STACKS = 12, 6  # facets of round shapes; MuJoCo has 28 and 16
FAST_SAMPLES = 4  # per pixel, as in MuJoCo: without them edges are ragged

Rgb = tuple[float, float, float]
BuiltinTextures = Mapping[str, Mapping[str, str]]  # a texture's name -> its XML attributes

CUBE_FACES = 6
UNTOLD = {"rgb1": "0.8 0.8 0.8", "rgb2": "0.5 0.5 0.5"}  # colours of a texture that names none (MuJoCo's XML reference)
SKY = "skybox"


@final
class Scene:
    """The picture of a dm_control physics, and ways to change what is in it.

    Textures and materials are changed in the compiled model and uploaded to OpenGL again, which gives the same
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
        self._unpainted: mujoco.MjrContext | None = None
        self.view = View(physics.model.ptr, physics.data.ptr, camera)
        self.own_camera = TurnableCamera(physics, camera)
        self.screen = Screen(physics, PUBLISHED_SCREENS.get(self.own_camera.model_name))
        self.moving = Moving(physics, camera)
        visual = physics.model.vis
        visual.global_.offwidth = visual.global_.offheight = image_size  # same pixels as a larger buffer, faster
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
        """Render the current picture: uint8 ``[H, W, 3]``, a view that the next call overwrites."""
        self.look()
        return self._camera.render()

    def draw_with(self, flag: mujoco.mjtRndFlag, wanted: bool) -> None:
        """Render every picture with or without one of MuJoCo's rendering flags, such as fog."""
        self._camera.scene.flags[flag] = wanted

    def fill_with_air(self, rgb: Rgb, clear: float, gone: float) -> None:
        """Make things fade into a colour (0..1): not before ``clear``, completely from ``gone`` on (metres)."""
        self.draw_with(mujoco.mjtRndFlag.mjRND_FOG, True)
        contexts = self._physics.contexts
        contexts.mujoco.ptr.fogRGBA[:] = (*rgb, 1.0)

        def reach() -> None:
            """Set it in OpenGL too: MuJoCo does so only when a context is made."""
            from OpenGL import GL

            GL.glFogf(GL.GL_FOG_START, clear)
            GL.glFogf(GL.GL_FOG_END, gone)

        with contexts.gl.make_current() as context:
            context.call(reach)

    def render_ids(self, option: MjvOption) -> np.ndarray:
        """Return the number of the geom that each pixel shows, -1 if none: int32 ``[H, W]``."""
        self.look()
        shown = self._camera.render(segmentation=True, scene_option=option)
        return np.where(shown[..., 1] == mujoco.mjtObj.mjOBJ_GEOM, shown[..., 0], -1)

    def look(self) -> None:
        """Bring camera, lamps and sky to their current state; doing it twice changes nothing."""
        self.moving.apply()
        self.view.aim(from_the_models=not self.moving.moves_camera)

    def texture_colour(self, name: str, which: str) -> Rgb:
        """Return a built-in texture's own ``rgb1`` or ``rgb2`` (0..1), whatever has been painted since."""
        colour = self._textures.get(name, {}).get(which, UNTOLD[which])
        red, green, blue = map(float, colour.split())
        return red, green, blue

    def material_colour(self, name: str) -> Rgb | None:
        """Return a material's own colour (0..1), whatever has been painted since; None if there is no such material."""
        material = self._find(mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material < 0:
            return None
        red, green, blue = map(float, self._own_colors[material, :3])
        return red, green, blue

    def paint_texture(self, name: str, **colors: Rgb) -> None:
        """Draw one of the suite's built-in textures again with some of ``rgb1 rgb2 markrgb`` replaced (0..1).

        Colours that are not given are the suite's own. A model without that texture keeps what it has.
        """
        if self._painted.get(name) != colors:
            self._replace_texture(name, colors, lambda: _draw_texture(self._textures[name], colors))

    def paint_picture(self, name: str, picture: np.ndarray) -> None:
        """Show a picture, uint8 ``[side, side, 3]``, on every face of a cube texture of that side.

        It must not be written to afterwards. A model without that texture keeps what it has.
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

    def keep_unpainted(self, names: Sequence[str], **cover: Rgb) -> None:
        """Keep the textures as they are now, for ``render_unpainted``, in an OpenGL context of their own.

        names, cover: the textures that the caller is going to paint, and how. If they still look like that, nothing
        else has been painted since the last time, and their own colours are kept.
        """
        for name in names:
            if self._painted.get(name) == cover:
                self.paint_texture(name)
        model, contexts = self._physics.model.ptr, self._physics.contexts

        def begin() -> mujoco.MjrContext:
            if self._unpainted is not None:
                self._unpainted.free()
            context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, contexts.mujoco.ptr)
            return context

        with contexts.gl.make_current() as context:
            self._unpainted = context.call(begin)

    def render_unpainted(self) -> np.ndarray:
        """Render the last picture again with the textures that were kept: uint8 ``[H, W, 3]``."""
        assert self._unpainted is not None
        camera, contexts = self._camera, self._physics.contexts
        pixels = np.empty((camera.height, camera.width, 3), np.uint8)
        whole = mujoco.MjrRect(0, 0, camera.width, camera.height)

        def draw() -> None:
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._unpainted)
            mujoco.mjr_render(whole, camera.scene.ptr, self._unpainted)
            mujoco.mjr_readPixels(pixels, None, whole, self._unpainted)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, contexts.mujoco.ptr)

        with contexts.gl.make_current() as context:
            context.call(draw)
        return np.asarray(contexts.gl.to_pixels(pixels))

    @property
    def material_colors(self) -> np.ndarray:
        """Return the materials' own colours: red, green, blue in 0..1, ``[materials, 3]``, in the model's order."""
        return np.array(self._own_colors[:, :3])

    def color_materials(self, rgb: np.ndarray) -> None:
        """Give every material a colour, ``[materials, 3]`` in 0..1; each stays as opaque as it is."""
        self._physics.model.mat_rgba[:, :3] = rgb

    def fade_material(self, name: str, opacity: float) -> None:
        """Make a material transparent (0..1); a model without that material keeps what it has."""
        material = self._find(mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material >= 0:
            self._physics.model.mat_rgba[material, 3] = opacity

    def show_in_sky(self, picture: np.ndarray, painted: object) -> None:
        """Show a picture, uint8 ``[side, side, 3]``, on all six sides of the sky; no larger than the sky's own.

        painted: identifies the picture: if it is the same as before, nothing is done.
        """
        texture = self._find(mujoco.mjtObj.mjOBJ_TEXTURE, SKY)
        if texture >= 0 and self._painted.get(SKY) != painted:
            # MuJoCo repeats a texture that is as high as it is wide on all sides of a cube.
            model = self._physics.model
            model.tex_width[texture] = model.tex_height[texture] = len(picture)
            self._replace_texture(SKY, painted, picture.ravel)

    def upload_heights(self) -> None:
        """Upload every height field as it is now in the model (the terrain of quadruped_escape)."""
        for field in range(self._physics.model.nhfield):
            self._upload(mujoco.mjr_uploadHField, field)

    def close(self) -> None:
        """Free the OpenGL context; nothing can be rendered afterwards."""
        if self._unpainted is not None:
            with self._physics.contexts.gl.make_current() as context:
                context.call(self._unpainted.free)
            self._unpainted = None
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
    """Return the number of the camera with this name or number. Raises UserError for one that the model lacks."""
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_CAMERA, number) or "" for number in range(model.ncam)]
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < model.ncam:
        return int(wanted)
    have = ", ".join(name or str(number) for number, name in enumerate(names))
    raise UserError(f"there is no camera {wanted!r}; this task has {have}, or their numbers from 0")


@cache
def builtin_textures(*documents: str | bytes) -> BuiltinTextures:
    """Return the named textures of some models' XML, with the attributes from which MuJoCo draws them."""
    elements = [element for document in documents for element in ElementTree.fromstring(document).iter("texture")]
    return {element.attrib["name"]: dict(element.attrib) for element in elements}


def _draw_texture(definition: Mapping[str, str], colors: Mapping[str, Rgb]) -> np.ndarray:
    """The texture's pixels, flat uint8, from MuJoCo's own compiler: a model of this texture alone."""
    attributes = {**definition, **{key: " ".join(map(repr, rgb)) for key, rgb in colors.items()}}
    root = ElementTree.Element("mujoco")
    ElementTree.SubElement(ElementTree.SubElement(root, "asset"), "texture", attributes)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode")).tex_data
