"""Convert configurations of earlier versions to this one's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saccade.envs.mujoco.looks import FIRST_CAMERA
from saccade.envs.oracle import OFF
from saccade.envs.suites import TASKS, option_names, suite_of

Values = Mapping[str, Any]

FLAT_OPTIONS = ("render_quality", "clip_order", "data", "action_space", "reach_bonus", "camera")
FLAT_DEFAULTS: Values = {"action_space": "xy", "reach_bonus": True}
"""Values of options that earlier versions stored for tasks without them."""

REPLAY_OPTIONS = ("random_steps", "overlap", "replay_capacity")


def migrated(values: Values) -> Values:
    """Return the JSON object of a run's configuration with all later changes of the format."""
    for change in MIGRATIONS:
        values = change(values)
    return values


def _ways_of_training(values: Values) -> Values:
    """Before updates could be recorded and matrices multiplied in TF32, they were not."""
    return _within(values, "training", lambda training: {"graphs": "auto", "matmul": "float32", **training})


def _camera(values: Values) -> Values:
    """Before a camera could be chosen, it was the first one."""
    return _within(values, "env", lambda env: env if "options" in env else {"camera": FIRST_CAMERA, **env})


def _options_of_the_suite(values: Values) -> Values:
    """Before suites had options of their own, every environment had those of two."""
    return _within(values, "env", lambda env: env if "options" in env else _with_options(env))


def _drawn_actions(values: Values) -> Values:
    """Before actions of evaluations could be sampled, they were the most likely ones."""
    return _within(values, "training", lambda training: {"evaluation_sampled": False, **training})


def _maps_not_watched(values: Values) -> Values:
    """Before maps could be scored in evaluations, none were."""
    return _within(values, "training", lambda training: {"evaluation_maps": 0, **training})


def _options_of_the_replay(values: Values) -> Values:
    """Before there were loops of rollouts, the options of the replay buffer were among those of training."""
    training = values.get("training")
    if "loop" in values or not isinstance(training, Mapping):
        return values
    loop = {name: training[name] for name in REPLAY_OPTIONS if name in training}
    return {**values, "training": {name: training[name] for name in training if name not in loop}, "loop": loop}


def _updates_of_a_step(values: Values) -> Values:
    """Before an update could count for several steps, it was for one."""
    return _within(values, "loop", lambda loop: {"update_every": 1, **loop})


def _no_oracle(values: Values) -> Values:
    """Before there were oracles, everything was seen."""
    return _within(values, "env", _with_an_oracle_that_is_off)


def _no_teacher(values: Values) -> Values:
    """Before there were teachers, nothing was learned from one."""
    without = {"teaching": None, "teacher_sha256": None, "saliency_sha256": None}
    return {**without, **values} if "agent" in values else values


def _with_an_oracle_that_is_off(env: Values) -> Values:
    task, options = env.get("task"), env.get("options")
    known = isinstance(task, str) and task in TASKS and "oracle_mask" in option_names(suite_of(task))
    return {**env, "options": {"oracle_mask": OFF, **options}} if known and isinstance(options, Mapping) else env


def _with_options(env: Values) -> Values:
    task = env.get("task")
    own = option_names(suite_of(task)) if isinstance(task, str) and task in TASKS else FLAT_OPTIONS
    foreign = [name for name in FLAT_OPTIONS if name not in own and env.get(name) == FLAT_DEFAULTS.get(name)]
    options = {name: env[name] for name in FLAT_OPTIONS if name in own and name in env}
    kept = {name: value for name, value in env.items() if name not in options and name not in foreign}
    return {**kept, "options": options}


def _within(values: Values, name: str, change: Callable[[Values], Values]) -> Values:
    """The values with a change to one of the objects in them; unchanged if it is missing."""
    inner = values.get(name)
    return {**values, name: change(inner)} if isinstance(inner, Mapping) else values


MIGRATIONS: tuple[Callable[[Values], Values], ...] = (
    _ways_of_training,
    _camera,
    _options_of_the_suite,
    _drawn_actions,
    _options_of_the_replay,
    _no_oracle,
    _no_teacher,
    _updates_of_a_step,
    _maps_not_watched,
)
"""Every change of the format, the oldest first; one that was already made changes nothing."""
