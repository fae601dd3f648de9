"""Checkpoints on disk: folders of safetensors and JSON that are either complete or absent.

A checkpoint is written into a folder of another name, flushed to the disk, and renamed; so a process
killed at any moment, or a full disk, leaves the earlier ones as they were. A manifest lists every file with its size
and SHA-256, and itself; a truncated or altered file is found and named when the checkpoint is read.

Frames of the replay buffer are too many to write again each time. They lie beside the checkpoints in
segments that never change once complete, and to which a manifest refers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError

from saccade.data.documents import LARGEST, BadDocument, Count, read_document, typed
from saccade.data.files import NoFile, refuse_endless
from saccade.types import UserError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MANIFEST = "manifest.json"
SEGMENTS = "replay"
TEMPORARY_PREFIX = ".writing-"
NAME = re.compile(r"\w[\w.-]{0,199}")  # of a file in a checkpoint; none can point outside it

Kind = TypeVar("Kind")


class DamagedCheckpoint(UserError):
    """A file of a checkpoint is missing, truncated or altered; the message names it."""


@dataclass(frozen=True)
class Segment:
    """A file of consecutive replay frames. ``complete`` ones are written once and shared between checkpoints."""

    name: str
    start: int
    frames: Tensor | None
    """The frames to write; None if a complete segment is on the disk already."""
    complete: bool


@dataclass(frozen=True)
class Described:
    """What a manifest records about a file."""

    bytes: Count
    sha256: str


@dataclass(frozen=True)
class Reference(Described):
    """What a manifest records about a replay segment: its file and the serial number of its first frame."""

    file: str
    start: Count


@dataclass(frozen=True)
class Manifest:
    """A checkpoint's own list of its contents."""

    env_steps: Count
    files: dict[str, Described]
    segments: tuple[Reference, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint, opened for reading."""

    folder: Path
    env_steps: int
    segments: tuple[tuple[int, Path], ...]
    """First serial number and file of each replay segment, in order."""

    def tensors(self, name: str) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        return load_file(self.folder / f"{name}.safetensors")

    def document(self, name: str, kind: type[Kind], largest: int = LARGEST) -> Kind:
        """Document as the type that it must have, without numbers beyond ``largest``. Raises DamagedCheckpoint."""
        path = self.folder / f"{name}.json"
        try:
            return read_document(path, kind, largest=largest)
        except (OSError, UserError) as error:
            raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error

    def has_document(self, name: str) -> bool:
        """Return whether there is a document of this name; earlier versions did not write all."""
        return (self.folder / f"{name}.json").exists()

    def frames(self) -> Iterator[tuple[int, Tensor]]:
        """Yield first serial number and frames ``[count, ...]`` of each replay segment."""
        from safetensors.torch import load_file

        for start, path in self.segments:
            yield start, load_file(path)["frames"]


def write_checkpoint(
    root: Path,
    env_steps: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    documents: Mapping[str, Any],
    segments: Sequence[Segment] = (),
    keep: int = 2,
) -> Path:
    """Write a checkpoint below ``root`` and delete all but the ``keep`` newest. Return its folder.

    tensors: by file name without ending, each a mapping from name to tensor; documents: likewise, of JSON values.
    Raises UserError if the disk is full or cannot be written; the earlier checkpoints are then untouched.
    """
    try:
        return _write(root, env_steps, tensors, documents, segments, keep)
    except (OSError, SafetensorError) as error:
        for leftover in [*root.glob(f"{TEMPORARY_PREFIX}*"), *root.glob(f"{SEGMENTS}/{TEMPORARY_PREFIX}*")]:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        raise UserError(
            f"The checkpoint at step {env_steps} could not be written to {root} ({error}); "
            "the previous one is intact: free some space or make the folder writable, then resume the run."
        ) from error


def _write(
    root: Path,
    env_steps: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    documents: Mapping[str, Any],
    segments: Sequence[Segment],
    keep: int,
) -> Path:
    from safetensors.torch import save_file

    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover)
    final = _unused_name(root, env_steps)
    temporary = root / f"{TEMPORARY_PREFIX}{final.name}"
    temporary.mkdir()
    (root / SEGMENTS).mkdir(exist_ok=True)
    for name, values in tensors.items():
        save_file({key: value.contiguous() for key, value in values.items()}, temporary / f"{name}.safetensors")
    for name, document in documents.items():
        (temporary / f"{name}.json").write_text(json.dumps(document))
    known = _known_digests(root)
    references = [_write_segment(root, segment, env_steps, known) for segment in segments]
    manifest = {
        "format": FORMAT,
        "env_steps": env_steps,
        "files": {path.name: describe(path) for path in sorted(temporary.iterdir())},
        "segments": references,
    }
    manifest["digest"] = _digest_of(manifest)
    (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in [*temporary.iterdir(), temporary, root / SEGMENTS]:
        _flush(path)
    os.rename(temporary, final)
    _flush(root)
    _forget(root, keep)
    return final


def _unused_name(root: Path, env_steps: int) -> Path:
    """``step_<env_steps>``; for later checkpoints of the same step ``step_<env_steps>-001`` and so on, in order.

    A run that was stopped twice in one step, between two updates, has more than one. None replaces another, so that
    there is no moment at which neither exists.
    """
    name = f"step_{env_steps:09d}"
    taken = sorted(path.name for path in root.glob(f"{name}*"))
    if not taken:
        return root / name
    return root / f"{name}-{int(taken[-1].partition('-')[2] or 0) + 1:03d}"


def _write_segment(root: Path, segment: Segment, env_steps: int, known: Mapping[str, Any]) -> dict[str, Any]:
    from safetensors.torch import save_file

    name = f"{segment.name}.safetensors" if segment.complete else f"{segment.name}-{env_steps:09d}.safetensors"
    path = root / SEGMENTS / name
    if segment.frames is None:
        description = known[name]
    else:
        aside = path.with_name(f"{TEMPORARY_PREFIX}{name}")
        save_file({"frames": segment.frames.contiguous()}, aside)
        _flush(aside)
        os.replace(aside, path)
        description = describe(path)
    return {"file": name, "start": segment.start, **description}


def written_segments(root: Path) -> set[str]:
    """Names of the complete segments that the newest checkpoint refers to, which need not be written again."""
    return {name.removesuffix(".safetensors") for name in _known_digests(root)}


def checkpoints(root: Path) -> list[Path]:
    """Return the folders of the checkpoints below ``root``, oldest first."""
    return sorted(path.parent for path in root.glob(f"step_*/{MANIFEST}"))


def read_checkpoint(folder: Path) -> Checkpoint:
    """Verify every file of a checkpoint and open it. Raises DamagedCheckpoint that names the file, or UserError."""
    manifest = _manifest(folder)
    for name, described in manifest.files.items():
        verify(folder / name, described)
    segments = []
    for reference in manifest.segments:
        path = folder.parent / SEGMENTS / reference.file
        verify(path, reference)
        segments.append((reference.start, path))
    return Checkpoint(folder, manifest.env_steps, tuple(segments))


def newest_checkpoint(root: Path) -> tuple[Checkpoint, dict[Path, str]]:
    """Return the newest undamaged checkpoint below ``root``, and by folder what is wrong with newer ones.

    Raises UserError if there is none.
    """
    problems: dict[Path, str] = {}
    for folder in reversed(checkpoints(root)):
        try:
            return read_checkpoint(folder), problems
        except DamagedCheckpoint as error:
            problems[folder] = str(error)
    if problems:
        sentences = " ".join(problems.values())
        raise DamagedCheckpoint(f"{sentences} No undamaged checkpoint is left: train the run again.")
    raise UserError(f"There is no checkpoint in {root}: the run was stopped before its first one; train it again.")


def set_aside(folder: Path) -> Path:
    """Rename a damaged checkpoint, so that it no longer counts but is not lost. Return its new place."""
    place = folder.with_name(f"damaged_{folder.name}")
    if place.exists():
        shutil.rmtree(place)
    os.rename(folder, place)
    return place


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        values = read_document(path, dict[str, Any])
    except (OSError, UserError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: it is not a complete manifest.") from error
    if values.pop("digest", None) != _digest_of(values):
        raise DamagedCheckpoint(f"{path} is damaged: it was altered after it was written.")
    if values.get("format") != FORMAT:
        raise UserError(
            f"{folder} was written in checkpoint format {values.get('format')}, but this version of Saccade "
            f"reads format {FORMAT}: use the version that wrote it (see env.json in the run)."
        )
    try:
        manifest = typed(values, Manifest)
    except BadDocument as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error
    for name in (*manifest.files, *(reference.file for reference in manifest.segments)):
        if not NAME.fullmatch(name):
            raise DamagedCheckpoint(f"{path} is damaged: {name!r} is no file of a checkpoint.")
    return manifest


def verify(path: Path, described: Described) -> None:
    """Raise DamagedCheckpoint, which names the file, unless its size and content are as recorded."""
    try:
        size = path.stat().st_size
        if size != described.bytes:
            raise DamagedCheckpoint(f"{path} is damaged: it has {size} bytes instead of {described.bytes}.")
        if _sha256(path) != described.sha256:
            raise DamagedCheckpoint(f"{path} is damaged: its content was altered after it was written.")
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{path} is missing from its checkpoint.") from error
    except NoFile as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error


def _known_digests(root: Path) -> dict[str, dict[str, Any]]:
    folders = checkpoints(root)
    if not folders:
        return {}
    return {
        reference.file: {"bytes": reference.bytes, "sha256": reference.sha256}
        for reference in _manifest(folders[-1]).segments
    }


def _forget(root: Path, keep: int) -> None:
    folders = checkpoints(root)
    for folder in folders[:-keep]:
        shutil.rmtree(folder)
    used = {reference.file for folder in folders[-keep:] for reference in _manifest(folder).segments}
    for path in (root / SEGMENTS).iterdir():
        if path.name not in used:
            path.unlink()


def describe(path: Path) -> dict[str, Any]:
    """Return size and SHA-256 of a file, as ``Described`` reads them."""
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    refuse_endless(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _flush(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
