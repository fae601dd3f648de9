"""Published settings: what each paper ran on each task, with its source, and what small machines run instead."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from saccade.agents.configs import Architecture
from saccade.agents.methods_of import is_own, method_of
from saccade.envs.suites import suite_of
from saccade.types import UserError

SIZES: Mapping[str, str] = MappingProxyType(
    {
        "paper": "every method as its own paper ran it",
        "smg_rerun": "the baselines as the SMG paper ran them again",
        "small": "networks, pictures, rendering, a length and evaluations that a CPU can finish; not published",
    }
)
"""What ``--preset`` may be."""


@dataclass(frozen=True)
class Setting:
    """Values that were published for some tasks, where they differ from the defaults.

    Attributes:
        source: who published them.
        values: by the name of a hyper-parameter, or of an option of training or of the environment.
        tasks: what a task id must begin with; every task by default.
    """

    source: str
    values: Mapping[str, Any]
    tasks: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Preset:
    """Everything that a run of a method on a task starts with.

    Attributes:
        agent: the method's hyper-parameters.
        training, environment, loop, teaching: options of ``saccade train`` that differ from their defaults; the last
            two of a method that learns from a replay, and from a teacher.
        sources: who published a value, by its name, where that is not the method's own default.
    """

    agent: Any
    training: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    loop: Mapping[str, Any] = field(default_factory=dict)
    teaching: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


ROBOT = "manipulation/"
USUAL_SIDE = 84  # pixels, of the papers' pictures
SMG_PAPER, SGQN_PAPER, SGQN_ROBOT = "SMG paper, table 5", "SGQN paper, table 3", "SGQN's code for the robot"
SCPL_CODE, SADA_CODE = "SCPL's code", "SADA's code"
NOT_PUBLISHED = "not published"

_QUANTILE = (
    Setting(SGQN_PAPER, {"quantile": 0.98}, ("dmc/cartpole", "dmc/ball_in_cup")),
    Setting(f"{NOT_PUBLISHED}; walker's", {"quantile": 0.95}, (ROBOT,)),
)
_SGQN_ON_ROBOT = Setting(
    SGQN_ROBOT, {"augmentation": "random_convolution", "frame_stack": 1, "steps": 250_000}, (ROBOT,)
)
_CONSISTENCY_ON_ROBOT = Setting(SGQN_ROBOT, {"consistency_weight": 1.0}, (ROBOT,))
_STEPS_ON_ROBOT = Setting(SMG_PAPER, {"steps": 250_000}, (ROBOT,))
_LIKE_SMG_ON_ROBOT = Setting(f"{NOT_PUBLISHED}; SMG's", {"steps": 250_000}, (ROBOT,))

SMG_TABLE = ("sac", "drq", "soda", "svea", "srm", "sgqn")
"""The baselines that SMG's authors ran."""

SG_PPO = ("sg_ppo", "sg_ppo_consistency", "sg_ppo_self_supervision")
RED_FETCH_GREEN = "minigrid/red_fetch_green"
FLS_CODE, DIGR_PAPER = "FLS's code", "DIGR paper"
DIGR_AUTHOR = f"the code of DIGR's first author; {NOT_PUBLISHED} in the paper"
DIGR_TASK = "FetchColorEnv of DIGR's first author"
BASELINES_FOR_STATES = "OpenAI's Baselines for MuJoCo, where observations are states"

_PPO_OF_DIGR = (
    Setting(DIGR_PAPER, {"clip_range": 0.2}),
    Setting(
        DIGR_AUTHOR,
        {
            "advantage_normalization": "rollout",
            "value_clip": None,
            "learning_rate_schedule": "constant",
            "adam_epsilon": 1e-8,
        },
    ),
)
"""What DIGR's authors trained every teacher with."""
_BY_TASK = ("rollout_steps", "minibatches", "learning_rate", "discount", "envs", "steps", "frame_stack", "image_size")
DIGR_TEACHERS: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        task: (*_PPO_OF_DIGR, Setting(DIGR_PAPER, dict(zip(_BY_TASK, values, strict=True))))
        for task, values in {
            RED_FETCH_GREEN: (128, 8, 1e-3, 0.99, 16, 10_000_000, 1, 64),
            "atari/Breakout": (128, 4, 2e-4, 0.99, 8, 20_000_000, 2, 84),
            "carla/highway": (1000, 4, 2e-4, 0.999, 1, 1_000_000, 1, 128),
        }.items()
    }
)
"""How DIGR's authors trained the teacher of each of their tasks, by task id: PPO's settings.

Of the pictures' sizes the paper gives the last; 64 follows from its sums over salient pixels, 84 is Atari's usual one.
"""


def _values(settings: tuple[Setting, ...]) -> Mapping[str, Any]:
    return {name: value for setting in settings for name, value in setting.values.items()}


def _on(task: str, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    return tuple(dataclasses.replace(setting, tasks=(task,)) for setting in settings)


PPO_PUBLISHED: tuple[Setting, ...] = (
    Setting(f"{NOT_PUBLISHED}; red_fetch_green's", _values(DIGR_TEACHERS[RED_FETCH_GREEN]), ("minigrid/",)),
    Setting(f"{NOT_PUBLISHED}: greedy play gets stuck", {"evaluation_sampled": True}, ("minigrid/",)),
    Setting(
        f"{NOT_PUBLISHED}: fifty in a run", {"evaluate_every": 200_000, "checkpoint_every": 200_000}, ("minigrid/",)
    ),
    Setting(DIGR_TASK, {"num_actions": 7, "wrong_pick": -1.0}, (RED_FETCH_GREEN,)),
    Setting(
        FLS_CODE,
        {
            "adam": "tensorflow",
            "truncation": "end",
            "envs": 8,
            "steps": 50_000_000,
            "frame_stack": 4,
            "evaluation_sampled": True,
        },
        ("atari/",),
    ),
    Setting(
        f"{NOT_PUBLISHED}: fifty in a run", {"evaluate_every": 1_000_000, "checkpoint_every": 1_000_000}, ("atari/",)
    ),
    *(row for task in (RED_FETCH_GREEN, "carla/highway") for row in _on(task, DIGR_TEACHERS[task])),
    Setting(
        BASELINES_FOR_STATES,
        {
            "rollout_steps": 2048,
            "epochs": 10,
            "minibatches": 32,
            "entropy_weight": 0.0,
            "learning_rate": 3e-4,
            "clip_range": 0.2,
            "value_clip": 0.2,
            "shared_trunk": False,
            "envs": 1,
        },
        ("dmc/", ROBOT),
    ),
)
"""Settings of PPO; some of the tasks are still to come."""

DQN_PAPER, RAINBOW_PAPER = "Mnih et al., 2015", "Hessel et al., 2018"
DQN_PUBLISHED: tuple[Setting, ...] = (
    Setting(
        RAINBOW_PAPER,
        {
            "steps": 50_000_000,
            "frame_stack": 4,
            "random_steps": 20_000,
            "replay_capacity": 1_000_000,
            "update_every": 4,
            "envs": 1,
        },
        ("atari/",),
    ),
    Setting(
        f"{NOT_PUBLISHED}: fifty in a run", {"evaluate_every": 1_000_000, "checkpoint_every": 1_000_000}, ("atari/",)
    ),
    Setting(
        f"{NOT_PUBLISHED}; Atari's for fewer steps",
        {
            "steps": 2_000_000,
            "frame_stack": 1,
            "random_steps": 20_000,
            "replay_capacity": 200_000,
            "update_every": 4,
            "envs": 1,
            "target_every": 2_500,
            "epsilon_share": 0.2,
            "epsilon_end": 0.05,
        },
        ("minigrid/",),
    ),
    Setting(f"{NOT_PUBLISHED}: greedy play gets stuck", {"evaluation_sampled": True}, ("minigrid/",)),
    Setting(f"{NOT_PUBLISHED}: ten in a run", {"evaluate_every": 200_000, "checkpoint_every": 200_000}, ("minigrid/",)),
    Setting(DIGR_TASK, {"num_actions": 7, "wrong_pick": -1.0}, (RED_FETCH_GREEN,)),
)
"""Settings of DQN, and of SG-DQN: what is published is of Atari."""

FLS_PUBLISHED: tuple[Setting, ...] = (
    *PPO_PUBLISHED,
    Setting(f"{NOT_PUBLISHED}; ppo's", {"truncation": "bootstrap"}, ("minigrid/", "dmc/", ROBOT)),
)
"""Settings of FLS: PPO's, which on Atari are its own."""

SADA_SIZES: Mapping[str, Any] = MappingProxyType(
    {
        "conv_layers": 4,
        "projection": 50,
        "batch_size": 256,
        **dict.fromkeys(("critic_lr", "actor_lr", "temperature_lr"), 5e-4),
        "temperature_beta1": 0.9,
        **dict.fromkeys(("actor_every", "target_every"), 1),
        "encoder_target_rate": 1.0,
        "overlay_opacity": 0.5,
    }
)
"""What SADA's authors ran, where it is not as in the benchmark."""

DIGR_TABLE = "DIGR paper, table 3"
_OF_STUDENTS = (
    "distillation_weight",
    "learning_rate",
    "optimizer",
    "replay_capacity",
    "saliency_states",
    "saliency_radius",
)
DIGR_STUDENTS: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        task: (Setting(DIGR_TABLE, {"threshold": 0.1, **dict(zip(_OF_STUDENTS, values, strict=True))}, (task,)),)
        for task, values in {
            RED_FETCH_GREEN: (0.01, 1e-3, "adam", 10_000, 1_000, 4.0),
            "atari/Breakout": (0.01, 1e-3, "adam", 10_000, 10_000, 8.0),
            "carla/highway": (1.0, 2e-4, "rmsprop", 10_000, 2_500, 5.0),
            "driving/highway": (1.0, 2e-4, "rmsprop", 10_000, 2_500, 5.0),
        }.items()
    }
)
"""What DIGR's authors trained their students with, by task id; CARLA's also stand for the highway without CARLA."""

DIGR_PUBLISHED: tuple[Setting, ...] = (
    Setting(
        f"{NOT_PUBLISHED}: the paper gives no length and no batch",
        {"replay_capacity": 10_000, "random_steps": 64, "update_every": 1, "envs": 16, "steps": 100_000},
    ),
    Setting(f"{NOT_PUBLISHED}: greedy play gets stuck", {"evaluation_sampled": True}, ("minigrid/", "atari/")),
    Setting(DIGR_PAPER, {"frame_stack": 1}, ("minigrid/", "driving/", "carla/")),
    Setting(DIGR_PAPER, {"frame_stack": 2}, ("atari/Breakout",)),
    Setting(DIGR_TASK, {"num_actions": 7, "wrong_pick": -1.0}, (RED_FETCH_GREEN,)),
    *(setting for settings in DIGR_STUDENTS.values() for setting in settings),
    Setting(f"{NOT_PUBLISHED}: places closer than the spots are wide", {"saliency_stride": 7}, ("atari/",)),
)
"""Settings of DIGR."""

DISTILLATION_PUBLISHED: tuple[Setting, ...] = (*DIGR_PUBLISHED, Setting("the only term", {"distillation_weight": 1.0}))
"""Settings of distillation alone: DIGR's, with a weight that makes no difference to Adam's steps."""

PUBLISHED: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        **dict.fromkeys(SMG_TABLE, (_STEPS_ON_ROBOT,)),
        "sgqn": (*_QUANTILE, _SGQN_ON_ROBOT, _CONSISTENCY_ON_ROBOT),
        "sac_consistency": (*_QUANTILE, _SGQN_ON_ROBOT, _CONSISTENCY_ON_ROBOT),
        "sac_self_supervision": (*_QUANTILE, _SGQN_ON_ROBOT),
        "ppo": PPO_PUBLISHED,
        "fls": FLS_PUBLISHED,
        "digr": DIGR_PUBLISHED,
        "distillation": DISTILLATION_PUBLISHED,
        **dict.fromkeys(SG_PPO, PPO_PUBLISHED),
        **dict.fromkeys(("dqn", "sg_dqn"), DQN_PUBLISHED),
        "scpl": (Setting(SCPL_CODE, {"action_repeat": 2}, ("dmc/walker",)), _LIKE_SMG_ON_ROBOT),
        "sada": (
            Setting(SADA_CODE, SADA_SIZES),
            Setting(SADA_CODE, {"action_repeat": 2}, ("dmc/",)),
            _LIKE_SMG_ON_ROBOT,
        ),
        "smg": (
            Setting("SMG's code", {"batch_size": 64, "projection": 256}),
            Setting("SMG paper", {"mask_ratio": 0.04}, ("dmc/cartpole", "dmc/finger")),
            Setting(SMG_PAPER, {"mask_ratio": 0.12, "steps": 250_000}, (ROBOT,)),
            Setting(SMG_PAPER, {"steps": 250_000}, ("dmc/walker_stand",)),
        ),
    }
)
"""Settings of a method's own paper, by method; the others run with their defaults, on the robot as long as SMG's."""

PPO_SMALL: tuple[Setting, ...] = (
    Setting(
        NOT_PUBLISHED,  # 97 % of the objects fetched are green after 457,000 steps, where a wrong one costs nothing
        {
            "filters": (16, 32, 32),
            "hidden": 128,
            "envs": 16,
            "rollout_steps": 128,
            "minibatches": 8,
            "steps": 512_000,
            "evaluate_every": 128_000,
            "evaluation_episodes": 50,
            "checkpoint_every": 128_000,
        },
        ("minigrid/",),
    ),
    Setting(
        f"{NOT_PUBLISHED}: with seven actions and a wrong object at -1 it learns for long not to pick anything up",
        {"num_actions": 4, "wrong_pick": 0.0},
        (RED_FETCH_GREEN,),
    ),
    Setting(
        NOT_PUBLISHED,
        {
            "network": "small",
            "image_size": 40,
            "filters": (16, 32, 32),
            "hidden": 128,
            "envs": 8,
            "rollout_steps": 128,
            "epochs": 4,
            "minibatches": 4,
            "shared_trunk": True,
            "steps": 204_800,
            "evaluate_every": 51_200,
            "checkpoint_every": 51_200,
        },
        ("dmc/", ROBOT),
    ),
    Setting(
        f"{NOT_PUBLISHED}: with the published 2.5e-4 so few updates teach next to nothing",
        {"learning_rate": 1e-3},
        ("atari/",),
    ),
    Setting(
        NOT_PUBLISHED,  # Breakout rises from 1 to about 11 points
        {
            "filters": (16, 32, 32),
            "hidden": 128,
            "envs": 8,
            "rollout_steps": 128,
            "minibatches": 4,
            "steps": 307_200,
            "evaluate_every": 51_200,
            "evaluation_episodes": 10,
            "checkpoint_every": 51_200,
        },
        ("atari/",),
    ),
)
"""What ``small`` says of PPO, on top of what is published for a task."""

DQN_SMALL: tuple[Setting, ...] = (
    Setting(
        NOT_PUBLISHED,
        {
            "filters": (16, 32, 32),
            "hidden": 128,
            "batch_size": 32,
            "learning_rate": 5e-4,
            "n_steps": 3,
            "target_every": 500,
            "epsilon_share": 0.4,
            "epsilon_end": 0.05,
            "random_steps": 2_000,
            "replay_capacity": 50_000,
            "update_every": 4,
            "envs": 8,
        },
    ),
    Setting(
        NOT_PUBLISHED,
        {"steps": 256_000, "evaluate_every": 64_000, "evaluation_episodes": 50, "checkpoint_every": 64_000},
        ("minigrid/",),
    ),
    Setting(
        f"{NOT_PUBLISHED}: with seven actions and a wrong object at -1 it learns for long not to pick anything up",
        {"num_actions": 4, "wrong_pick": 0.0},
        (RED_FETCH_GREEN,),
    ),
    Setting(
        NOT_PUBLISHED,
        {"steps": 256_000, "evaluate_every": 64_000, "evaluation_episodes": 10, "checkpoint_every": 64_000},
        ("atari/",),
    ),
)
"""What ``small`` says of DQN and SG-DQN, on top of what is published for a task."""

FLS_SMALL: tuple[Setting, ...] = (*PPO_SMALL, Setting(NOT_PUBLISHED, {"attention_filters": 64}))
"""What ``small`` says of FLS, on top of what is published for a task."""

DIGR_SMALL: tuple[Setting, ...] = (
    Setting(
        # With the published weight of 0.01 students of this size hardly come to act as their teachers do.
        NOT_PUBLISHED,
        {
            "filters": (16, 32, 32),
            "hidden": 128,
            "distillation_weight": 1.0,
            "batch_size": 64,
            "envs": 16,
            "update_every": 16,
            "random_steps": 1_024,
            "steps": 40_000,
            "evaluate_every": 8_000,
            "evaluation_episodes": 50,
            "checkpoint_every": 8_000,
        },
    ),
    Setting(f"{NOT_PUBLISHED}: as its small teacher", {"num_actions": 4, "wrong_pick": 0.0}, (RED_FETCH_GREEN,)),
    Setting(f"{NOT_PUBLISHED}: as its small teacher", {"network": "small", "image_size": 40}, ("dmc/", ROBOT)),
    Setting(NOT_PUBLISHED, {"saliency_states": 1_000, "evaluation_episodes": 10}, ("atari/",)),
)
"""What ``small`` says of students, on top of what is published for a task: PPO's small networks."""

SMALL_SETTINGS: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        "ppo": PPO_SMALL,
        "fls": FLS_SMALL,
        **dict.fromkeys(SG_PPO, PPO_SMALL),
        **dict.fromkeys(("dqn", "sg_dqn"), DQN_SMALL),
        **dict.fromkeys(("digr", "distillation"), DIGR_SMALL),
    }
)
"""What ``small`` says of single methods, on top of ``SMALL_VALUES``."""

SMG_RERUN: Mapping[tuple[str, ...], Mapping[str, Any]] = MappingProxyType(
    {
        # Of SRM, whose authors change both observations, SMG's authors changed the first alone.
        ("",): {"batch_size": 64, "projection": 256, "augment_next_obs": False},
        (ROBOT, "dmc/walker_stand"): {"steps": 250_000},
    }
)
"""How SMG's authors ran their baselines, by what a task id begins with: smaller batches and a wider embedding."""

SMALL = Architecture(image_size=40, filters=16, conv_layers=3, projection=50, hidden=128)
"""The ``small`` preset's networks, for CPUs: a picture takes a 55th of the encoder's multiplications."""
SMALL_VALUES: Mapping[str, Any] = MappingProxyType(
    {
        "architecture": SMALL,
        "batch_size": 24,
        "soda_batch_size": 24,
        "rendered_size": 48,
        "decoder_filters": (16, 8),
        "masker_filters": 8,
        "dynamics_hidden": 64,
        "stem_filters": 8,
        "shift": 2,  # as much of the picture as the published 4 of 84 pixels, and the overlay's 6
        "overlay_velocity": 3,
        "far_shift": 8,
        # Lower than published: in some thousand updates the published 0.1 hardly falls, and exploring outweighs the
        # task.
        "initial_temperature": 0.01,
    }
)


SMALL_TRAINING: Mapping[str, Any] = MappingProxyType(
    {"steps": 20_000, "evaluate_every": 5_000, "evaluation_episodes": 5, "checkpoint_every": 5_000}
)
"""What the ``small`` preset says of a run beside its networks: a length and evaluations for a CPU. How a task is shown
then is the suite's to say (``fast``)."""


def preset(name: str, task: str, size: str = "paper") -> Preset:
    """What a method starts with on a task. ``size``: one of ``SIZES``. Raises UserError for another one."""
    if size not in SIZES:
        *names, last = SIZES
        raise UserError(f"There is no preset {size!r}: use --preset {', '.join(names)} or {last}.")
    if is_own(name) and size == "smg_rerun":
        raise UserError("--preset smg_rerun is of methods that others have run: use paper or small for your own.")
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
                continue  # a value that other methods have
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
    if usual != USUAL_SIDE:  # a suite whose pictures come in sizes of its own
        agent, _ = _replaced(agent, {"image_size": usual})
    return Preset(agent, training, environment, loop, teaching, sources)


OF_TRAINING = ("steps", "envs", "evaluate_every", "evaluation_episodes", "evaluation_sampled", "checkpoint_every")
OF_ENVIRONMENT = ("frame_stack", "action_repeat", "num_actions", "wrong_pick")
OF_LOOP = ("random_steps", "replay_capacity", "update_every")
OF_TEACHING = ("saliency_states", "saliency_radius", "saliency_blur", "saliency_stride")
"""Names of values that are not the method's: options of training, of the environment, of the replay, of a teacher."""


def _settings(name: str, task: str, size: str) -> Iterator[Setting]:
    if is_own(name):  # its own defaults are all that there is
        return iter(())
    own = PUBLISHED.get(name, (_LIKE_SMG_ON_ROBOT,))
    if size == "smg_rerun" and name != "smg":
        # What SGQN's authors ran on their robot is not what SMG's authors ran there.
        own = tuple(setting for setting in own if setting.source != SGQN_ROBOT)
        source = "SMG's code" if name in SMG_TABLE else f"SMG's sizes, {NOT_PUBLISHED}"
        own += tuple(Setting(source, values, tasks) for tasks, values in SMG_RERUN.items())
    return (setting for setting in own if task.startswith(setting.tasks))


def _replaced(config: Any, values: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """The configuration with every field of these names replaced, nested ones too, and the names that it has."""
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
