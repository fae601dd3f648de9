"""The zoo: small trained agents that come with the package; loads no torch.

``zoo:NAME`` is accepted wherever a run folder is. Each is a run folder that nothing is ever written to: results
go to the working folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.data.documents import read_document
from saccade.runs.hub import hub_folder, hub_name
from saccade.spelling import close_names
from saccade.types import UserError

PREFIX = "zoo:"
ZOO = Path(__file__).parents[1] / "zoo"
ACCOUNT, CARD = "zoo.json", "card.md"


@dataclass(frozen=True)
class Account:
    """The contents of ``zoo.json`` beside an agent of the zoo.

    Attributes:
        summary: one line, for lists.
        command: the command that trained it, without ``--out``.
        minutes: how long that took on the machine of ``env.json``, without evaluations and checkpoints.
        first_rows: how many rows of ``metrics.jsonl`` are as the run wrote them; each later one is a mean.
        first_weights: for each tensor of the network before any update its sum, first and last number. They follow
            from the seed, up to rounding, and show whether a run starts as this one did.
        in_training: rows of the run's own last evaluation, with its weights in float32; those in
            ``evaluations.jsonl`` of the same step are for the weights as they are stored.
    """

    summary: str
    command: str
    minutes: float
    first_rows: int
    first_weights: dict[str, list[float]]
    in_training: list[dict[str, Any]]


def zoo_names() -> list[str]:
    """Return the names of the agents, without the prefix."""
    return sorted(path.parent.name for path in ZOO.glob(f"*/{ACCOUNT}"))


def zoo_name(what: str | Path) -> str | None:
    """Return the agent that ``zoo:NAME``, or the path of its own folder, names; None for anything else."""
    words = str(what)
    if words.startswith(PREFIX):
        return words.removeprefix(PREFIX)
    path = Path(what)
    return path.name if path.name in zoo_names() and path.absolute().parent.resolve() == ZOO.resolve() else None


def zoo_folder(name: str) -> Path:
    """Return the run folder of an agent. Raises UserError for one that does not exist, with the nearest that do."""
    names = zoo_names()
    if name not in names:
        near = [PREFIX + one for one in close_names(name, names)]
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(PREFIX + one for one in names)}."
        )
        raise UserError(f"There is no agent {PREFIX + name!r} in the zoo: {hint}")
    return ZOO / name


def account_of(name: str) -> Account:
    """Return the contents of ``zoo.json`` of an agent. Raises UserError for one that does not exist."""
    return read_document(zoo_folder(name) / ACCOUNT, Account)


def folder_of_run(what: str | Path) -> Path:
    """Return the run folder given by its path, as ``zoo:NAME`` or as ``hub:OWNER/NAME``, which is fetched.

    Raises UserError for an unknown name.
    """
    if hub_name(what) is not None:
        return hub_folder(what)
    name = zoo_name(what)
    return Path(what) if name is None else zoo_folder(name)


def folder_of_results(run: str | Path) -> Path:
    """Folder for results of a run: itself, or runs/zoo/NAME or runs/hub/OWNER/NAME for one that is not ours."""
    of_hub = hub_name(run)
    if of_hub is not None:
        return Path("runs", "hub", of_hub)
    name = zoo_name(run)
    return Path(run) if name is None else Path("runs", "zoo", name)


def is_named(what: str | Path) -> bool:
    """Return whether it is a run by name, ``zoo:NAME`` or ``hub:OWNER/NAME``, and not a path."""
    return zoo_name(what) is not None or hub_name(what) is not None


def refuse_resuming(run: str | Path) -> None:
    """Raise UserError for an agent of the zoo, which is stored without what it would need to continue training."""
    name = zoo_name(run)
    if name is not None:
        raise UserError(
            f"{PREFIX}{name} cannot be trained further, since its optimizer is not stored: train it again with "
            f"`{account_of(name).command}`."
        )
