"""One training run in its folder, from the configuration to ``result.json``: made, resumed, logged, saved."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from saccade.agents import METHODS
from saccade.agents.agent import Agent
from saccade.agents.settings import check_settings
from saccade.data.banks.images import ImageBank, bank_bytes, bank_size, load_bank
from saccade.data.checkpoints import newest_checkpoint, set_aside
from saccade.data.memory import refuse_beyond
from saccade.data.placement import Placement, place_by_what_is_free
from saccade.data.replay import ReplayBuffer
from saccade.envs.mujoco.opengl import is_software, why_in_software
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.nets.precision import set_compute_dtype
from saccade.policies.evaluate import evaluation_row, with_gaps
from saccade.runs.agents import make_agent
from saccade.runs.config import CONFIG, check, read_config, to_json, with_envs, with_precision, with_whole_paths
from saccade.runs.device import device_of
from saccade.runs.torch_setup import compute_dtype, prepare_torch
from saccade.runs.training import RunConfig
from saccade.train import state
from saccade.train.gpu_failures import gpu_failures_explained
from saccade.train.logs import (
    EvaluationRow,
    TensorBoard,
    append_row,
    cannot_write,
    forget_rows_after,
    read_rows,
    write_aside,
)
from saccade.train.off_policy import Event, OffPolicyTraining
from saccade.train.saving import BackgroundSaving
from saccade.train.ways import (
    PATHS,
    had_graphs,
    paths_of,
    refuse_without_graphs,
    why_without_graphs,
    write_facts,
    write_paths,
)
from saccade.types import Spaces, UserError

METRICS, EVALUATIONS, NOTES, RESULT = "metrics.jsonl", "evaluations.jsonl", "notes.jsonl", "result.json"
CHECKPOINTS, LOCK = "checkpoints", ".lock"
SEED_STRIDE = 10_007  # between the environments of one run
LARGEST_SEED = 2**32 // SEED_STRIDE - 1  # environments take seeds of 32 bits
FLOAT_BYTES = 4
LEAVE_AT = ("tick", "evaluating")
"""Events that nothing belongs to which would be lost: no row of a second episode, no evaluation just finished."""

Watch = Callable[[Event, OffPolicyTraining], None]
Stop = Callable[[], bool]
Preparing = Callable[[int, int], None] | None


def run_folder(config: RunConfig) -> Path:
    """Where a run goes by default: its name says what it is and has no time stamp, so that a grid can be resumed."""
    return Path("runs") / config.env.task.replace("/", "-") / config.method / str(config.training.seed)


def start(
    config: RunConfig, folder: Path, facts: dict[str, Any], watch: Watch, stop: Stop, preparing: Preparing = None
) -> dict[str, Any] | None:
    """Train a new run in ``folder`` and return its result; None when ``stop()`` ended it early, saved.

    facts: versions, hardware and the like, written to ``env.json``. ``watch`` sees every event; ``stop`` is asked at
    every step; ``preparing(done, total)`` hears of pictures being made ready. Raises UserError when the folder holds a
    run already or cannot be written.
    """
    check(config)
    check_settings(config.agent)
    _refuse_used(folder)
    config = with_whole_paths(with_envs(with_precision(config)))
    # What can go wrong with the configuration does so before there is a folder, so that it can be tried again.
    with (
        gpu_failures_explained(config, folder),
        _assembled(config, preparing, functools.partial(refuse_without_graphs, config.training)) as training,
        _made(folder),
    ):
        write_aside(folder / CONFIG, json.dumps(to_json(config), indent=1))
        write_facts(folder, facts, training)
        return _go_on(training, config, folder, [], watch, stop)


def resume(
    folder: Path,
    steps: int | None,
    watch: Watch,
    stop: Stop,
    warn: Callable[[str], None],
    preparing: Preparing = None,
    ways: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Continue a run from its newest undamaged checkpoint, on a CPU exactly as if it had never stopped.

    steps: a new total of agent steps. ways: other values of ``device``, ``compile`` and ``graphs`` from now on, and of
    ``data`` and ``images``, where those folders lie now. ``warn`` is told of damaged checkpoints, which are set aside,
    and of a run that was begun with CUDA graphs and goes on without.
    """
    config = _changed(with_envs(read_config(folder)), ways or {})
    if steps is not None:
        if config.training.replay_capacity is None:  # keep the size that the saved replay has
            replay = dataclasses.replace(config.training, replay_capacity=config.training.steps)
            config = dataclasses.replace(config, training=replay)
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))
    check(config)
    check_settings(config.agent)

    def without_graphs(why: str) -> None:
        if config.training.graphs == "on" or had_graphs(folder):
            warn(f"The run was begun with updates recorded as CUDA graphs, and goes on without: {why}.")

    with (
        gpu_failures_explained(config, folder),
        _locked(folder),
        _assembled(config, preparing, without_graphs) as training,
    ):
        if any((folder / CHECKPOINTS).glob("step_*")):  # or else it was stopped before its first one: begin again
            _restore_newest(training, folder, warn)
        counters = training.counters
        if steps is not None and steps < counters.env_steps:
            raise UserError(f"--steps {steps} is less than the {counters.env_steps} that {folder} has made: give more.")
        for name in (METRICS, EVALUATIONS):
            forget_rows_after(folder / name, counters.env_steps if training.started else -1)
        latest = _latest_evaluation(training, folder)
        if steps is not None or ways:
            write_aside(folder / CONFIG, json.dumps(to_json(config), indent=1))
        (folder / RESULT).unlink(missing_ok=True)
        return _go_on(training, config, folder, latest, watch, stop)


def _changed(config: RunConfig, ways: Mapping[str, Any]) -> RunConfig:
    """A run's configuration with other ways. Raises UserError where one of its folders is no longer there."""
    of_training = {name: value for name, value in ways.items() if name != "data"}
    training = dataclasses.replace(config.training, **of_training)
    env = config.env.changed(data=ways["data"]) if "data" in ways else config.env
    for option, path in (("--data", env.option("data")), ("--images", training.images)):
        if path is not None and not Path(path).expanduser().is_dir():
            raise UserError(f"{path}, which the run was begun with, is no folder here: say where it is with {option}.")
    return with_whole_paths(dataclasses.replace(config, env=env, training=training))


def _restore_newest(training: OffPolicyTraining, folder: Path, warn: Callable[[str], None]) -> None:
    checkpoint, problems = newest_checkpoint(folder / CHECKPOINTS)
    for damaged, problem in problems.items():
        aside = set_aside(damaged).name
        warn(f"{problem} It was set aside as {aside}; the run goes on from step {checkpoint.env_steps}.")
    state.restore(training, checkpoint)


def _latest_evaluation(training: OffPolicyTraining, folder: Path) -> list[dict[str, Any]]:
    """Rows of the modes that the latest evaluation has results in, as the checkpoint counts them."""
    counters, options = training.counters, training.config
    modes = options.evaluation_modes[: len(options.evaluation_modes) - counters.modes_left]
    rows = {
        row["mode"]: row
        for row in reversed(read_rows(folder / EVALUATIONS, EvaluationRow))
        if row["env_steps"] == counters.evaluated_at
        and (row["episodes"], row["episode_seed"]) == (options.evaluation_episodes, options.seed)
    }
    return [rows[mode] for mode in modes if mode in rows]


def _go_on(
    training: OffPolicyTraining,
    config: RunConfig,
    folder: Path,
    evaluations: list[dict[str, Any]],
    watch: Watch,
    stop: Stop,
) -> dict[str, Any] | None:
    """Train to the end or until told to stop; ``evaluations`` are the rows of the latest one so far."""
    watch(Event("begun"), training)
    board = TensorBoard(folder / "tensorboard", purge_step=training.counters.env_steps + 1)
    with closing(board), closing(training.events()) as events, BackgroundSaving() as saving:
        for event in events:
            saving.raise_failure()
            if event.kind in ("episode", "losses"):
                append_row(folder / METRICS, event.row)
                board.write(event.row)
            elif event.evaluation is not None:
                row = evaluation_row(
                    event.evaluation,
                    method=config.method,
                    env=config.env,
                    seed=config.training.seed,
                    env_steps=event.row["env_steps"],
                )
                evaluations = [old for old in evaluations if old["env_steps"] == row["env_steps"]] + [row]
                row = with_gaps(evaluations)[-1]
                if not _is_written(row, folder):  # a run that was killed plays its latest modes again
                    append_row(folder / EVALUATIONS, row)
                board.write({"env_steps": row["env_steps"], f"evaluation/{row['mode']}": row["return_mean"]})
            elif event.kind in ("note", "warning"):
                append_row(folder / NOTES, event.row)
                if event.kind == "warning":
                    write_paths(folder, training)
            elif event.kind == "checkpoint_due":
                saving.finish()
                saving.begin(state.take(training, folder / CHECKPOINTS))
            watch(event, training)
            if event.kind in LEAVE_AT and stop():
                saving.finish()
                _save_and_leave(training, folder)
                return None
        saving.finish()
        result = {**training.position(), "evaluations": with_gaps(evaluations), PATHS: paths_of(training)}
        write_aside(folder / RESULT, json.dumps(result, indent=1))
        return result


def _is_written(row: dict[str, Any], folder: Path) -> bool:
    """Whether there is a row of the same evaluation, whose numbers may differ in their last bits on a GPU."""
    measured = ("return_mean", "return_std", "returns", "success_rate", "gap", "changed_pixels")

    def asked(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key not in measured}

    return any(asked(old) == asked(row) for old in read_rows(folder / EVALUATIONS, EvaluationRow))


def _save_and_leave(training: OffPolicyTraining, folder: Path) -> None:
    if training.has_unread_losses():
        append_row(folder / METRICS, training.read_losses())
    training.require_finite()
    state.save(training, folder / CHECKPOINTS)


@contextmanager
def _assembled(
    config: RunConfig, preparing: Preparing, without_graphs: Callable[[str], None]
) -> Iterator[OffPolicyTraining]:
    """Everything that a run is made of; the environments end with the block.

    without_graphs: hears why updates cannot be recorded as CUDA graphs, where they cannot, before anything takes long.
    """
    training = config.training
    if training.seed > LARGEST_SEED:
        raise UserError(f"--seed {training.seed} is too large: it must be at most {LARGEST_SEED}.")
    device = device_of(training.device, training=True)
    prepare_torch(training, device)
    pictures = _place_pictures(config, device)
    why = why_without_graphs(training, device, pictures)
    if why is not None:
        without_graphs(why)
    bank = _load_pictures(config, pictures, preparing)
    seeds = [training.seed * SEED_STRIDE + index for index in range(training.num_envs)]
    workers = EnvWorkers([config.env] * training.num_envs, seeds, num_workers=training.workers)
    with workers:
        _warn_of_software(device, workers.arrangement.renderer)
        spaces = workers.spaces
        agent = make_agent(config, spaces, device, bank.sample if bank else None)
        _refuse_large_batch(agent.batch_size, spaces, device)
        set_compute_dtype(agent.networks, compute_dtype(training.precision, device))
        if bank is not None:
            _refuse_small_bank(bank, agent)
        place, replay = _replay(config, spaces, device)
        loop = OffPolicyTraining(config, agent, workers, replay, device, eager_because=why)
        loop.paths = tuple(kept.sentence for kept in (pictures, place) if kept is not None)
        yield loop


def _warn_of_software(device: torch.device, renderer: str) -> None:
    """Say it where a GPU learns while a processor draws: it takes most of such a run's time."""
    if device.type == "cuda" and is_software(renderer):
        warnings.warn(why_in_software(renderer), stacklevel=2)


def _place_pictures(config: RunConfig, device: torch.device) -> Placement | None:
    """Where pictures for overlays are kept; None for a method that needs none."""
    if not METHODS[config.method].overlays(config.agent):
        return None
    size = bank_bytes(config.training.image_count, bank_size(config.env.image_size))
    placed = place_by_what_is_free({"pictures": size}, device)["pictures"]
    count = f"--image-count {config.training.image_count}"
    refuse_beyond(size, count, "choose a smaller --image-count", placed.device)
    return placed


def _load_pictures(config: RunConfig, place: Placement | None, preparing: Preparing) -> ImageBank | None:
    if place is None:
        return None
    training, size = config.training, bank_size(config.env.image_size)
    folder = None if training.images is None else Path(training.images)
    return load_bank(
        folder, count=training.image_count, size=size, seed=training.seed, device=place.device, progress=preparing
    )


def _replay(config: RunConfig, spaces: Spaces, device: torch.device) -> tuple[Placement, ReplayBuffer]:
    """An empty replay for a run's environments, and where it is."""
    training, stack = config.training, config.env.frame_stack
    capacity = training.replay_capacity or training.steps
    frame = (spaces.obs_shape[0] // stack, *spaces.obs_shape[1:])
    size = ReplayBuffer.bytes_needed(capacity, frame, spaces.action_dim, frame_stack=stack, num_envs=training.num_envs)
    place = place_by_what_is_free({"replay": size}, device)["replay"]
    replay = ReplayBuffer(
        capacity,
        frame,
        spaces.action_dim,
        frame_stack=stack,
        num_envs=training.num_envs,
        device=place.device,
        pinned=place.pinned,
    )
    return place, replay


def _refuse_large_batch(batch: int, spaces: Spaces, device: torch.device) -> None:
    """Raise UserError where not even a batch's observations, before and after its steps, fit into the memory."""
    needed = 2 * FLOAT_BYTES * batch * math.prod(spaces.obs_shape)
    refuse_beyond(needed, f"A batch of {batch}", "choose a smaller --batch-size", device)


def _refuse_small_bank(bank: ImageBank, agent: Agent) -> None:
    """Raise UserError where a batch would show the same picture twice for want of others."""
    own = max((phase.own_batch.size for phase in agent.phases if phase.own_batch is not None), default=0)
    batch, pictures = max(agent.batch_size, own), len(bank.images)
    if pictures < batch:
        smaller = "--soda-batch-size" if own > agent.batch_size else "--batch-size"
        raise UserError(
            f"{pictures} pictures are too few to overlay a batch of {batch}: give a folder of {batch} or more with "
            f"--images and at least --image-count {batch}, or a smaller {smaller}."
        )


def _refuse_used(folder: Path) -> None:
    """Raise UserError for a folder that holds something, or that plainly cannot be made."""
    try:
        used = folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK})
    except OSError as error:
        raise cannot_write(folder, error) from error
    if used:
        raise UserError(
            f"{folder} exists already: give another --out, or continue it with `saccade train --resume {folder}`."
        )
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{folder} cannot be written ({above} does not allow it): give another folder with --out.")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make the folder of a new run and hold it; raises UserError when another process was quicker."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with _locked(folder):
        _refuse_used(folder)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run folder for this process; raises UserError while another process trains in it."""
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{folder} is being trained by another process: wait for it, or stop it first.") from error
        yield
