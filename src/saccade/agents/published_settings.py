"""What each paper used on each task, where that differs from its method's defaults, with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Values that were published for some tasks, where they differ from the defaults.

    Attributes:
        source: where they were published.
        values: by the name of a hyper-parameter, or of an option of training or of the environment.
        tasks: prefixes of the task ids they apply to; every task by default.
    """

    source: str
    values: Mapping[str, Any]
    tasks: tuple[str, ...] = ("",)


ROBOT = "manipulation/"
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
LIKE_SMG_ON_ROBOT = Setting(f"{NOT_PUBLISHED}; SMG's", {"steps": 250_000}, (ROBOT,))

SMG_TABLE = ("sac", "drq", "soda", "svea", "srm", "sgqn")
"""The baselines that SMG's authors ran."""

SG_PPO = ("sg_ppo", "sg_ppo_consistency", "sg_ppo_self_supervision")
RED_FETCH_GREEN, HIGHWAY = "minigrid/red_fetch_green", "driving/highway"
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
DIGR_ON_CARLA = f"DIGR paper, of CARLA; {NOT_PUBLISHED} of this task"
_OF_CARLA = (1000, 4, 2e-4, 0.999, 1, 1_000_000, 1, 128)
DIGR_TEACHERS: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        task: (*_PPO_OF_DIGR, Setting(source, dict(zip(_BY_TASK, values, strict=True))))
        for task, source, values in (
            (RED_FETCH_GREEN, DIGR_PAPER, (128, 8, 1e-3, 0.99, 16, 10_000_000, 1, 64)),
            ("atari/Breakout", DIGR_PAPER, (128, 4, 2e-4, 0.99, 8, 20_000_000, 2, 84)),
            ("carla/highway", DIGR_PAPER, _OF_CARLA),
            (HIGHWAY, DIGR_ON_CARLA, _OF_CARLA),
        )
    }
)
"""How DIGR's authors trained the teacher of each of their tasks, by task id: PPO's settings.

CARLA's are also used for the highway without CARLA, marked as such.
Of the picture sizes the paper gives only the last; 64 follows from its sums over salient pixels, 84 is usual for Atari.
"""

_REWARDED_AS_DIGR = Setting(DIGR_TASK, {"num_actions": 7, "wrong_pick": -1.0}, (RED_FETCH_GREEN,))
_DRAWN_ON_GRIDS = Setting(f"{NOT_PUBLISHED}: greedy play gets stuck", {"evaluation_sampled": True}, ("minigrid/",))
_EVALUATED_ON_ATARI = Setting(
    f"{NOT_PUBLISHED}: fifty in a run", {"evaluate_every": 1_000_000, "checkpoint_every": 1_000_000}, ("atari/",)
)

ONE_ON_CARLA = Setting(f"{NOT_PUBLISHED}: a server drives one environment", {"envs": 1}, ("carla/",))


def _values(settings: tuple[Setting, ...]) -> Mapping[str, Any]:
    return {name: value for setting in settings for name, value in setting.values.items()}


def _on(task: str, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    return tuple(dataclasses.replace(setting, tasks=(task,)) for setting in settings)


PPO_PUBLISHED: tuple[Setting, ...] = (
    Setting(f"{NOT_PUBLISHED}; red_fetch_green's", _values(DIGR_TEACHERS[RED_FETCH_GREEN]), ("minigrid/",)),
    _DRAWN_ON_GRIDS,
    Setting(
        f"{NOT_PUBLISHED}: fifty in a run", {"evaluate_every": 200_000, "checkpoint_every": 200_000}, ("minigrid/",)
    ),
    _REWARDED_AS_DIGR,
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
    _EVALUATED_ON_ATARI,
    Setting(f"{NOT_PUBLISHED}: twenty in a run", {"evaluate_every": 50_000, "checkpoint_every": 50_000}, (HIGHWAY,)),
    *(row for task in (RED_FETCH_GREEN, "carla/highway", HIGHWAY) for row in _on(task, DIGR_TEACHERS[task])),
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
"""Settings of PPO."""

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
    _EVALUATED_ON_ATARI,
    Setting(
        # Atari's epsilon of Adam outweighs the gradients of a reward that comes once in an episode: on DoorKey, in the
        # small preset, no episode is a success after 131,000 steps, and with PyTorch's own 98 % are.
        f"{NOT_PUBLISHED}; Atari's for fewer steps, with PyTorch's epsilon of Adam",
        {
            "adam_epsilon": 1e-8,
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
    _DRAWN_ON_GRIDS,
    Setting(f"{NOT_PUBLISHED}: ten in a run", {"evaluate_every": 200_000, "checkpoint_every": 200_000}, ("minigrid/",)),
    _REWARDED_AS_DIGR,
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
"""What SADA's authors used where it differs from the benchmark."""

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
        task: (Setting(source, {"threshold": 0.1, **dict(zip(_OF_STUDENTS, values, strict=True))}, (task,)),)
        for task, source, values in (
            (RED_FETCH_GREEN, DIGR_TABLE, (0.01, 1e-3, "adam", 10_000, 1_000, 4.0)),
            ("atari/Breakout", DIGR_TABLE, (0.01, 1e-3, "adam", 10_000, 10_000, 8.0)),
            ("carla/highway", DIGR_TABLE, (1.0, 2e-4, "rmsprop", 10_000, 2_500, 5.0)),
            (HIGHWAY, DIGR_ON_CARLA, (1.0, 2e-4, "rmsprop", 10_000, 2_500, 5.0)),
        )
    }
)
"""What DIGR's authors trained their students with, by task id; CARLA's also stand for the highway without CARLA."""

DIGR_PUBLISHED: tuple[Setting, ...] = (
    Setting(
        f"{NOT_PUBLISHED}: the paper gives no length and no batch",
        {"replay_capacity": 10_000, "random_steps": 64, "update_every": 1, "envs": 16, "steps": 100_000},
    ),
    Setting(f"{NOT_PUBLISHED}: greedy play gets stuck", {"evaluation_sampled": True}, ("minigrid/", "atari/")),
    Setting(DIGR_PAPER, {"frame_stack": 1}, ("minigrid/", "carla/")),
    Setting(DIGR_ON_CARLA, {"frame_stack": 1}, ("driving/",)),
    Setting(DIGR_PAPER, {"frame_stack": 2}, ("atari/Breakout",)),
    _REWARDED_AS_DIGR,
    *(setting for settings in DIGR_STUDENTS.values() for setting in settings),
    Setting(f"{NOT_PUBLISHED}: places closer than the spots are wide", {"saliency_stride": 7}, ("atari/",)),
    ONE_ON_CARLA,
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
        "scpl": (Setting(SCPL_CODE, {"action_repeat": 2}, ("dmc/walker",)), LIKE_SMG_ON_ROBOT),
        "sada": (
            Setting(SADA_CODE, SADA_SIZES),
            Setting(SADA_CODE, {"action_repeat": 2}, ("dmc/",)),
            LIKE_SMG_ON_ROBOT,
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

SMG_RERUN: Mapping[tuple[str, ...], Mapping[str, Any]] = MappingProxyType(
    {
        # Of SRM, whose authors change both observations, SMG's authors changed the first alone.
        ("",): {"batch_size": 64, "projection": 256, "augment_next_obs": False},
        (ROBOT, "dmc/walker_stand"): {"steps": 250_000},
    }
)
"""How SMG's authors ran their baselines, by what a task id begins with: smaller batches and a wider embedding."""
