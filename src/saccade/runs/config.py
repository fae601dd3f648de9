"""The configuration of a run: check it, complete it, and read it from its folder."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from saccade.agents import METHODS
from saccade.agents.methods_of import digest_of, is_own, label_of, method_of, open_named, open_recorded
from saccade.agents.settings import check_settings
from saccade.data.documents import LARGEST, BadDocument, read_document, typed
from saccade.envs.checks import check_name
from saccade.envs.config import EnvConfig, check_data
from saccade.envs.suites import TASKS
from saccade.envs.workers.env_workers import available_cores
from saccade.nets.decoders import SIDE_STEP, nearest_side
from saccade.runs.device import device_of
from saccade.runs.migrations import migrated
from saccade.runs.torch_setup import compute_dtype
from saccade.runs.training import (
    SALIENCY_SOURCES,
    OffPolicy,
    RunConfig,
    Teaching,
    check_actions,
    check_maps,
    check_truth,
)
from saccade.runs.zoo import PREFIX, is_named, zoo_names
from saccade.spelling import close_names
from saccade.types import UserError

CONFIG, ENVIRONMENT = "config.json", "env.json"
DIGEST = "method_sha256"
"""Key in env.json: the SHA-256 of the file of the user's own method."""
EXPORTED = "exported"
"""Key in config.json: what an exported policy adds to the configuration, read by ``runs/exported.py``."""
MOST_BYTES = 2**20  # of a configuration, which usually has a few thousand
LEAST = {
    **dict.fromkeys(("steps", "envs", "threads", "replay_capacity", "image_count", "evaluation_episodes"), 1),
    **dict.fromkeys(("checkpoint_every", "log_every", "update_every"), 1),
    **dict.fromkeys(("random_steps", "evaluate_every", "evaluation_maps", "seed", "workers"), 0),
}
"""Smallest sensible values of the training options."""
ANY_TASK = "dmc/walker_walk"
MOST_ENVS = 16  # by default: an action's policy is then 16 updates old


def check(config: RunConfig) -> None:
    """Raise UserError for invalid numbers, and for modes that the run cannot be evaluated in."""
    check_numbers(config)
    check_actions(config.method, config.env)
    check_truth(config.method, config.agent, config.env)
    check_maps(config.training, config.env)
    check_data(config.env, config.training.evaluation_modes)


def check_numbers(config: RunConfig) -> None:
    """Raise UserError for invalid numbers."""
    training = config.training
    numbers = {**vars(training), **({} if config.loop is None else vars(config.loop))}
    for name, least in LEAST.items():
        value = numbers.get(name)
        if value is not None and not least <= value <= LARGEST:
            wrong = f"small: it must be at least {least}" if value < least else f"large: it must be at most {LARGEST}"
            raise UserError(f"--{name.replace('_', '-')} {value} is too {wrong}.")
    if training.envs is not None and training.steps % training.envs:
        raise UserError(
            f"--steps {training.steps} is not a multiple of --envs {training.envs}: choose numbers that divide."
        )
    check_settings(config.agent)
    if config.teaching is not None:
        check_settings(config.teaching)
    method = method_of(config.method)
    size = method.rendered_size(config.agent)
    if method.decodes(config.agent) and size % SIDE_STEP:
        raise UserError(
            f"{label_of(config.method)} decodes pictures, so --image-size must be a multiple of {SIDE_STEP}, but "
            f"{size} is not: use {nearest_side(size)}."
        )


def with_whole_paths(config: RunConfig) -> RunConfig:
    """Return the configuration with absolute paths of its folders, so that it can be continued from anywhere."""
    env, data, images = config.env, config.env.option("data"), config.training.images
    if data is not None:
        env = env.changed(data=_whole_path(data))
    config = dataclasses.replace(config, env=env, teaching=_with_whole_paths(config.teaching))
    if images is None:
        return config
    return dataclasses.replace(config, training=dataclasses.replace(config.training, images=_whole_path(images)))


def _with_whole_paths(teaching: Teaching | None) -> Teaching | None:
    if teaching is None:
        return None
    teacher, network, data = teaching.teacher, teaching.teacher_policy, teaching.saliency_data
    if teacher is not None and not is_named(teacher):
        teacher = _whole_path(teacher)
    if network is not None:
        file, _, name = network.rpartition(":")
        network = f"{_whole_path(file)}:{name}" if file else network
    if data not in SALIENCY_SOURCES:
        data = _whole_path(data)
    return dataclasses.replace(teaching, teacher=teacher, teacher_policy=network, saliency_data=data)


def _whole_path(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


def to_json(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as JSON values."""
    return dataclasses.asdict(config)


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that ``to_json`` was given.

    Raises UserError for a method or fields that do not exist here, and for invalid values.
    """
    method = values.get("method")
    if not isinstance(method, str) or (digest_of(method) is None and method not in METHODS):
        raise UserError(f"The run's method {method!r} is not known here; known are {', '.join(METHODS)}.")
    values = migrated(values)
    row = method_of(method)
    loop = OffPolicy() if row.loop == "off_policy" else None
    teaching = Teaching() if row.taught else None
    template = RunConfig(method, EnvConfig(_task_of(values)), row.config, loop=loop, teaching=teaching)
    _check_fields(template, values, label_of(method) if is_own(method) else None)
    env = values["env"]
    config = typed({**values, "env": {**env, "options": None} if isinstance(env, Mapping) else env}, RunConfig)
    options = typed(env["options"], type(template.env.options))
    agent = typed(values["agent"], type(template.agent))
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, options=options), agent=agent)
    check_numbers(config)
    size = row.rendered_size(config.agent)
    if size != config.env.image_size:
        raise UserError(f"The run's pictures have {config.env.image_size} pixels, but its networks take {size}.")
    return config


def _task_of(values: Mapping[str, Any]) -> str:
    """The task of a configuration, or any task if it has none. Raises UserError for one that is unknown."""
    env = values.get("env")
    task = env.get("task", ANY_TASK) if isinstance(env, Mapping) else ANY_TASK
    check_name("task", task, TASKS)
    return str(task)


def _check_fields(template: Any, values: Mapping[str, Any], own: str | None) -> None:
    """Raise UserError if a JSON object has other fields than a dataclass like ``template``.

    own: the name of the user's own method.
    """
    known = {field.name for field in dataclasses.fields(template)}
    if set(values) != known:
        other = ", ".join(sorted(set(values) ^ known))
        here, use = "this version of Saccade", "the version in env.json"
        if own is not None:
            here, use = f"{here} or {own}", f"{use}, and the file from when the run was trained"
        raise UserError(f"The run's configuration and {here} differ in {other}: use {use}.")
    for name in known:
        inner = getattr(template, name)
        if dataclasses.is_dataclass(inner) and isinstance(values[name], Mapping):
            _check_fields(inner, values[name], own)


def read_config(run: Path, method: str | None = None) -> RunConfig:
    """Read the configuration of a run folder. The file of the user's own method is run, if they have named it before.

    method: ``file.py:NAME``, which is now the method that the run was trained with; by default as the run says.

    Raises UserError if it is no run folder, or if its method has moved, has changed or was never named.
    """
    path = run / CONFIG
    try:
        values = read_document(path, dict[str, Any], MOST_BYTES)
        values.pop(EXPORTED, None)
        return from_json({**values, "method": _opened(run, values.get("method"), method)})
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    except OSError as error:
        if path.exists():
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        near = close_names(run.name, [path.parent.name for path in run.parent.glob(f"*/{CONFIG}")])
        meant = PREFIX + run.name if run.name in zoo_names() else str(run.parent / near[0]) if near else None
        hint = f" Did you mean {meant}?" if meant else ""
        raise UserError(f"{run} is not a run folder: it has no {CONFIG}.{hint}") from error


def _opened(run: Path, recorded: Any, meant: str | None) -> Any:
    """The name of a run's method, made available if it is in a file."""
    own = isinstance(recorded, str) and is_own(recorded)
    if meant is None:
        if own:
            open_recorded(recorded, _recorded_digest(run), run)
        return recorded
    if not own:
        raise UserError(f"--method is for methods of your own, but {run} was trained with {recorded}: leave it out.")
    if not is_own(meant):
        raise UserError(f"--method {meant} names no file: write FILE.PY:NAME.")
    name = open_named(meant)
    if digest_of(name) != _recorded_digest(run):
        warnings.warn(
            f"{meant} is not the file that {run} was trained with, or has changed since: its results may differ",
            stacklevel=3,
        )
    return name


def _recorded_digest(run: Path) -> str | None:
    """The SHA-256 of the file that a run's method came from; None if that was lost."""
    try:
        digest = read_document(run / ENVIRONMENT, dict[str, Any]).get(DIGEST)
    except (OSError, UserError):
        return None
    return digest if isinstance(digest, str) else None


def with_precision(config: RunConfig) -> RunConfig:
    """Configuration with what the precision ``auto`` means here, which a run keeps wherever it is resumed."""
    dtype = compute_dtype(config.training.precision, device_of(config.training.device, training=True))
    precision: Literal["float32", "bfloat16"] = "float32" if dtype == torch.float32 else "bfloat16"
    return dataclasses.replace(config, training=dataclasses.replace(config.training, precision=precision))


def with_envs(config: RunConfig) -> RunConfig:
    """Return the configuration with as many environments as this machine can feed, kept wherever the run is resumed.

    An explicit number stays. On a CPU the networks take most of the time; on a GPU they do not, whatever renders.
    """
    training = config.training
    if training.envs is not None:
        return config
    feeds_gpu = device_of(training.device).type == "cuda" and training.workers != 0
    most = min(MOST_ENVS, available_cores()) if feeds_gpu else 1
    envs = next(number for number in range(most, 0, -1) if training.steps % number == 0)
    return dataclasses.replace(config, training=dataclasses.replace(training, envs=envs))
