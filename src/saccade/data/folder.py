"""Where the benchmark's own data lies, if a person has it, and where decoded data is kept."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from saccade.types import UserError

COLOR_MODES = ("color_easy", "color_hard")
VIDEO_MODES = ("video_easy", "video_hard")

# A clone of the DMControl Generalization Benchmark keeps its data in this folder.
BENCHMARK_CLONE_DATA = Path("src", "env", "data")


@dataclass(frozen=True)
class DataFolder:
    """The benchmark's data folder: ``color_<difficulty>.pt`` files and ``video_<difficulty>/`` folders.

    ``root`` is None where there is no such folder; everything is then generated.
    """

    root: Path | None = None

    def colors(self, mode: str) -> Path | None:
        """The file of colour settings of ``color_easy`` or ``color_hard``; None where there is none."""
        assert mode in COLOR_MODES, mode
        if self.root is None:
            return None
        path = self.root / f"{mode}.pt"
        return path if path.is_file() else None

    def clips(self, mode: str) -> list[Path]:
        """The mp4 files of ``video_easy`` or ``video_hard`` by number (video2 before video10); or none."""
        assert mode in VIDEO_MODES, mode
        if self.root is None:
            return []
        return sorted((path for path in (self.root / mode).glob("*.mp4") if path.is_file()), key=_by_number)


def find_data(explicit: str | Path | None = None) -> DataFolder:
    """The data folder that was asked for: ``explicit``, else the variable SACCADE_DATA, else none.

    Accepts the folder that holds the colour files and clip folders, or a clone of the benchmark.

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
            f"give the folder that holds {_expected()}, or none at all to use generated colours and scenes"
        )
    for candidate in (root, root / BENCHMARK_CLONE_DATA):
        if _holds_benchmark_data(candidate):
            return DataFolder(candidate.resolve())
    raise UserError(
        f"{origin} {str(root)!r} holds none of {_expected()}; "
        f"give the folder that does, or none at all to use generated colours and scenes"
    )


def cache_dir() -> Path:
    """Where decoded and generated data is kept: $SACCADE_CACHE, $XDG_CACHE_HOME/saccade or ~/.cache/saccade.

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
    return ", ".join([*(f"{mode}.pt" for mode in COLOR_MODES), *(f"{mode}/" for mode in VIDEO_MODES)])


def _holds_benchmark_data(root: Path) -> bool:
    return any((root / f"{mode}.pt").is_file() for mode in COLOR_MODES) or any(
        (root / mode).is_dir() for mode in VIDEO_MODES
    )


def _by_number(path: Path) -> tuple[float, str]:
    digits = re.search(r"(\d+)$", path.stem)
    return (int(digits.group(1)) if digits else float("inf"), path.name)
