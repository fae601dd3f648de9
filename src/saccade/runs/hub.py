"""``hub:OWNER/NAME``: exported policies in repositories of the Hugging Face hub; loads no torch.

Its client is an extra, and is imported when the first such name is used. What it fetches stays in its cache.
"""

from __future__ import annotations

import re
from pathlib import Path

from saccade.data.user_code import first_line
from saccade.types import UserError

HUB = "hub:"
FETCHED = ("config.json", "model.safetensors", "README.md")
"""Nothing else of a repository is fetched, and nothing in it is run."""
NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def hub_name(what: str | Path) -> str | None:
    """Return ``OWNER/NAME`` or ``OWNER/NAME@REVISION`` from ``hub:...``; None for anything else."""
    words = str(what)
    return words.removeprefix(HUB) if words.startswith(HUB) else None


def hub_folder(what: str | Path) -> Path:
    """Return the folder that a repository was fetched to, fetching it if necessary.

    Raises:
        UserError: it is no name of a repository, the client is missing, or there is no such repository or no access.
    """
    name = hub_name(what) or ""
    if not NAME.fullmatch(name) or ".." in name:
        raise UserError(f"{what} names no repository: write {HUB}OWNER/NAME, or {HUB}OWNER/NAME@REVISION.")
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f"{what} needs the package huggingface_hub, which is missing: install it with "
            "`pip install 'saccade-rl[hub]'`."
        ) from error
    repository, _, revision = name.partition("@")
    try:
        return Path(
            huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=list(FETCHED))
        )
    except (OSError, ValueError, RuntimeError) as error:  # what the client raises: no such name, no network, no access
        raise UserError(
            f"{what} cannot be fetched ({first_line(error)}): check the name, the network and your access to it."
        ) from error
