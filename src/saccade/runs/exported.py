"""Exported policies: a folder of three files that others can load without a run's layout.

``config.json`` is the run's own configuration, without paths of the machine, and under ``exported`` what its checkpoint
and ``env.json`` said; ``model.safetensors`` has every weight; ``README.md`` is for people. Loads no torch.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from saccade.agents.methods_of import is_own, label_of
from saccade.data.checkpoints import DamagedCheckpoint, Described, describe, verify
from saccade.data.documents import BadDocument, Count, read_document, typed
from saccade.runs.config import CONFIG, EXPORTED, MOST_BYTES, to_json
from saccade.runs.hub import HUB, hub_name
from saccade.runs.training import SALIENCY_SOURCES, RunConfig, Teaching
from saccade.runs.zoo import PREFIX
from saccade.types import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from saccade.types import Spaces

FORMAT = 1
WEIGHTS, CARD = "model.safetensors", "README.md"
READABLE = 0o644


@dataclass(frozen=True)
class Exported:
    """What ``config.json`` of an exported policy adds to the run's configuration.

    Attributes:
        format: of the folder; this version reads 1.
        env_steps: agent steps that the weights were trained for.
        spaces: what they were made for, as in a checkpoint's ``spaces.json``.
        weights: size and SHA-256 of ``model.safetensors``.
        versions: of the packages that trained it.
        commit: of the code that trained it; None if unknown.
    """

    format: int
    env_steps: Count
    spaces: dict[str, Any]
    weights: Described
    versions: dict[str, str | None] = field(default_factory=dict)
    commit: str | None = None


def exported_part(folder: Path) -> Exported | None:
    """Return what an exported policy says about itself; None for a run folder, or without a readable configuration.

    Raises UserError if it is damaged or of another format.
    """
    path = folder / CONFIG
    try:
        said = read_document(path, dict[str, Any], MOST_BYTES).get(EXPORTED)
    except (OSError, UserError):  # reported when the configuration is read
        return None
    if said is None:
        return None
    if isinstance(said, Mapping) and said.get("format") != FORMAT:
        raise UserError(
            f"{folder} was exported in format {said.get('format')}, but this version of Saccade reads format {FORMAT}: "
            "use the version that wrote it."
        )
    try:
        return typed(said, Exported)
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error} in its part {EXPORTED!r}.") from error


def read_weights(folder: Path, exported: Exported) -> dict[str, Tensor]:
    """Return the weights of an exported policy. Raises UserError that names the file if it is missing or altered."""
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    verify(path, exported.weights)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error


def spaces_of_export(exported: Exported, folder: Path) -> Spaces:
    """Return the spaces that the weights were made for. Raises UserError if they are invalid."""
    from saccade.runs.agents import SavedSpaces, as_spaces

    path = folder / CONFIG
    try:
        return as_spaces(typed(exported.spaces, SavedSpaces), path)
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error} in its part {EXPORTED!r}.") from error


def refuse_exporting(config: RunConfig, run: Path) -> None:
    """Raise UserError for a run whose policy no one else could load, or that is an exported policy already."""
    if is_own(config.method):
        raise UserError(
            f"{run} was trained with {label_of(config.method)}, a method in your own file, which others do not have: "
            "give others the run folder and that file."
        )
    if exported_part(run) is not None:
        raise UserError(f"{run} is an exported policy already: copy the folder.")


def refuse_learning_on(run: str | Path) -> None:
    """Raise UserError for an exported policy, which lacks what it would need to continue training."""
    if hub_name(run) is not None or exported_part(Path(run)) is not None:
        raise UserError(
            f"{run} is an exported policy and cannot be trained further, since it has no optimizer: continue the run "
            "that it was exported from."
        )


def portable(config: RunConfig) -> RunConfig:
    """Return the configuration without the paths of this machine, which acting does not need."""
    env = config.env if config.env.option("data") is None else config.env.changed(data=None)
    training = replace(config.training, images=None)
    return replace(config, env=env, training=training, teaching=_portable(config.teaching))


def _portable(teaching: Teaching | None) -> Teaching | None:
    """The teacher, if it has a name that others know; of the user's own data only the last part of its path."""
    if teaching is None:
        return None
    named = teaching.teacher is not None and teaching.teacher.startswith((PREFIX, HUB))
    data = teaching.saliency_data if teaching.saliency_data in SALIENCY_SOURCES else Path(teaching.saliency_data).name
    return replace(teaching, teacher=teaching.teacher if named else None, teacher_policy=None, saliency_data=data)


def write_export(
    folder: Path,
    config: RunConfig,
    weights: Mapping[str, Tensor],
    spaces: Mapping[str, Any],
    env_steps: int,
    facts: Mapping[str, Any],
    card: str,
) -> None:
    """Write the folder whole or not at all.

    Args:
        spaces: as ``saved_spaces`` returns them.
        facts: those of ``env.json``; its versions and commit are kept, the machine's hardware is not.
        card: the text of ``README.md``.

    Raises:
        UserError: something is at that place already, or it cannot be written.
    """
    from safetensors.torch import save_file

    refuse_taken(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in weights.items()}, aside / WEIGHTS)
        (aside / WEIGHTS).chmod(READABLE)  # safetensors makes it readable only for its owner
        described = typed(describe(aside / WEIGHTS), Described)
        git = facts.get("git")
        commit = git.get("commit") if isinstance(git, Mapping) else None
        exported = Exported(FORMAT, env_steps, dict(spaces), described, dict(facts.get("versions") or {}), commit)
        values = {**to_json(portable(config)), EXPORTED: asdict(exported)}
        (aside / CONFIG).write_text(json.dumps(values, indent=1))
        (aside / CARD).write_text(card, encoding="utf-8")
        if folder.exists():
            folder.rmdir()  # an empty one
        os.rename(aside, folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{folder} cannot be written ({reason}): free space, or choose another --out.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_taken(folder: Path) -> None:
    """Raise UserError if something lies at the place of an export; an empty folder may."""
    try:
        taken = folder.exists() and (not folder.name or not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): choose another --out.") from error
    if taken:
        raise UserError(f"{folder} is there already: choose another --out, or remove it first.")
