"""Examine what this machine has and what is wrong with it, for ``saccade doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.data.banks.colors import load_colors
from saccade.data.banks.davis import TRAINING_CLIPS, clip_names
from saccade.data.banks.textures import read_texture
from saccade.data.documents import BadDocument, parse
from saccade.data.files import NoFile, refuse_endless
from saccade.data.folder import (
    COLOR_MODES,
    DAVIS,
    TEXTURE_MODES,
    TEXTURES,
    VIDEO_MODES,
    DataFolder,
    cache_dir,
    find_data,
)
from saccade.data.nvidia import nvidia_device
from saccade.doctor.facts import (
    GIGABYTE,
    installed_version,
    memory_gigabytes,
    own_version,
    processor_name,
)
from saccade.doctor.gpu import compiler, gpus
from saccade.doctor.rows import Report, Row
from saccade.envs.mujoco.opengl import is_software
from saccade.envs.workers.env_workers import available_cores
from saccade.types import UserError

if TYPE_CHECKING:
    from rich.console import Console

OLDEST_TORCH = (2, 11)  # the oldest that the tests have run on; before 2.10 a file of weights can run code
BENCHMARK_CLIPS = {"video_easy": 10, "video_hard": 100}

GL_TIMEOUT_SECONDS = 60.0
LITTLE_DISK_GIGABYTES = 25.0  # a full run's replay buffer is 11, and a new checkpoint is written beside the old one

# Asked in a process of its own: a missing or broken driver can kill the process that asks.
GL_QUESTION = """
import json, os
from saccade.envs.mujoco import opengl
from saccade.types import UserError
try:
    opengl.choose_backend()
    answer = {"renderer": opengl.gl_renderer()}
except UserError as error:
    answer = {"problem": str(error)}
print(json.dumps({"backend": os.environ.get("MUJOCO_GL", ""), **answer}), flush=True)
os._exit(0)  # some drivers complain while they are unloaded
"""


def examine(data: str | Path | None = None) -> Report:
    """Examine this machine; takes seconds, since one picture is rendered in a process of its own.

    Args:
        data: the benchmark's data folder; None for the one named by SACCADE_DATA.
    """
    rows = [_python(), Row("saccade", own_version()), _torch(), *gpus(), *compiler(), _simulator(), renderer()]
    rows += [_processor(), _disk(), _video_library(), *_data(data), _cache()]
    return Report(tuple(rows))


def print_report(report: Report, console: Console) -> None:
    """Print the rows as a table, then their advice, problems first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for row in report.rows:
        sign = ("wrong", "red") if not row.ok else ("note", "yellow") if row.advice else ("ok", "green")
        table.add_row(Text(*sign), Text(row.what), Text(row.value))
    console.print(table)
    for row in sorted((row for row in report.rows if row.advice), key=lambda row: row.ok):
        console.print(Text.assemble("\n", (row.what, "bold"), f": {row.advice}"))
    names = ", ".join(row.what for row in report.problems)
    console.print(Text(f"\nWrong: {names}." if names else "\nNothing is wrong."))


def renderer(question: str = GL_QUESTION, timeout_seconds: float = GL_TIMEOUT_SECONDS) -> Row:
    """Return the OpenGL that the simulator would render with, by the name that it reports.

    Args:
        question: Python code that prints a JSON object with ``backend`` and ``renderer`` or ``problem``.
    """
    search_path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        child = subprocess.run(
            [sys.executable, "-c", question],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(search_path)},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Row("renderer", f"did not answer within {timeout_seconds:.0f} s", False, _no_renderer_advice())
    if child.returncode < 0:
        how = signal.Signals(-child.returncode).name
        return Row("renderer", f"the process that tested it was ended by {how}", False, _no_renderer_advice())
    if child.returncode > 0:
        return Row("renderer", _last_line(child.stderr), False, _no_renderer_advice())
    try:
        answer = parse(_last_line(child.stdout), dict[str, str])
    except BadDocument:
        return Row("renderer", "gave an unreadable answer", False, _no_renderer_advice())
    if "problem" in answer:
        return Row("renderer", "none that works", False, answer["problem"])
    return _describe_renderer(answer["backend"], answer["renderer"])


def _describe_renderer(backend: str, name: str) -> Row:
    value = f"{name} (MUJOCO_GL={backend})"
    if not is_software(name):
        return Row("renderer", value)
    advice = (
        "Pictures are rendered in software, about 40 ms each; --render-quality fast takes a sixth of that, "
        "looks slightly different, and such results are kept apart from benchmark results."
    )
    if nvidia_device():
        advice += " There is an NVIDIA device: with its EGL library (libnvidia-gl) it would render instead."
    return Row("renderer", f"{value}, software", advice=advice)


def _no_renderer_advice() -> str:
    setting = os.environ.get("MUJOCO_GL")
    unset = f"unset MUJOCO_GL (it is {setting!r}), or " if setting else ""
    return f"To render without a GPU or a screen, {unset}run: sudo apt-get install -y libosmesa6"


def _python() -> Row:
    return Row("python", f"{platform.python_version()} ({sys.executable})")


def _torch() -> Row:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Row("torch", f"cannot be imported: {error}", False, "Reinstall it: pip install torch")
    version = torch.__version__
    major, minor = version.split(".")[:2]
    if (int(major), int(minor)) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        advice = f"Saccade is tested with {oldest} and newer: pip install -U torch"
        return Row("torch", version, False, advice)
    return Row("torch", f"{version}, CUDA {torch.version.cuda or 'not built in'}")


def _simulator() -> Row:
    from saccade.envs.mujoco.opengl import check_versions

    versions = f"dm_control {installed_version('dm-control')}, mujoco {installed_version('mujoco')}"
    if installed_version("dm-control") is None or installed_version("mujoco") is None:
        return Row("simulator", "not installed", False, "Install it: pip install 'saccade-rl[dmc]'")
    try:
        check_versions()
    except UserError as error:
        return Row("simulator", versions, False, str(error))
    return Row("simulator", versions)


def _processor() -> Row:
    return Row("processor", f"{available_cores()} cores, {memory_gigabytes():.0f} GB memory ({processor_name()})")


def _disk() -> Row:
    free = shutil.disk_usage(Path.cwd()).free / GIGABYTE
    advice = "A run of 500,000 steps with its checkpoints can fill it."
    return Row("disk", f"{free:.0f} GB free here", advice=advice if free < LITTLE_DISK_GIGABYTES else "")


def _video_library() -> Row:
    try:
        import av
        from av.codec import codecs_available
    except (ImportError, OSError) as error:
        return Row("video", f"PyAV cannot be imported: {error}", False, "Install it: pip install av")
    version = f"PyAV {av.__version__}, FFmpeg {getattr(av, 'ffmpeg_version_info', 'of unknown version')}"
    if "libx264" in codecs_available:
        return Row("video", version)
    return Row("video", f"{version}, without H.264", False, "Install PyAV's own build: pip install -U av")


def _data(explicit: str | Path | None) -> Iterator[Row]:
    try:
        folder = find_data(explicit)
    except UserError as error:
        yield Row("benchmark data", "not found", False, str(error))
        return
    if folder.root is None:
        advice = "To measure on the benchmark's own colours and clips, set SACCADE_DATA to its data folder."
        yield Row("benchmark data", "none; colours and moving scenes are generated", advice=advice)
        return
    yield Row("benchmark data", str(folder.root))
    for mode in COLOR_MODES:
        yield _colors(folder, mode)
    for mode in VIDEO_MODES:
        yield _clips(folder, mode)
    yield _textures(folder)
    yield _davis(folder)


def _colors(folder: DataFolder, mode: str) -> Row:
    path = folder.colors(mode)
    if path is None:
        return Row(mode, "no file; generated", advice=f"{mode}.pt is not in the data folder.")
    try:
        return Row(mode, f"{len(load_colors(path))} settings")
    except UserError as error:
        return Row(mode, f"{path.name} cannot be read", False, str(error))


def _clips(folder: DataFolder, mode: str) -> Row:
    clips = folder.clips(mode)
    expected = BENCHMARK_CLIPS[mode]
    if not clips:
        return Row(mode, "no clips; generated", advice=f"{mode}/ holds no mp4 or mov files.")
    damaged = [clip.name for clip in clips if not _is_video(clip)]
    value = f"{len(clips) - len(damaged)} of {expected} clips"
    if damaged:
        return Row(mode, value, False, f"Damaged, and skipped: {', '.join(damaged)}. Copy them again.")
    present = {clip.stem for clip in clips}
    missing = [index for index in range(expected) if f"video{index}" not in present]
    return Row(mode, value, advice=f"Without the clips numbered {_ranges(missing)}." if missing else "")


def _textures(folder: DataFolder) -> Row:
    """The robot's table tops in one row: most people have none."""
    try:
        found = {mode: folder.texture(mode) for mode in TEXTURE_MODES}
        own = [mode for mode, path in found.items() if path is not None and read_texture(path) is not None]
    except UserError as error:
        return Row(TEXTURES, "cannot be used", False, str(error))
    return Row(TEXTURES, f"table tops of {', '.join(own)}" if own else "none; table tops are generated")


def _davis(folder: DataFolder) -> Row:
    """The clips of distracting_cs in one row: most people have none."""
    try:
        root = folder.davis()
        found = None if root is None else clip_names(root)
    except UserError as error:
        return Row(DAVIS, "cannot be used", False, str(error))
    if found is None:
        return Row(DAVIS, "none; clips of distracting_cs are generated")
    known = len({*found} & {*TRAINING_CLIPS})
    return Row(
        DAVIS, f"{known} of {len(TRAINING_CLIPS)} training clips" if known else f"{len(found)} clips of your own"
    )


def _ranges(numbers: list[int]) -> str:
    """Format 3, 4, 5, 7 as ``3-5, 7``."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))


def _is_video(path: Path) -> bool:
    """Whether a clip has a picture that can be read; assumed if there is nothing to read it with."""
    try:
        import av
    except (ImportError, OSError):
        return True
    try:
        refuse_endless(path)
        with av.open(str(path)) as container:
            return any(True for _ in container.decode(video=0))
    except (av.FFmpegError, OSError, IndexError, NoFile):
        return False


def _cache() -> Row:
    folder = cache_dir()
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Row("cache", str(folder))
    return Row("cache", f"{folder} cannot be written", False, "Set SACCADE_CACHE to a folder that can be written.")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
