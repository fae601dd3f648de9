"""Presets: the settings that a run of a method on a task starts with, published, rerun, or for small machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from saccade.agents.methods_of import is_own, method_of
from saccade.agents.published_settings import (
    LIKE_SMG_ON_ROBOT,
    NOT_PUBLISHED,
    PUBLISHED,
    SGQN_ROBOT,
    SMG_RERUN,
    SMG_TABLE,
    Setting,
)
from saccade.agents.small_settings import SMALL_SETTINGS, SMALL_TRAINING, SMALL_VALUES
from saccade.envs.suites import suite_of
from saccade.types import UserError

SIZES: Mapping[str, str] = MappingProxyType(
    {
        "paper": "every method as its own paper ran it",
        "smg_rerun": "the baselines as the SMG paper ran them again",
        "small": "networks, pictures, length and evaluations that a CPU can manage; not published",
    }
)
"""The values of ``--preset``."""


@dataclass(frozen=True)
class Preset:
    """All the settings that a run of a method on a task starts with.

    Attributes:
        agent: the method's hyper-parameters.
        training, environment, loop, teaching: options of ``saccade train`` that differ from their defaults; the last
            two apply to methods that learn from a replay buffer, and from a teacher.
        sources: where each value was published, by its name, if it is not the method's own default.
    """

    agent: Any
    training: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    loop: Mapping[str, Any] = field(default_factory=dict)
    teaching: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


USUAL_SIDE = 84  # pixels, of the papers' pictures


def preset(name: str, task: str, size: str = "paper") -> Preset:
    """Return a method's settings on a task. ``size``: one of ``SIZES``. Raises UserError for another one."""
    if size not in SIZES:
        *names, last = SIZES
        raise UserError(f"There is no preset {size!r}: use --preset {', '.join(names)} or {last}.")
    if is_own(name) and size == "smg_rerun":
        raise UserError("--preset smg_rerun is for methods that SMG's authors ran: use paper or small for your own.")
    agent = method_of(name).config
    training: dict[str, Any] = {"evaluation_modes": suite_of(task).evaluated_in}
    environment: dict[str, Any] = {}
    loop: dict[str, Any] = {}
    teaching: dict[str, Any] = {}
    places = {
        option: values
        for options, values in (
            (OF_TRAINING, training),
            (OF_ENVIRONMENT, environment),
            (OF_LOOP, loop),
            (OF_TEACHING, teaching),
        )
        for option in options
    }
    sources: dict[str, str] = {}
    for setting in _settings(name, task, size):
        agent, changed = _replaced(agent, setting.values)
        for option, value in setting.values.items():
            if option in places:
                places[option][option] = value
            elif option not in changed:
                continue  # a setting of other methods
            sources[option] = setting.source
    if size == "small":
        agent, _ = _replaced(agent, SMALL_VALUES)
        training |= SMALL_TRAINING
        environment |= suite_of(task).fast
        for setting in SMALL_SETTINGS.get(name, ()):
            if task.startswith(setting.tasks):
                agent, _ = _replaced(agent, setting.values)
                for option in places.keys() & setting.values.keys():
                    places[option][option] = setting.values[option]
    usual = suite_of(task).image_size(task)
    if usual != USUAL_SIDE:  # a suite with its own picture sizes
        agent, _ = _replaced(agent, {"image_size": usual})
    return Preset(agent, training, environment, loop, teaching, sources)


OF_TRAINING = ("steps", "envs", "evaluate_every", "evaluation_episodes", "evaluation_sampled", "checkpoint_every")
OF_ENVIRONMENT = ("frame_stack", "action_repeat", "num_actions", "wrong_pick")
OF_LOOP = ("random_steps", "replay_capacity", "update_every")
OF_TEACHING = ("saliency_states", "saliency_radius", "saliency_blur", "saliency_stride")
"""Names of values outside the method: options of training, the environment, the replay buffer or a teacher."""


def _settings(name: str, task: str, size: str) -> Iterator[Setting]:
    if is_own(name):  # it has only its own defaults
        return iter(())
    own = PUBLISHED.get(name, (LIKE_SMG_ON_ROBOT,))
    if size == "smg_rerun" and name != "smg":
        # SGQN's authors ran other settings on their robot than SMG's authors there.
        own = tuple(setting for setting in own if setting.source != SGQN_ROBOT)
        source = "SMG's code" if name in SMG_TABLE else f"SMG's sizes, {NOT_PUBLISHED}"
        own += tuple(Setting(source, values, tasks) for tasks, values in SMG_RERUN.items())
    return (setting for setting in own if task.startswith(setting.tasks))


def _replaced(config: Any, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """Return the configuration with every field of these names replaced, also nested ones, and the names it has."""
    changes: dict[str, Any] = {}
    found: set[str] = set()
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if entry.name in values:
            changes[entry.name] = values[entry.name]
            found.add(entry.name)
        elif dataclasses.is_dataclass(value):
            changes[entry.name], within = _replaced(value, values)
            found |= within
    return dataclasses.replace(config, **changes), found
