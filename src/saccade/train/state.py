"""Save and restore a whole training run: weights, optimizers, replay buffer, counters, environments, generators."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from saccade.agents.agent import Agent
from saccade.data.checkpoints import Checkpoint, DamagedCheckpoint, write_checkpoint
from saccade.runs.agents import NETWORKS, SPACES, load_weights, saved_spaces
from saccade.train.events import Counters
from saccade.train.loop import Loop
from saccade.train.saving import Write
from saccade.types import UserError

KEEP_CHECKPOINTS = 2
EVALUATED = "evaluated_networks"
"""Weights of a running evaluation: training has gone on from them."""


def save(loop: Loop, root: Path) -> Path:
    """Write a checkpoint of a run below ``root``; replay frames that are already there are not written again."""
    return take(loop, root)()


def take(loop: Loop, root: Path) -> Write:
    """Copy a run as it is now; the function returned writes the copy below ``root``, also while training goes on.

    No other checkpoint may be in progress. The copy lasts until it is written: the networks, optimizers and
    environments, 56 bytes of each transition, and the replay buffer's frames since the previous checkpoint.
    """
    loop.counters.checkpointed_at = loop.counters.env_steps
    own = loop.snapshot(root)
    changing = {
        NETWORKS: loop.agent.networks.state_dict(),
        "optimizers": optimizer_tensors(loop.agent),
        "generators": {"device": loop.generator.get_state(), "host": loop.host_generator.get_state()},
        **own.changing,
        **({EVALUATED: loop.evaluations.background.networks.state_dict()} if loop.counters.modes_left else {}),
    }
    documents = {"counters": dataclasses.asdict(loop.counters), SPACES: saved_spaces(loop.spaces), **own.documents}
    return functools.partial(
        write_checkpoint,
        root,
        loop.counters.env_steps,
        tensors={**_copied(changing), **own.lasting},
        documents=copy.deepcopy(documents),
        segments=own.segments,
        keep=KEEP_CHECKPOINTS,
    )


def restore(loop: Loop, checkpoint: Checkpoint) -> None:
    """Restore a freshly built run from a checkpoint.

    Raises UserError if it is of another configuration, and DamagedCheckpoint if no run can have written it.
    """
    try:
        _restore(loop, checkpoint)
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise DamagedCheckpoint(
            f"{checkpoint.folder} is damaged: its files are complete, but no run can continue from them "
            f"({type(error).__name__}: {reason})."
        ) from error


def _restore(loop: Loop, checkpoint: Checkpoint) -> None:
    load_weights(loop.agent, checkpoint.tensors(NETWORKS), checkpoint.folder)
    load_optimizers(loop.agent, checkpoint.tensors("optimizers"), checkpoint.folder)
    generators = checkpoint.tensors("generators")
    loop.host_generator.set_state(generators["host"])
    if loop.generator is not loop.host_generator:
        if generators["device"].shape != loop.generator.get_state().shape:
            raise UserError(
                f"{checkpoint.folder} was written on another kind of device: resume on the one it was trained on."
            )
        loop.generator.set_state(generators["device"])
    counters = _counters(checkpoint, len(loop.config.evaluation_modes))
    for name, value in dataclasses.asdict(counters).items():
        setattr(loop.counters, name, value)
    loop.restore(checkpoint)
    if loop.counters.modes_left:
        loop.evaluations.background.networks.load_state_dict(checkpoint.tensors(EVALUATED))
    loop.started = True


def _counters(checkpoint: Checkpoint, modes: int) -> Counters:
    """The run's position. Raises DamagedCheckpoint for numbers that no run can have."""
    counters = checkpoint.document("counters", Counters)
    possible = (
        counters.env_steps == checkpoint.env_steps
        and counters.updates >= 0
        and counters.seconds >= 0
        and -1 <= counters.evaluated_at <= counters.env_steps
        and 0 <= counters.modes_left <= modes
        and 0 <= counters.checkpointed_at <= counters.env_steps
    )
    if not possible:
        raise DamagedCheckpoint(f"{checkpoint.folder / 'counters.json'} is damaged: its numbers contradict each other.")
    return counters


def optimizer_tensors(agent: Agent) -> dict[str, Tensor]:
    """Return Adam's moments and step counts as ``phase/parameter/name``; learning rates are the configuration's."""
    return {
        f"{phase.name}/{index}/{name}": value
        for phase in agent.phases
        for index, entries in phase.optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def load_optimizers(agent: Agent, tensors: Mapping[str, Tensor], origin: Path) -> None:
    """Load saved moments into an agent's optimizers."""
    states: dict[str, dict[int, dict[str, Tensor]]] = {phase.name: {} for phase in agent.phases}
    for key, value in tensors.items():
        phase, index, name = key.split("/")
        if phase not in states:
            raise UserError(f"The optimizers in {origin} are another method's: there is no phase {phase!r} here.")
        states[phase].setdefault(int(index), {})[name] = value
    for owner in agent.phases:
        saved = owner.optimizer.state_dict()
        owner.optimizer.load_state_dict({**saved, "state": states[owner.name]})


def _copied(files: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {
        file: {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}
        for file, tensors in files.items()
    }
