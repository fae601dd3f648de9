"""List the files in a folder and below it, and what was not read, so that it can be reported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contents:
    """Files of a folder and all folders below, sorted.

    Attributes:
        files: those with one of the wanted endings, ignoring case; links to files are followed.
        others: those with one of the endings that are known but cannot be read.
        links: links to folders, which are not followed: they may lead out of the folder, or in a circle.
        closed: folders without access.
    """

    files: tuple[Path, ...]
    others: tuple[Path, ...]
    links: tuple[Path, ...]
    closed: tuple[Path, ...]

    def overlooked(self) -> list[str]:
        """Return, in words, what was not read; empty if there is nothing of the kind."""
        lines = [
            f"{count} {ending} file{'s' * (count > 1)} cannot be read"
            for ending, count in _endings(self.others).items()
        ]
        for paths, why in (
            (self.links, "a link to a folder, which is not followed"),
            (self.closed, "not to be opened"),
        ):
            lines += [f"{path.name} is {why}" for path in paths]
        return lines


def contents_of(root: Path, wanted: Collection[str], known: Collection[str] = ()) -> Contents:
    """List what is in a folder and below it.

    Args:
        wanted: lower-case endings of files, such as ``.mp4``.
        known: endings of files that a person may mistake for wanted ones.
    """
    files: list[Path] = []
    others: list[Path] = []
    links: list[Path] = []
    closed: list[Path] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            closed.append(folder)
            continue
        for entry in entries:
            path = folder / entry.name
            ending = path.suffix.lower()
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif _is_dir(entry):
                links.append(path)
            elif ending in wanted and _is_file(entry):
                files.append(path)
            elif ending in known and _is_file(entry):
                others.append(path)
    return Contents(*(tuple(sorted(paths)) for paths in (files, others, links, closed)))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _endings(paths: Iterable[Path]) -> Counter[str]:
    return Counter(path.suffix.lower() for path in paths)
