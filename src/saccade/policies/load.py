"""Load a policy from whatever form it was saved in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import gymnasium

from saccade.data.files import refuse_endless
from saccade.policies.normalisation import Normalisation
from saccade.policies.pixels import Layout
from saccade.policies.policy import Policy
from saccade.policies.sources.run import load_policy
from saccade.runs.config import CONFIG, read_config
from saccade.runs.zoo import folder_of_run
from saccade.types import UserError

ACCEPTED = (
    "a run folder of Saccade, a zip that Stable-Baselines3 or sb3-contrib saved, zoo:NAME, "
    "or --policy file.py:Class with --checkpoint FILE"
)


def load_any(
    what: str | Path | None = None,
    *,
    method: str | None = None,
    policy: str | None = None,
    checkpoint: str | Path | None = None,
    observation_space: gymnasium.Space[Any] | None = None,
    action_space: gymnasium.Space[Any] | None = None,
    output: Sequence[str] = (),
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
    device: str = "auto",
    trust: bool = False,
) -> Policy:
    """Load the policy of a run folder, of a Stable-Baselines3 zip, or of a network class and its checkpoint.

    Args:
        what: the run folder, ``zoo:NAME`` or zip; with ``policy`` it may be the checkpoint.
        method: ``file.py:NAME``, which is run: your own method with which the run folder was trained, if that file has
            moved or changed since.
        policy: ``file.py:Class``, which is imported and so run.
        checkpoint: weights for that class.
        observation_space, action_space: of the environment; needed with ``policy``, whose file does not contain them.
        output: what the class outputs, if it is not one of CleanRL's: see ``from_module``.
        layout, colours: of the observations, where their shape could mean two things.
        normalised: what the network's input is normalised with, if it is not pixels in 0..255 or 0..1.
        device: ``auto``, ``cpu`` or ``cuda``.
        trust: whether files may be unpickled, which runs code that they contain.

    Raises:
        UserError: one sentence that says what cannot be loaded, and what could be.
    """
    if method is not None and (what is None or not (folder_of_run(what) / CONFIG).is_file()):
        raise UserError(
            f"--method {method} says what trained a run folder of Saccade, but {what} is none: leave it out."
        )
    if policy is not None:
        if what is not None and checkpoint is not None:
            raise UserError(f"Give --policy {policy} one file of weights, not both {what} and {checkpoint}.")
        if observation_space is None or action_space is None:
            raise UserError(f"--policy {policy} needs the spaces of its environment: say which with --task.")
        from saccade.policies.sources.checkpoint import from_checkpoint

        weights = what if checkpoint is None else checkpoint
        return from_checkpoint(
            policy,
            None if weights is None else Path(weights),
            observation_space,
            action_space,
            output=output,
            layout=layout,
            colours=colours,
            normalised=normalised,
            device=device,
            trust=trust,
        )
    if checkpoint is not None or output:
        raise UserError("--checkpoint and --output describe a network of your own: they need --policy file.py:Class.")
    if what is None:
        raise UserError(f"There is no policy to load: give {ACCEPTED}.")
    path = folder_of_run(what)
    refuse_endless(path, folder=True)
    if (path / CONFIG).is_file():
        return load_policy(what, device, method)
    # Stable-Baselines3 appends the ending by itself, so its users leave it out.
    zipped = path if path.is_file() else path.parent / f"{path.name}.zip"
    if not zipped.is_file():
        try:
            read_config(path)  # it suggests runs of similar names
        except UserError as error:
            raise UserError(f"{error} A policy is {ACCEPTED}.") from error
    if zipped.suffix != ".zip" and not is_zipfile(zipped):
        raise UserError(f"{path} is not a policy: a policy is {ACCEPTED}.")
    from saccade.policies.sources.stable_baselines3 import load_zip

    return load_zip(zipped, layout=layout, colours=colours, normalised=normalised, device=device, trust=trust)
