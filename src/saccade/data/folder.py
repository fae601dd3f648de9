"""Find the benchmark's own data, if the user has it, and the folder where decoded data is stored."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from saccade.data.contents import Contents, contents_of
from saccade.data.files import refuse_endless
from saccade.types import UserError

COLOR_MODES = ("color_easy", "color_hard")
VIDEO_MODES = ("video_easy", "video_hard")
TEXTURE_MODES = ("test1", "test2", "test3", "test4", "test5")

TEXTURES = "textures"  # the user's folder for pictures of the robot tasks' table tops
TEXTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

DAVIS = "DAVIS"  # the folder that DAVIS-2017-trainval-480p.zip is unpacked to
DAVIS_CLIPS = Path("JPEGImages", "480p")  # inside it: a folder of numbered pictures for each clip

CLIP_SUFFIXES = (".mp4", ".m4v", ".mov")  # one format with different endings
OTHER_CLIP_SUFFIXES = (".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts", ".gif")
"""Endings of clips that are not opened, which a warning mentions."""

# A clone of the DMControl Generalization Benchmark keeps its data in this folder.
BENCHMARK_CLONE_DATA = Path("src", "env", "data")


@dataclass(frozen=True)
class DataFolder:
    """The data folder: ``color_<difficulty>.pt`` files, ``video_<difficulty>/``, ``textures/`` and ``DAVIS/``.

    ``root`` is None if there is no such folder; everything is then generated.
    """

    root: Path | None = None

    def colors(self, mode: str) -> Path | None:
        """Return the file of colour settings of ``color_easy`` or ``color_hard``; None if there is none.

        Raises:
            UserError: something else has its name, such as a pipe.
        """
        assert mode in COLOR_MODES, mode
        if self.root is None:
            return None
        path = self.root / f"{mode}.pt"
        refuse_endless(path)
        return path if path.is_file() else None

    def clips(self, mode: str) -> list[Path]:
        """Return the mp4 and mov files of ``video_easy`` or ``video_hard`` and folders in it, by number; or none.

        video2 comes before video10, as in the benchmark; files without a number come last, by name.
        """
        contents = self.clip_contents(mode)
        return [] if contents is None else sorted(contents.files, key=_by_number)

    def clip_contents(self, mode: str) -> Contents | None:
        """Return everything in the folder of clips of a mode; None if there is no such folder."""
        assert mode in VIDEO_MODES, mode
        if self.root is None or not (self.root / mode).is_dir():
            return None
        return contents_of(self.root / mode, CLIP_SUFFIXES, OTHER_CLIP_SUFFIXES)

    def texture(self, mode: str) -> Path | None:
        """Return the picture of the table top in ``test1`` to ``test5``; None if there is none.

        Raises:
            UserError: there is a folder of textures, but no picture of any mode in it.
        """
        assert mode in TEXTURE_MODES, mode
        folder = None if self.root is None else self.root / TEXTURES
        if folder is None or not folder.is_dir():
            return None
        pictures = {path.stem: path for path in sorted(folder.iterdir()) if _is_texture(path)}
        if not pictures:
            raise UserError(
                f"texture folder {str(folder)!r} holds no picture named {', '.join(TEXTURE_MODES)} "
                f"({', '.join(TEXTURE_SUFFIXES)}); add one, or remove the folder to use generated table tops"
            )
        return pictures.get(mode)

    def davis(self) -> Path | None:
        """Return the folder that holds one folder for each clip of DAVIS; None if there is no DAVIS.

        Raises:
            UserError: there is one, but its layout is different.
        """
        if self.root is None or not (self.root / DAVIS).is_dir():
            return None
        clips = self.root / DAVIS / DAVIS_CLIPS
        if clips.is_dir():
            return clips
        raise UserError(
            f"{str(self.root / DAVIS)!r} has no folder {DAVIS_CLIPS}: unpack DAVIS-2017-trainval-480p.zip in "
            f"{str(self.root)!r}, or remove the folder to use generated scenes"
        )


def find_data(explicit: str | Path | None = None) -> DataFolder:
    """Find the data folder that was asked for: ``explicit``, else the variable SACCADE_DATA, else none.

    Accepts the folder that holds colour files, clip folders or textures, or a clone of the benchmark.

    Raises:
        UserError: the folder does not exist, or holds nothing of the benchmark.
    """
    given, origin = (explicit, "data folder") if explicit is not None else _from_environment()
    if given is None:
        return DataFolder()
    root = Path(given).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{origin} {str(root)!r} {'is not a folder' if root.exists() else 'does not exist'}; "
            f"give the folder that holds {_expected()}, or none to use generated colours and scenes"
        )
    for candidate in (root, root / BENCHMARK_CLONE_DATA):
        if _holds_benchmark_data(candidate):
            return DataFolder(candidate.resolve())
    raise UserError(
        f"{origin} {str(root)!r} holds none of {_expected()}; "
        f"give the folder that does, or none to use generated colours and scenes"
    )


def cache_dir() -> Path:
    """Return the folder for decoded and generated data: $SACCADE_CACHE, $XDG_CACHE_HOME/saccade or ~/.cache/saccade.

    The folder need not exist, and deleting it is always safe.
    """
    if own := os.environ.get("SACCADE_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "saccade"
    return Path("~/.cache/saccade").expanduser()


def _from_environment() -> tuple[str | None, str]:
    return os.environ.get("SACCADE_DATA") or None, "SACCADE_DATA folder"


def _expected() -> str:
    folders = (*VIDEO_MODES, TEXTURES, DAVIS)
    return ", ".join([*(f"{mode}.pt" for mode in COLOR_MODES), *(f"{folder}/" for folder in folders)])


def _holds_benchmark_data(root: Path) -> bool:
    return any((root / f"{mode}.pt").is_file() for mode in COLOR_MODES) or any(
        (root / folder).is_dir() for folder in (*VIDEO_MODES, TEXTURES, DAVIS)
    )


def _is_texture(path: Path) -> bool:
    return path.stem in TEXTURE_MODES and path.suffix.lower() in TEXTURE_SUFFIXES and path.is_file()


def _by_number(path: Path) -> tuple[float, str]:
    digits = re.search(r"(\d+)$", path.stem)
    return (int(digits.group(1)) if digits else float("inf"), str(path))
