"""One training run in its folder, from the configuration to ``result.json``: started, resumed, logged, saved."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from saccade.agents.methods_of import blamed_on_owner, digest_of, label_of
from saccade.agents.settings import check_settings
from saccade.data.checkpoints import newest_checkpoint, set_aside
from saccade.policies.evaluate import evaluation_row, with_gaps
from saccade.runs.config import CONFIG, DIGEST, check, read_config, to_json, with_envs, with_precision, with_whole_paths
from saccade.runs.training import RunConfig
from saccade.train import state
from saccade.train.assembling import assembled
from saccade.train.events import Event, position
from saccade.train.given import Preparing, with_digests
from saccade.train.gpu_failures import gpu_failures_explained
from saccade.train.logs import (
    EvaluationRow,
    append_row,
    cannot_write,
    forget_rows_after,
    held,
    read_rows,
    write_aside,
)
from saccade.train.loop import Loop
from saccade.train.saving import BackgroundSaving
from saccade.train.sinks import Begun, Sinks, Tracker
from saccade.train.ways import (
    PATHS,
    facts_of,
    had_graphs,
    paths_of,
    refuse_without_graphs,
    write_facts,
    write_paths,
)
from saccade.types import UserError

METRICS, EVALUATIONS, NOTES, RESULT = "metrics.jsonl", "evaluations.jsonl", "notes.jsonl", "result.json"
CHECKPOINTS, LOCK = "checkpoints", ".lock"
LEAVE_AT = ("tick", "evaluating")
"""Events after which nothing would be lost: not the rows of an episode or evaluation that has just finished."""

Watch = Callable[[Event, Loop], None]
Stop = Callable[[], bool]


def run_folder(config: RunConfig) -> Path:
    """Default folder of a run: its name says what it is, without a time stamp, so that grids can be resumed."""
    return Path("runs") / config.env.task.replace("/", "-") / label_of(config.method) / str(config.training.seed)


def start(
    config: RunConfig,
    folder: Path,
    facts: dict[str, Any],
    watch: Watch,
    stop: Stop,
    preparing: Preparing = None,
    tracker: Tracker | None = None,
) -> dict[str, Any] | None:
    """Train a new run in ``folder`` and return its result; None if ``stop()`` ended it early, saved.

    facts: versions, hardware and the like, written to ``env.json``. ``watch`` is called with every event; ``stop`` at
    every step; ``preparing(what, done, total)`` while pictures and the like are prepared. tracker: receives
    the numbers besides the run's files and TensorBoard. Raises UserError if the folder holds a run already or cannot
    be written.
    """
    sinks = Sinks(tracker)
    check(config)
    check_settings(config.agent)
    _refuse_used(folder)
    config = with_digests(with_whole_paths(with_envs(with_precision(config))))
    # Errors in the configuration appear before there is a folder, so that one can try again.
    with (
        blamed_on_owner(config.method, f"Training {label_of(config.method)}"),
        gpu_failures_explained(config, folder),
        assembled(config, preparing, functools.partial(refuse_without_graphs, config.training)) as training,
        _made(folder),
    ):
        write_aside(folder / CONFIG, json.dumps(to_json(config), indent=1))
        write_facts(folder, facts | _digest(config), training)
        return _go_on(training, config, folder, [], watch, stop, sinks)


def resume(
    folder: Path,
    steps: int | None,
    watch: Watch,
    stop: Stop,
    warn: Callable[[str], None],
    preparing: Preparing = None,
    ways: Mapping[str, Any] | None = None,
    tracker: Tracker | None = None,
) -> dict[str, Any] | None:
    """Continue a run from its newest undamaged checkpoint, on a CPU exactly as if it had never stopped.

    steps: a new total of agent steps. ways: new values of ``device``, ``compile`` and ``graphs`` from now on, and of
    ``data``, ``images`` and ``teacher``, for where those are now, and of ``method``, for where the user's own file is
    now
    or what it has become. ``warn`` is called about damaged checkpoints, which are set aside, and about a run that began
    with CUDA graphs and continues without. tracker: as for ``start``.
    """
    sinks = Sinks(tracker)
    config = _changed(with_envs(read_config(folder, (ways or {}).get("method"))), ways or {})
    if steps is not None:
        if config.loop is not None and config.loop.replay_capacity is None:  # keep the size of the saved replay buffer
            loop = dataclasses.replace(config.loop, replay_capacity=config.training.steps)
            config = dataclasses.replace(config, loop=loop)
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))
    check(config)
    check_settings(config.agent)

    def without_graphs(why: str) -> None:
        if config.training.graphs == "on" or had_graphs(folder):
            warn(f"The run began with updates recorded as CUDA graphs, and continues without: {why}.")

    with (
        blamed_on_owner(config.method, f"Training {label_of(config.method)}"),
        gpu_failures_explained(config, folder),
        _locked(folder),
        assembled(config, preparing, without_graphs) as training,
    ):
        if any((folder / CHECKPOINTS).glob("step_*")):  # otherwise it was stopped before its first one: begin again
            _restore_newest(training, folder, warn)
        counters = training.counters
        if steps is not None and steps < counters.env_steps:
            raise UserError(
                f"--steps {steps} is less than the {counters.env_steps} that {folder} has already done: give more."
            )
        for name in (METRICS, EVALUATIONS):
            forget_rows_after(folder / name, counters.env_steps if training.started else -1)
        latest = _latest_evaluation(training, folder)
        if steps is not None or ways:
            write_aside(folder / CONFIG, json.dumps(to_json(config), indent=1))
        if "method" in (ways or {}):
            write_facts(folder, facts_of(folder) | _digest(config), training)
            note = f"from here on the method is {config.method} with the SHA-256 {digest_of(config.method)}"
            append_row(folder / NOTES, {**position(counters), "note": note})
        (folder / RESULT).unlink(missing_ok=True)
        return _go_on(training, config, folder, latest, watch, stop, sinks)


def _digest(config: RunConfig) -> dict[str, Any]:
    """What ``env.json`` says about the user's own method; empty for others."""
    digest = digest_of(config.method)
    return {} if digest is None else {DIGEST: digest}


def _changed(config: RunConfig, ways: Mapping[str, Any]) -> RunConfig:
    """A run's configuration with these changes. Raises UserError if one of its folders no longer exists."""
    of_training = {name: value for name, value in ways.items() if name not in ("data", "method", "teacher")}
    if "teacher" in ways:
        if config.teaching is None:
            raise UserError(f"{label_of(config.method)} has no teacher: leave --teacher out.")
        config = dataclasses.replace(config, teaching=dataclasses.replace(config.teaching, teacher=ways["teacher"]))
    training = dataclasses.replace(config.training, **of_training)
    env = config.env.changed(data=ways["data"]) if "data" in ways else config.env
    for option, path in (("--data", env.option("data")), ("--images", training.images)):
        if path is not None and not Path(path).expanduser().is_dir():
            raise UserError(f"{path}, with which the run began, is no folder here: say where it is now with {option}.")
    return with_whole_paths(dataclasses.replace(config, env=env, training=training))


def _restore_newest(training: Loop, folder: Path, warn: Callable[[str], None]) -> None:
    checkpoint, problems = newest_checkpoint(folder / CHECKPOINTS)
    for damaged, problem in problems.items():
        aside = set_aside(damaged).name
        warn(f"{problem} It was set aside as {aside}; the run continues from step {checkpoint.env_steps}.")
    state.restore(training, checkpoint)


def _latest_evaluation(training: Loop, folder: Path) -> list[dict[str, Any]]:
    """Rows of the modes for which the latest evaluation has results, as the checkpoint counts them."""
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
    training: Loop,
    config: RunConfig,
    folder: Path,
    evaluations: list[dict[str, Any]],
    watch: Watch,
    stop: Stop,
    sinks: Sinks,
) -> dict[str, Any] | None:
    """Train to the end or until told to stop; ``evaluations`` are the rows of the latest one so far."""
    watch(Event("begun"), training)
    with (
        closing(sinks),
        closing(training.events()) as events,
        BackgroundSaving() as saving,
    ):
        sinks.begin(Begun(config, folder, training.counters.env_steps))
        for event in events:
            saving.raise_failure()
            if event.kind in ("episode", "losses"):
                append_row(folder / METRICS, event.row)
                sinks.write(event.row)
            elif event.evaluation is not None:
                row = evaluation_row(
                    event.evaluation,
                    method=label_of(config.method),
                    env=config.env,
                    seed=config.training.seed,
                    env_steps=event.row["env_steps"],
                    sampled=config.training.evaluation_sampled,
                    network=training.agent.networks,
                )
                evaluations = [old for old in evaluations if old["env_steps"] == row["env_steps"]] + [row]
                row = with_gaps(evaluations)[-1]
                if not is_written(row, folder):  # a killed run plays its latest modes again
                    append_row(folder / EVALUATIONS, row)
                sinks.write({"env_steps": row["env_steps"], **numbers_of(row)})
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
                _save_and_leave(training, folder, sinks)
                return None
        saving.finish()
        result = {**position(training.counters), "evaluations": with_gaps(evaluations), PATHS: paths_of(training)}
        write_aside(folder / RESULT, json.dumps(result, indent=1))
        return result


def numbers_of(row: dict[str, Any]) -> dict[str, float]:
    """Return what trackers show of an evaluation's row: the return, and how well each map finds the task."""
    maps = {f"maps/{row['mode']}/{name}": value for name, value in (row["maps"] or {}).items() if value is not None}
    return {f"evaluation/{row['mode']}": row["return_mean"], **maps}


def is_written(row: dict[str, Any], folder: Path) -> bool:
    """Return whether there is a row of the same evaluation, whose numbers may differ in their last bits on a GPU."""
    measured = ("return_mean", "return_std", "returns", "success_rate", "gap", "changed_pixels", "maps")

    def asked(row: dict[str, Any]) -> dict[str, Any]:
        return {"sampled": False} | {key: value for key, value in row.items() if key not in measured}

    return any(asked(old) == asked(row) for old in read_rows(folder / EVALUATIONS, EvaluationRow))


def _save_and_leave(training: Loop, folder: Path, sinks: Sinks) -> None:
    if len(training.health):
        row = {**position(training.counters), **training.health.read()}
        append_row(folder / METRICS, row)
        sinks.write(row)
    training.health.require_finite()
    state.save(training, folder / CHECKPOINTS)


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
    """Make the folder of a new run and hold it; raises UserError if another process was quicker."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with _locked(folder):
        _refuse_used(folder)
        yield


def _locked(folder: Path) -> AbstractContextManager[None]:
    """Hold the run folder for this process; raises UserError while another process trains in it."""
    taken = f"{folder} is being trained by another process: wait for it, or stop it first."
    return held(folder / LOCK, taken)
