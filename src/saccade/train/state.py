"""A whole training run to and from a checkpoint: weights, optimizers, replay, counters, environments, generators."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.data.checkpoints import Checkpoint, DamagedCheckpoint, Segment, write_checkpoint, written_segments
from saccade.data.documents import LARGEST_OF_STATES
from saccade.envs.workers.env_workers import Steps
from saccade.runs.agents import NETWORKS, load_weights
from saccade.train.off_policy import BegunStep, Counters, OffPolicyTraining
from saccade.train.saving import Write
from saccade.types import UserError

KEEP_CHECKPOINTS = 2
EVALUATED = "evaluated_networks"
"""Weights of an evaluation that is under way: training has gone on from them."""
BEGUN = ("action", "obs", "reward", "terminated", "truncated")
"""What is saved of a step that was made while updates were still due, as ``begun/action`` and so on."""


def save(training: OffPolicyTraining, root: Path) -> Path:
    """Write a checkpoint of a run below ``root``; replay frames that lie there already are not written again."""
    return take(training, root)()


def take(training: OffPolicyTraining, root: Path) -> Write:
    """Copy a run as it is now; what is returned writes the copy below ``root``, also while training goes on.

    No other checkpoint may be being written. The copy lasts until it is written: the networks, optimizers and
    environments, 56 bytes of each transition, and the replay's frames since the checkpoint before.
    """
    training.counters.checkpointed_at = training.counters.env_steps
    training.settle()
    arrays, scalars = _split(training.workers.get_state())
    arrays |= {
        "obs": torch.from_numpy(training.obs),
        "episode_return": torch.from_numpy(training.episode_return),
        **_begun_tensors(training.begun),
    }
    generators = {"device": training.generator.get_state(), "host": training.host_generator.get_state()}
    changing = {
        NETWORKS: training.agent.networks.state_dict(),
        "optimizers": optimizer_tensors(training.agent),
        "generators": generators,
        "environments": arrays,
        **({EVALUATED: training.evaluation.networks.state_dict()} if training.counters.modes_left else {}),
    }
    documents = {"counters": dataclasses.asdict(training.counters), "environments": scalars}
    return functools.partial(
        write_checkpoint,
        root,
        training.counters.env_steps,
        tensors={**_copied(changing), "replay": training.replay.state_tensors()},
        documents=copy.deepcopy(documents),
        segments=_replay_segments(training, root),
        keep=KEEP_CHECKPOINTS,
    )


def restore(training: OffPolicyTraining, checkpoint: Checkpoint) -> None:
    """Put a freshly built run where a checkpoint left it.

    Raises UserError when it is of another configuration, and DamagedCheckpoint when no run can have written it.
    """
    try:
        _restore(training, checkpoint)
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise DamagedCheckpoint(
            f"{checkpoint.folder} is damaged: its files are whole, and yet no run can go on from them "
            f"({type(error).__name__}: {reason})."
        ) from error


def _restore(training: OffPolicyTraining, checkpoint: Checkpoint) -> None:
    load_weights(training.agent, checkpoint.tensors(NETWORKS), checkpoint.folder)
    load_optimizers(training.agent, checkpoint.tensors("optimizers"), checkpoint.folder)
    training.replay.load(checkpoint.tensors("replay"), checkpoint.frames())
    generators = checkpoint.tensors("generators")
    training.host_generator.set_state(generators["host"])
    if training.generator is not training.host_generator:
        if generators["device"].shape != training.generator.get_state().shape:
            raise UserError(
                f"{checkpoint.folder} was written on another kind of device: resume on the one it was trained on."
            )
        training.generator.set_state(generators["device"])
    arrays = checkpoint.tensors("environments")
    training.obs = arrays.pop("obs").numpy()
    training.episode_return = arrays.pop("episode_return").numpy()
    training.begun = _take_begun(arrays)
    training.workers.set_state(
        _join(arrays, checkpoint.document("environments", list[dict[str, Any]], LARGEST_OF_STATES))
    )
    training.counters = _counters(checkpoint, len(training.config.evaluation_modes))
    if training.counters.modes_left:
        training.evaluation.networks.load_state_dict(checkpoint.tensors(EVALUATED))
    training.started = True


def _counters(checkpoint: Checkpoint, modes: int) -> Counters:
    """Where the run stood. Raises DamagedCheckpoint for numbers that no run comes to."""
    counters = checkpoint.document("counters", Counters)
    possible = (
        counters.env_steps == checkpoint.env_steps
        and 0 <= counters.updates <= counters.env_steps
        and counters.seconds >= 0
        and -1 <= counters.evaluated_at <= counters.env_steps
        and 0 <= counters.modes_left <= modes
        and 0 <= counters.checkpointed_at <= counters.env_steps
    )
    if not possible:
        raise DamagedCheckpoint(f"{checkpoint.folder / 'counters.json'} is damaged: its numbers contradict each other.")
    return counters


def optimizer_tensors(agent: Agent) -> dict[str, Tensor]:
    """Adam's moments and step counts as ``phase/parameter/name``; learning rates are the configuration's."""
    return {
        f"{phase.name}/{index}/{name}": value
        for phase in agent.phases
        for index, entries in phase.optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def load_optimizers(agent: Agent, tensors: Mapping[str, Tensor], origin: Path) -> None:
    """Put saved moments into an agent's optimizers."""
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


def _replay_segments(training: OffPolicyTraining, root: Path) -> list[Segment]:
    written = written_segments(root)
    segments = []
    for segment in training.replay.frame_segments():
        name = f"frames-{segment.start_serial:09d}"
        there = segment.complete and name in written
        frames = None if there else training.replay.read_segment(segment)
        segments.append(Segment(name, segment.start_serial, frames, segment.complete))
    return segments


def _begun_tensors(begun: BegunStep | None) -> dict[str, Tensor]:
    if begun is None:
        return {}
    assert begun.outcome is not None, "settle comes before save"
    values = (begun.action, *begun.outcome[:4])
    return {f"begun/{name}": torch.from_numpy(value) for name, value in zip(BEGUN, values, strict=True)}


def _take_begun(arrays: dict[str, Tensor]) -> BegunStep | None:
    """Remove the step that was begun from ``arrays``; None where there was none."""
    if f"begun/{BEGUN[0]}" not in arrays:
        return None
    action, obs, reward, terminated, truncated = (arrays.pop(f"begun/{name}").numpy() for name in BEGUN)
    return BegunStep(action, Steps(obs, reward, terminated, truncated, infos=[]))


def _split(states: list[dict[str, Any]]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Environment states as tensors for safetensors and the rest for JSON."""
    arrays: dict[str, Tensor] = {}
    scalars: list[dict[str, Any]] = []
    for index, state in enumerate(states):
        plain: dict[str, Any] = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                arrays[f"{index}/{name}"] = torch.from_numpy(np.ascontiguousarray(value))
            else:
                plain[name] = value
        scalars.append(plain)
    return arrays, scalars


def _join(arrays: Mapping[str, Tensor], scalars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    states: list[dict[str, Any]] = [dict(plain) for plain in scalars]
    for key, value in arrays.items():
        index, _, name = key.partition("/")
        states[int(index)][name] = value.numpy()
    return states
