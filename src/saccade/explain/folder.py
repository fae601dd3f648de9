"""The folder of an explanation: which policy owns it, and what may be deleted when another one is written there."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from saccade.data.documents import read_document
from saccade.policies.policy import Policy
from saccade.runs.zoo import zoo_name
from saccade.types import UserError

EXPLANATION, ROWS, MAPS, STATES = "explanation.json", "scores.jsonl", "maps", "states"
WRITTEN = (
    EXPLANATION,
    ROWS,
    "report.html",
    "figure.png",
    f"{MAPS}/*.npz",
    f"{STATES}/*.npz",
    "grids/*.png",
    "videos/*.mp4",
)
"""The files that an explanation and its scores write; the one that vouches for the others is deleted first."""


class _Policy(TypedDict):
    name: str
    source: str
    owner: NotRequired[str]


class _Written(TypedDict):
    """What in an ``explanation.json`` decides whether another explanation may stand beside it, or replace it."""

    identity: str
    modes: list[str]
    policy: _Policy
    changed_pixels: NotRequired[dict[str, float | None]]


def there_already(folder: Path, identity: str) -> Mapping[str, Any]:
    """Return what a folder already says of this very explanation in other modes; empty if it holds another or none."""
    there = _read(folder)
    return there if there is not None and there["identity"] == identity else {}


def owner_of(policy: Policy) -> str:
    """Return a name that is equal for policies that may replace each other's explanations.

    Those are policies of one run, of one file, or with the same weights. A policy loaded from the same file again is
    the same one, trained further.
    """
    source = policy.source.removesuffix(f" ({', '.join(policy.outputs)})")
    if zoo_name(source) is not None:
        return source
    for file in (source.partition("/checkpoints/")[0], source.rpartition(":")[0]):
        if file and Path(file).exists():
            return str(Path(file).resolve())
    return f"{policy.name}, {source}, {policy.fingerprint()[:16]}"


def is_foreign(folder: Path, policy: Policy) -> bool:
    """Whether a folder holds what another policy left there, or something of unknown origin."""
    there = _read(folder)
    if there is None:
        return any(next(folder.glob(pattern), None) is not None for pattern in WRITTEN)
    owner = there["policy"].get("owner")
    if owner is None:  # written before there were owners
        return (there["policy"]["name"], there["policy"]["source"]) != (policy.name, policy.source)
    return owner != owner_of(policy)


def refuse_foreign(folder: Path, policy: Policy) -> None:
    """Raise UserError if another policy's explanation, or unrelated pictures, would have to be deleted."""
    if is_foreign(folder, policy):
        there = _read(folder)
        holds = "files of its own" if there is None else f"what was made of {there['policy']['source']}"
        raise UserError(
            f"{folder} holds {holds}: give another --out, or --replace (replace=True) to delete that first."
        )


def free_folder(wanted: Path, policy: Policy) -> Path:
    """Return ``wanted``, or, if another policy's explanation lies there, ``wanted-2`` and so on."""
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))
    return wanted if not is_foreign(wanted, policy) else next(one for one in numbered if not is_foreign(one, policy))


def forget(folder: Path) -> None:
    """Delete what another explanation wrote here."""
    for pattern in WRITTEN:
        for path in sorted(folder.glob(pattern)):
            path.unlink()


def _read(folder: Path) -> _Written | None:
    """What lies there; None if there is nothing that can be read."""
    try:
        return read_document(folder / EXPLANATION, _Written)
    except (OSError, UserError):
        return None
