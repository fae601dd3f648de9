"""Saliency guidance where actions are chosen: an experiment of this package, without a paper's table beside it."""

from __future__ import annotations

from saccade.bench.grids import Arm, Evaluating, Form, Grid, Scoring
from saccade.bench.published import TRAIN

TASKS = ("minigrid/red_fetch_green", "minigrid/DoorKey-5x5")
MODES = (TRAIN, "palette", "noise", "texture")
WATCHED = {"evaluation_maps": 200}
"""Of what carries maps: how well these find the task, along training."""

GRIDS: tuple[Grid, ...] = (
    Grid(
        "saliency-guidance",
        "Whether saliency guidance helps PPO and DQN on grid worlds, between an oracle's masks and random ones",
        (
            Arm("ppo", "ppo"),
            Arm("sg_ppo", "sg_ppo", WATCHED),
            Arm("sg_ppo_consistency", "sg_ppo_consistency", WATCHED, about="without the mask's prediction"),
            Arm("sg_ppo_self_supervision", "sg_ppo_self_supervision", WATCHED, about="without the consistency"),
            Arm("dqn", "dqn"),
            Arm("sg_dqn", "sg_dqn", WATCHED),
            Arm("oracle", "sg_ppo", {"mask": "oracle", **WATCHED}, about="the simulator's own masks: the ceiling"),
            Arm("random", "sg_ppo", {"mask": "random", **WATCHED}, about="random masks of the same size: the floor"),
        ),
        TASKS,
        (0, 1, 2, 3, 4),
        "this package: the perspective that SGQN's paper leaves open",
        evaluation=Evaluating(MODES, 100, sampled=True),
        scores=Scoring(("gradient", "guided_backpropagation"), (TRAIN,), {"frames": 64, "sanity_frames": 0}),
        forms={
            "small": Form(
                "small networks",
                {"evaluation_modes": MODES},
                evaluation=Evaluating(MODES, 50, sampled=True),
            )
        },
        subject="sg_ppo",
        assumptions=("There are no published numbers: nobody has built these methods.",),
    ),
)
