"""A policy that left the house: a folder of three files that others can load without a run's layout.

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
    """What ``config.json`` of an exported policy says beside the run's configuration.

    Attributes:
        format: of the folder; this version reads 1.
        env_steps: agent steps that the weights were trained for.
        spaces: what they were made for, as a checkpoint's ``spaces.json``.
        weights: size and SHA-256 of ``model.safetensors``.
        versions: of the packages that trained it.
        commit: of the code that did; None where nobody knows.
    """

    format: int
    env_steps: Count
    spaces: dict[str, Any]
    weights: Described
    versions: dict[str, str | None] = field(default_factory=dict)
    commit: str | None = None


def exported_part(folder: Path) -> Exported | None:
    """What an exported policy says of itself; None for a run folder, or where there is no configuration to read.

    Raises UserError where it is damaged or of another format.
    """
    path = folder / CONFIG
    try:
        said = read_document(path, dict[str, Any], MOST_BYTES).get(EXPORTED)
    except (OSError, UserError):  # told by whoever reads the configuration
        return None
    if said is None:
        return None
    if isinstance(said, Mapping) and said.get("format") != FORMAT:
        raise UserError(
            f"{folder} was exported in format {said.get('format')}, and this version of Saccade reads format {FORMAT}: "
            "use the version that wrote it."
        )
    try:
        return typed(said, Exported)
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error} in its part {EXPORTED!r}.") from error


def read_weights(folder: Path, exported: Exported) -> dict[str, Tensor]:
    """The weights of an exported policy. Raises UserError that names the file where it is missing or altered."""
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    verify(path, exported.weights)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}.") from error


def spaces_of_export(exported: Exported, folder: Path) -> Spaces:
    """The spaces that the weights were made for. Raises UserError where they are none."""
    from saccade.runs.agents import SavedSpaces, as_spaces

    path = folder / CONFIG
    try:
        return as_spaces(typed(exported.spaces, SavedSpaces), path)
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error} in its part {EXPORTED!r}.") from error


def refuse_exporting(config: RunConfig, run: Path) -> None:
    """Raise UserError for a run whose policy nobody else could load, or that is exported already."""
    if is_own(config.method):
        raise UserError(
            f"{run} was trained with {label_of(config.method)}, a method in a file of your own, which nobody else has: "
            "give others the run folder and that file."
        )
    if exported_part(run) is not None:
        raise UserError(f"{run} is an exported policy already: copy the folder.")


def refuse_learning_on(run: str | Path) -> None:
    """Raise UserError for an exported policy, which has nothing of what it would need to learn on."""
    if hub_name(run) is not None or exported_part(Path(run)) is not None:
        raise UserError(
            f"{run} is an exported policy and cannot learn on, since its optimizer is not in it: go on with the run "
            "that it was exported from."
        )


def portable(config: RunConfig) -> RunConfig:
    """The configuration without the paths of this machine, which acting does not need."""
    env = config.env if config.env.option("data") is None else config.env.changed(data=None)
    training = replace(config.training, images=None)
    return replace(config, env=env, training=training, teaching=_portable(config.teaching))


def _portable(teaching: Teaching | None) -> Teaching | None:
    """Who taught, where that has a name that others know; of data of one's own the last part of its path."""
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
        spaces: as ``saved_spaces`` gives them.
        facts: of ``env.json``; its versions and commit are kept, the machine's hardware is not.
        card: the text of ``README.md``.

    Raises:
        UserError: there is something at that place already, or it cannot be written.
    """
    from safetensors.torch import save_file

    refuse_taken(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in weights.items()}, aside / WEIGHTS)
        (aside / WEIGHTS).chmod(READABLE)  # safetensors writes for its owner alone
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
    """Raise UserError where something lies at a place that is to be exported to; an empty folder may."""
    try:
        taken = folder.exists() and (not folder.name or not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): choose another --out.") from error
    if taken:
        raise UserError(f"{folder} is there already: choose another --out, or remove it first.")
