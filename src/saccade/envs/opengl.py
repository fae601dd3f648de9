"""Which OpenGL draws the pictures: chosen before the simulator is imported, explained where it lacks."""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from saccade.types import UserError

# Newest with newest does not work, and neither do most other pairs.
VERSIONS: Mapping[str, str] = {"dm-control": "1.0.41", "mujoco": "3.8.1"}

BACKENDS = ("glfw", "egl", "osmesa")  # as MUJOCO_GL names them
NVIDIA_DEVICE = Path("/dev/nvidia0")
INSTALL_HINT = "run `apt-get install -y libosmesa6` (as root) and leave MUJOCO_GL unset"


def choose_backend() -> str:
    """Set MUJOCO_GL, unless it is set, to an OpenGL that this machine has; return its value.

    A display gives ``glfw``, an NVIDIA GPU with its EGL driver ``egl``, else software: ``osmesa`` where it is
    installed, ``egl`` otherwise. Must run before mujoco or dm_control is first imported. Also tells
    dm_control to render in the thread that asks: its own rendering thread complains when the program ends. So
    an environment belongs to the thread that made it.

    Raises:
        UserError: there is no OpenGL, or MUJOCO_GL and PYOPENGL_PLATFORM contradict each other.
    """
    os.environ.setdefault("DISABLE_RENDER_THREAD_OFFLOADING", "1")
    backend = os.environ.get("MUJOCO_GL", "")
    if not backend:
        backend = os.environ["MUJOCO_GL"] = _find_backend()
        if backend != "glfw":
            os.environ["PYOPENGL_PLATFORM"] = backend
    platform = os.environ.get("PYOPENGL_PLATFORM", "")
    if backend in ("egl", "osmesa") and platform not in ("", backend):
        raise UserError(
            f"MUJOCO_GL is {backend!r} but PYOPENGL_PLATFORM is {platform!r}; unset both, or make them equal"
        )
    return backend


def check_versions() -> None:
    """Ask for the pair of dm-control and mujoco that this project is tested with.

    Raises:
        UserError: one is missing or another version is installed.
    """
    found = {name: _version(name) for name in VERSIONS}
    if found == VERSIONS:
        return
    wanted = " ".join(f'"{name}=={version}"' for name, version in VERSIONS.items())
    installed = " with ".join(f"{name} {version or '(missing)'}" for name, version in found.items())
    raise UserError(f"{installed} is installed, and no such pair is known to work; run `pip install {wanted}`")


def load_simulator() -> None:
    """Check versions, choose the OpenGL and import dm_control, or say in one sentence why that cannot be.

    Raises:
        UserError: wrong versions, or the chosen OpenGL cannot be loaded.
    """
    check_versions()
    backend = choose_backend()
    try:
        import dm_control.mujoco  # noqa: F401
    except (
        AttributeError,
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # PyOpenGL: None has no attribute ...
        raise no_opengl(backend, error) from error


def no_opengl(backend: str, error: Exception) -> UserError:
    """The sentence for an OpenGL that was asked for and does not start."""
    return UserError(f"the OpenGL backend {backend!r} does not start ({error}); {INSTALL_HINT}")


def gl_renderer() -> str:
    """What really draws, in OpenGL's own words (GL_RENDERER): a GPU's name, or ``llvmpipe`` for software.

    Raises:
        UserError: as ``load_simulator``, or no picture can be drawn.
    """
    load_simulator()
    from dm_control import mujoco as dm_mujoco
    from mujoco import FatalError
    from OpenGL import GL

    physics = dm_mujoco.Physics.from_xml_string("<mujoco/>")
    try:
        with physics.contexts.gl.make_current() as context:
            return str(context.call(GL.glGetString, GL.GL_RENDERER).decode())
    except (FatalError, ImportError, RuntimeError) as error:
        raise no_opengl(os.environ["MUJOCO_GL"], error) from error
    finally:
        physics.free()


def _find_backend() -> str:
    if os.environ.get("DISPLAY"):
        return "glfw"
    if NVIDIA_DEVICE.exists() and _has("EGL") and _has("EGL_nvidia"):
        return "egl"
    if _has("OSMesa"):
        return "osmesa"
    if _has("EGL") and (_has("GL") or _has("OpenGL")):
        return "egl"
    raise UserError(f"this machine has no OpenGL to draw pictures with; {INSTALL_HINT}")


def _has(library: str) -> bool:
    return ctypes.util.find_library(library) is not None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
