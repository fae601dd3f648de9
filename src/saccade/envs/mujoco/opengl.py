"""Choose the OpenGL that renders, before the simulator is imported, and explain what is missing."""

from __future__ import annotations

import ctypes
import ctypes.util
import glob
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from saccade.data.nvidia import has_device_file
from saccade.types import UserError

# The newest versions do not work together, and neither do most other pairs.
VERSIONS: Mapping[str, str] = {"dm-control": "1.0.41", "mujoco": "3.8.1"}

BACKENDS = ("glfw", "egl", "osmesa")  # as MUJOCO_GL names them
DEVICES = Path("/dev")
VENDOR_VARIABLE = "__EGL_VENDOR_LIBRARY_FILENAMES"
VENDOR_FOLDERS = ("/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d")  # where EGL looks for drivers
CONTAINER_VENDOR_FILE = "/usr/local/nvidia/share/glvnd/egl_vendor.d/10_nvidia.json"  # where it does not look

SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer")  # parts of their GL_RENDERER

SOFTWARE_HINT = "run `apt-get install -y libosmesa6` (as root) to draw in software"
EGL_HINT = "run `apt-get install -y libegl1 libgl1 libglvnd0` (as root)"
DRIVER_HINT = (
    "give the GPU's driver its EGL library: install libnvidia-gl of the driver's version (as root), or start the "
    "container with NVIDIA_DRIVER_CAPABILITIES=all"
)
VENDOR_HINT = f"see that EGL finds the GPU's driver: {VENDOR_FOLDERS[0]} needs its 10_nvidia.json"

FIRST_PICTURE = """
<mujoco>
  <visual><global offwidth="84" offheight="84"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <camera pos="0 -3 1" xyaxes="1 0 0 0 0.3 1"/>
    <geom type="plane" size="2 2 0.1"/>
    <geom type="sphere" size="0.3" pos="0 0 0.5" rgba="1 0 0 1"/>
  </worldbody>
</mujoco>
"""
FIRST_PICTURE_PIXELS = 84


FORKED = (
    "this process is a fork of one that has drawn pictures already, and OpenGL does not survive that: start "
    'environments with context="forkserver", such as gymnasium.make_vec(ID, 2, vectorization_mode="async", '
    'vector_kwargs={"context": "forkserver"}); for Stable-Baselines3\'s SubprocVecEnv that is start_method'
)
_drawing_process: list[int] = []


class ForkedError(UserError):
    """This process is a fork of one that renders, and so cannot render itself."""


def claim_process() -> None:
    """Mark this process as one that renders. Raises ForkedError in a fork of such a process, where rendering hangs."""
    if is_fork():
        raise ForkedError(FORKED)
    if not _drawing_process:
        _drawing_process.append(os.getpid())


def is_fork() -> bool:
    """Return whether this process is a fork of one that has rendered."""
    return bool(_drawing_process) and _drawing_process[0] != os.getpid()


def check_drawing(thread: int) -> None:
    """Raise UserError in a process or thread that cannot render with what another thread has made.

    thread: its ``threading.get_ident()``.
    """
    claim_process()
    if threading.get_ident() != thread:
        raise UserError(
            "this environment was made in another thread, and OpenGL draws only there; make one in each thread"
        )


def choose_backend() -> str:
    """Set MUJOCO_GL, unless it is set, to an OpenGL that this machine has; return its value.

    An NVIDIA GPU with its EGL driver gives ``egl``, even if there is a display; a display that can be opened
    ``glfw``; else software: ``osmesa`` if it is installed, ``egl`` otherwise. Must run before mujoco or dm_control
    is first imported. It also tells dm_control to render in the calling thread, because its own rendering thread
    complains when the program ends. So an environment belongs to the thread that made it.

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
    if backend == "egl" and has_nvidia_egl():
        _show_egl_the_driver()
    return backend


def has_nvidia_egl() -> bool:
    """Return whether there is an NVIDIA GPU, and the library with which EGL renders on it."""
    return _has_nvidia_device() and _has("EGL") and _has("EGL_nvidia")


def check_versions() -> None:
    """Check that the tested pair of dm-control and mujoco is installed.

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
    """Check versions, choose the OpenGL and import dm_control, or say in one sentence why that is impossible.

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
    """Return the error for an OpenGL that was requested and does not start: why, and what helps here."""
    if backend == "egl" and _has_nvidia_device():
        helps = f"{_nvidia_hint()}, or set MUJOCO_GL=osmesa and {SOFTWARE_HINT}"
    elif backend == "egl":
        helps = f"there is no NVIDIA GPU here: leave MUJOCO_GL unset and {SOFTWARE_HINT}"
    elif backend == "osmesa":
        helps = "its library is missing: " * (not _has("OSMesa")) + SOFTWARE_HINT
    elif backend == "glfw":
        display = os.environ.get("DISPLAY")
        screen = f"the display {display} cannot be used" if display else "there is no display"
        helps = f"{screen}: leave MUJOCO_GL unset, which then draws without one, and {SOFTWARE_HINT} without a GPU"
    else:
        helps = f"leave MUJOCO_GL unset, or set it to one of {', '.join(BACKENDS)}"
    return UserError(f"the OpenGL backend {backend!r} does not start ({error}); {helps}")


def gl_renderer() -> str:
    """Return what actually renders, in OpenGL's own words (GL_RENDERER): a GPU's name, or ``llvmpipe`` for software.

    It renders a picture to find out.

    Raises:
        UserError: as ``load_simulator``, or no picture can be rendered.
    """
    load_simulator()
    claim_process()
    from dm_control import mujoco as dm_mujoco
    from mujoco import FatalError
    from OpenGL import GL

    physics = dm_mujoco.Physics.from_xml_string(FIRST_PICTURE)
    try:
        physics.render(FIRST_PICTURE_PIXELS, FIRST_PICTURE_PIXELS, camera_id=0)
        with physics.contexts.gl.make_current() as context:
            return str(context.call(GL.glGetString, GL.GL_RENDERER).decode())
    except (FatalError, ImportError, RuntimeError) as error:
        raise no_opengl(os.environ["MUJOCO_GL"], error) from error
    finally:
        physics.free()


@dataclass(frozen=True)
class SimulatorRenderer:
    """The renderer of the simulator in this process, tried with a picture before environments are made."""

    def load(self) -> bool:
        """Import the renderer; return whether it is a GPU, which renders at once or never. May raise."""
        load_simulator()
        return os.environ["MUJOCO_GL"] == "egl" and has_nvidia_egl()

    def draw(self) -> str:
        """Render a picture; return what rendered it, as ``gl_renderer``."""
        return gl_renderer()


def is_software(renderer: str) -> bool:
    """Return whether a GL_RENDERER is a processor; False if it is unknown ("")."""
    return any(part in renderer.lower() for part in SOFTWARE_RENDERERS)


def why_in_software(renderer: str) -> str:
    """Return a message for users whose GPU trains while their processor renders: that it does, and what helps."""
    chosen = os.environ.get("MUJOCO_GL") not in (None, "", "egl")
    helps = "leave MUJOCO_GL unset" if chosen else _nvidia_hint()
    return f"pictures are drawn in software ({renderer}) not by the GPU, which takes tens of milliseconds each: {helps}"


def _nvidia_hint() -> str:
    """What an NVIDIA GPU lacks here to render."""
    lacks = [hint for library, hint in (("EGL", EGL_HINT), ("EGL_nvidia", DRIVER_HINT)) if not _has(library)]
    return " and ".join(lacks) or VENDOR_HINT


def _find_backend() -> str:
    if has_nvidia_egl():
        return "egl"
    if _display_opens():
        return "glfw"
    if _has("OSMesa"):
        return "osmesa"
    if _has("EGL") and (_has("GL") or _has("OpenGL")):
        return "egl"
    display = os.environ.get("DISPLAY")
    found = [
        f"the display {display} cannot be opened" if display else "there is no display",
        "the NVIDIA GPU has no EGL library" if _has_nvidia_device() else "there is no NVIDIA GPU",
        "OSMesa is not installed",
    ]
    helps = f"{DRIVER_HINT}, or {SOFTWARE_HINT}" if _has_nvidia_device() else SOFTWARE_HINT
    raise UserError(f"this machine has no OpenGL to draw pictures with ({', '.join(found)}); {helps}")


def _has_nvidia_device() -> bool:
    return has_device_file(DEVICES)


def _show_egl_the_driver() -> None:
    """Tell EGL the driver's file if a container has it where EGL does not look."""
    known = any(glob.glob(f"{folder}/*nvidia*.json") for folder in VENDOR_FOLDERS)
    if not known and Path(CONTAINER_VENDOR_FILE).exists():
        os.environ.setdefault(VENDOR_VARIABLE, CONTAINER_VENDOR_FILE)


def _display_opens() -> bool:
    """Whether a display can be opened; DISPLAY may be left over from a connection that has ended."""
    if not os.environ.get("DISPLAY"):
        return False
    if sys.platform != "linux":
        return True
    library = ctypes.util.find_library("X11")
    if library is None:
        return False
    x11 = ctypes.CDLL(library)
    x11.XOpenDisplay.argtypes, x11.XOpenDisplay.restype = [ctypes.c_char_p], ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if display is None:
        return False
    x11.XCloseDisplay(display)
    return True


def _has(library: str) -> bool:
    """Whether a library can be loaded: installed, or below LD_LIBRARY_PATH, where containers have drivers."""
    folders = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    return ctypes.util.find_library(library) is not None or any(
        glob.glob(f"{glob.escape(folder)}/lib{library}.so*") for folder in folders
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
