"""Where explained observations come from: a task of Saccade, of Gymnasium, or an environment of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, final

import gymnasium

from saccade.data.user_code import from_file, running
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import TASKS, suite_of, usual_modes
from saccade.explain.registered import registered
from saccade.explain.vectorised import single
from saccade.policies.evaluate import in_mode
from saccade.policies.pixels import RGB
from saccade.policies.policy import Policy
from saccade.spelling import close_names
from saccade.types import UserError

CLEAN = "train"
"""The mode without distractions, and the only one of environments that are not Saccade's."""


@final
@dataclass(frozen=True)
class Task:
    """A task: makes the same environment in each of its modes.

    Attributes:
        make: ``(mode, masks) -> environment``; with ``masks`` it reports ``info["task_mask"]`` where it can.
        modes: the modes there are; the same seed and actions lead through the same states in all of them.
        knows_truth: whether it can say which pixels show the task.
        config: of a Saccade task.
        provenance: what must be reported with results from such an environment.
    """

    name: str
    make: Callable[[str, bool], gymnasium.Env[Any, Any]]
    modes: tuple[str, ...]
    knows_truth: bool
    config: EnvConfig | None = None
    provenance: Callable[[Any], Mapping[str, Any]] = lambda env: {}

    @property
    def usual_modes(self) -> tuple[str, ...]:
        """Return the modes that it is played in by default."""
        return self.modes if self.config is None else usual_modes(self.config.task)


def find_task(name: str, **fields: Any) -> Task:
    """Find the task that a name stands for: ``dmc/walker_walk``, an id of Gymnasium, or ``file.py:function``.

    An id may name the module that registers it, ``ale_py:ALE/Breakout-v5``; installed packages are found without that.

    Args:
        fields: other fields or options of ``EnvConfig``, for Saccade's own tasks.

    Raises:
        UserError: there is no such task, or the function does not make an environment.
    """
    if name in TASKS:
        return saccade_task(EnvConfig.parse(name, **fields))
    if fields:
        options = ", ".join(f"--{field.replace('_', '-')}" for field in fields)
        raise UserError(f"{options} belong to Saccade's own tasks: {name} is made as it is, so leave them out.")
    if ".py:" in name:
        return _own_task(name)
    if name.partition("/")[0] in {task.partition("/")[0] for task in TASKS}:
        near = close_names(name, TASKS)
        hint = f"did you mean {' or '.join(near)}?" if near else "`saccade list` names Saccade's tasks."
        raise UserError(f"There is no task {name!r}: {hint}")
    known = registered(name)

    def make(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
        with running(f"Making {name}"):
            return gymnasium.make(known)

    return Task(name, make, (CLEAN,), knows_truth=False)


def saccade_task(config: EnvConfig) -> Task:
    """Return a task of Saccade in all its modes, with the simulator's own masks where it has any."""
    suite = suite_of(config.task)

    def make(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
        return make_env(dataclasses.replace(in_mode(config, mode), task_mask=masks))

    return Task(config.task, make, tuple(suite.modes), suite.knows_masks, config, provenance=lambda env: env.provenance)


def _own_task(name: str) -> Task:
    return makers_task(name, {CLEAN: maker_in_file(name)})


def makers_task(name: str, makers: Mapping[str, Callable[[], Any]]) -> Task:
    """Return a task made by functions, one for each of its modes, ``train`` first."""
    modes = (CLEAN, *(mode for mode in makers if mode != CLEAN))

    def make(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
        return made_by(makers[mode], name if mode == CLEAN else f"{name}, {mode}")

    return Task(name, make, modes, knows_truth=False)


def maker_in_file(name: str) -> Callable[[], gymnasium.Env[Any, Any]]:
    """Return the function that ``file.py:function`` names, which makes an environment. Raises UserError if missing."""
    function = from_file(name)
    return lambda: made_by(function, name)


def made_by(function: Callable[[], Any], name: str) -> gymnasium.Env[Any, Any]:
    """Return what the function makes as a single environment. Raises UserError if it fails or makes none."""
    with running(f"Calling {name}"):
        env = function()
        if isinstance(env, FunctionType):  # scripts write such functions for a vector
            env = env()
    return single(env, name)


def task_of(policy: Policy, name: str | None, **fields: Any) -> Task:
    """Return the task to explain a policy on; a run's own, with its training settings, if none is named.

    Args:
        fields: fields or options of ``EnvConfig`` that differ from the run's; None where they do not.
    """
    given = {field: value for field, value in fields.items() if value is not None}
    if name is not None and "@" in name and ".py:" not in name:
        task, _, mode = name.partition("@")
        raise UserError(f"{name!r} names a mode as well: give the task {task!r} and modes=({mode!r},).")
    if policy.config is not None:
        own: EnvConfig = policy.config.env
        if name is None or name in TASKS:
            return saccade_task(own.changed(task=name or own.task, **given))
    if name is None:
        raise UserError(f"{policy.source} does not say what it was trained on: name the task with --task.")
    if name in TASKS:
        channels, height, width = policy.pixels.channels_first
        colours = suite_of(name).spaces(EnvConfig(name)).colours
        if height != width or policy.pixels.colours != colours:
            kind = "RGB" if colours == RGB else "grey"
            raise UserError(
                f"{name} gives square {kind} pictures, and {policy.name} sees {policy.pixels.description()}."
            )
        given = {"image_size": height, "frame_stack": channels // colours, **given}
    return find_task(name, **given)
