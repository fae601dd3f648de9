"""What is drawn: the picture of camera 0, and the textures and materials that distractions may change."""

from __future__ import annotations

import os
from functools import cache
from typing import final
from xml.etree import ElementTree

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from dm_control.suite import common

from saccade.envs.opengl import no_opengl

CAMERA = 0

# render_quality "fast". A small shadow map and coarse capsules: what software rendering spends its time on.
FAST_SHADOW_SIZE = 512  # texels; the Control Suite has 2048
FAST_SLICES, FAST_STACKS = 12, 6  # facets of round shapes; MuJoCo has 28 and 16
FAST_SAMPLES = 4  # per pixel, as MuJoCo has it: without them edges are ragged

Rgb = tuple[float, float, float]


@final
class Scene:
    """The picture of a dm_control physics, and how to change what is in it.

    Textures and materials are changed in the compiled model and handed to OpenGL anew, which gives the same
    pixels as compiling the model with other colours (the published code's way) in a fraction of the time.

    Raises:
        UserError: no OpenGL context can be made.
    """

    def __init__(self, physics: dm_mujoco.Physics, image_size: int, render_quality: str) -> None:
        self._physics = physics
        self._painted: dict[str, dict[str, Rgb]] = {}
        visual = physics.model.vis
        visual.global_.offwidth = visual.global_.offheight = image_size  # same pixels as a larger buffer, sooner
        if render_quality == "fast":
            visual.quality.shadowsize = FAST_SHADOW_SIZE
            visual.quality.numslices = FAST_SLICES
            visual.quality.numstacks = FAST_STACKS
            visual.quality.offsamples = FAST_SAMPLES
        try:
            self._camera = dm_mujoco.Camera(physics, image_size, image_size, CAMERA)
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
        model = self._physics.model
        texture = mujoco.mj_name2id(model.ptr, mujoco.mjtObj.mjOBJ_TEXTURE, name)
        if texture < 0 or self._painted.get(name) == colors:
            return
        content = _draw_texture(name, colors)
        start = model.tex_adr[texture]
        model.tex_data[start : start + content.size] = content
        self._upload(mujoco.mjr_uploadTexture, texture)
        self._painted[name] = colors

    def paint_material(self, name: str, rgb: Rgb) -> None:
        """Give a material an opaque colour (0..1); a model without that material keeps what it has."""
        model = self._physics.model
        material = mujoco.mj_name2id(model.ptr, mujoco.mjtObj.mjOBJ_MATERIAL, name)
        if material >= 0:
            model.mat_rgba[material] = (*rgb, 1.0)

    def upload_heights(self) -> None:
        """Draw every height field as it now is in the model (the terrain of quadruped_escape)."""
        for field in range(self._physics.model.nhfield):
            self._upload(mujoco.mjr_uploadHField, field)

    def close(self) -> None:
        """Free the OpenGL context; nothing can be rendered afterwards."""
        self._physics.free()

    def _upload(self, upload: object, number: int) -> None:
        contexts = self._physics.contexts
        with contexts.gl.make_current() as context:
            context.call(upload, self._physics.model.ptr, contexts.mujoco.ptr, number)


@cache
def _texture_definitions() -> dict[str, dict[str, str]]:
    """The built-in textures that the suite's domains share: name -> its XML attributes."""
    files = ("./common/materials.xml", "./common/skybox.xml")
    elements = [element for file in files for element in ElementTree.fromstring(common.ASSETS[file]).iter("texture")]
    return {element.attrib["name"]: dict(element.attrib) for element in elements}


def _draw_texture(name: str, colors: dict[str, Rgb]) -> np.ndarray:
    """The texture's pixels, flat uint8, from MuJoCo's own compiler: a model of this texture alone."""
    attributes = _texture_definitions()[name] | {key: " ".join(map(repr, rgb)) for key, rgb in colors.items()}
    root = ElementTree.Element("mujoco")
    ElementTree.SubElement(ElementTree.SubElement(root, "asset"), "texture", attributes)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode")).tex_data
