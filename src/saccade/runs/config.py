"""The configuration of a run: checked, completed, and read from its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from saccade.agents import METHODS
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
from saccade.runs.training import OffPolicy, RunConfig, check_actions
from saccade.runs.zoo import PREFIX, zoo_names
from saccade.spelling import close_names
from saccade.types import UserError

CONFIG = "config.json"
MOST_BYTES = 2**20  # of a configuration, which has a few thousand
LEAST = {
    **dict.fromkeys(("steps", "envs", "threads", "replay_capacity", "image_count", "evaluation_episodes"), 1),
    **dict.fromkeys(("checkpoint_every", "log_every"), 1),
    **dict.fromkeys(("random_steps", "evaluate_every", "seed", "workers"), 0),
}
"""Smallest sensible values of the training options."""
ANY_TASK = "dmc/walker_walk"
MOST_ENVS = 16  # by default: the policy of an action is then 16 updates old


def check(config: RunConfig) -> None:
    """Raise UserError for numbers that no run can have, and for modes that it cannot be evaluated in."""
    check_numbers(config)
    check_actions(config.method, config.env)
    check_data(config.env, config.training.evaluation_modes)


def check_numbers(config: RunConfig) -> None:
    """Raise UserError for numbers that no run can have."""
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
    method = METHODS[config.method]
    size = method.rendered_size(config.agent)
    if method.decodes(config.agent) and size % SIDE_STEP:
        raise UserError(
            f"{config.method} decodes pictures, so --image-size must be a multiple of {SIDE_STEP}, and {size} is not: "
            f"use {nearest_side(size)}."
        )


def with_whole_paths(config: RunConfig) -> RunConfig:
    """The configuration with the whole paths of its folders, so that it can go on from anywhere."""
    env, data, images = config.env, config.env.option("data"), config.training.images
    if data is not None:
        env = env.changed(data=_whole_path(data))
    if images is None:
        return dataclasses.replace(config, env=env)
    training = dataclasses.replace(config.training, images=_whole_path(images))
    return dataclasses.replace(config, env=env, training=training)


def _whole_path(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


def to_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return dataclasses.asdict(config)


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """The configuration that ``to_json`` gave.

    Raises UserError for a method or fields that do not exist here, and for values that no run can have.
    """
    method = values.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise UserError(f"The run's method {method!r} is not known here; known are {', '.join(METHODS)}.")
    values = migrated(values)
    loop = OffPolicy() if METHODS[method].loop == "off_policy" else None
    template = RunConfig(method, EnvConfig(_task_of(values)), METHODS[method].config, loop=loop)
    _check_fields(template, values)
    env = values["env"]
    config = typed({**values, "env": {**env, "options": None} if isinstance(env, Mapping) else env}, RunConfig)
    options = typed(env["options"], type(template.env.options))
    agent = typed(values["agent"], type(template.agent))
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, options=options), agent=agent)
    check_numbers(config)
    size = METHODS[method].rendered_size(config.agent)
    if size != config.env.image_size:
        raise UserError(f"The run's pictures have {config.env.image_size} pixels, and its networks take {size}.")
    return config


def _task_of(values: Mapping[str, Any]) -> str:
    """The task of a configuration, or any where it has no place for one. Raises UserError for one that is not known."""
    env = values.get("env")
    task = env.get("task", ANY_TASK) if isinstance(env, Mapping) else ANY_TASK
    check_name("task", task, TASKS)
    return str(task)


def _check_fields(template: Any, values: Mapping[str, Any]) -> None:
    """Raise UserError where a JSON object has other fields than a dataclass like ``template``."""
    known = {field.name for field in dataclasses.fields(template)}
    if set(values) != known:
        other = ", ".join(sorted(set(values) ^ known))
        raise UserError(
            f"The run's configuration and this version of Saccade differ in {other}: use the version in env.json."
        )
    for name in known:
        inner = getattr(template, name)
        if dataclasses.is_dataclass(inner) and isinstance(values[name], Mapping):
            _check_fields(inner, values[name])


def read_config(run: Path) -> RunConfig:
    """The configuration of a run folder. Raises UserError when it is not one."""
    path = run / CONFIG
    try:
        return from_json(read_document(path, dict[str, Any], MOST_BYTES))
    except BadDocument as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    except OSError as error:
        if path.exists():
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        near = close_names(run.name, [path.parent.name for path in run.parent.glob(f"*/{CONFIG}")])
        meant = PREFIX + run.name if run.name in zoo_names() else str(run.parent / near[0]) if near else None
        hint = f" Did you mean {meant}?" if meant else ""
        raise UserError(f"{run} is not a run folder: it has no {CONFIG}.{hint}") from error


def with_precision(config: RunConfig) -> RunConfig:
    """The configuration with the precision that ``auto`` means here, which a run keeps wherever it is resumed."""
    dtype = compute_dtype(config.training.precision, device_of(config.training.device, training=True))
    precision: Literal["float32", "bfloat16"] = "float32" if dtype == torch.float32 else "bfloat16"
    return dataclasses.replace(config, training=dataclasses.replace(config.training, precision=precision))


def with_envs(config: RunConfig) -> RunConfig:
    """The configuration with as many environments as this machine can feed, which a run keeps wherever it is resumed.

    A choice stays. On a CPU the networks are what takes the time; on a GPU they are not, whatever renders.
    """
    training = config.training
    if training.envs is not None:
        return config
    feeds_gpu = device_of(training.device).type == "cuda" and training.workers != 0
    most = min(MOST_ENVS, available_cores()) if feeds_gpu else 1
    envs = next(number for number in range(most, 0, -1) if training.steps % number == 0)
    return dataclasses.replace(config, training=dataclasses.replace(training, envs=envs))
