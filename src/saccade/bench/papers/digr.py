"""DIGR (Xing et al.) on Red-Fetch-Green: table 1, figures 8 and 9, and the grid that runs all of it."""

from __future__ import annotations

from saccade.bench.grids import Arm, Attacking, Evaluating, Form, Grid, Scoring
from saccade.bench.published import TRAIN, Published, Table

PAPER = "DIGR (Xing et al.)"
TASK = "minigrid/red_fetch_green"
TEACHER, DISTILLATION, DIGR, MASS = "teacher", "distillation", "digr", "digr-mass"
IMPORTANT, UNIMPORTANT, AUC = "important_sum", "unimportant_sum", "area_under_roc"
T1 = f"{PAPER}, table 1"
ROWS = {
    "gradient": (56.04, 278.10, 0.840),
    "guided_backpropagation": (82.84, 35.67, 0.993),
    "grad_cam": (43.12, 364.97, 0.686),
    "guided_smoothgrad": (83.05, 84.76, 0.991),
    "integrated_gradients": (67.79, 232.09, 0.900),
    "perturbation_kl": (86.11, 77.81, 0.989),
    "sarfa": (58.40, 42.17, 0.895),
}
"""The teacher's saliency methods -> sums of saliency over important and unimportant pixels, and the area under ROC."""
STUDENT = (72.52, 0.00, 0.997)
"""The same of DIGR's student and its plain gradient."""


def _three(arm: str, method: str, numbers: tuple[float, float, float]) -> tuple[Published, ...]:
    return tuple(
        Published(arm, TASK, f"{metric}:{method}", TRAIN, value, None, T1)
        for metric, value in zip((IMPORTANT, UNIMPORTANT, AUC), numbers, strict=True)
    )


TABLES: tuple[Table, ...] = (
    Table(
        "digr-table-1",
        PAPER,
        "Red-Fetch-Green: how much of each map lies where it should",
        (
            *(row for method, numbers in ROWS.items() for row in _three(TEACHER, method, numbers)),
            *_three(DIGR, "gradient", STUDENT),
        ),
        protocol="10,000 states, maps divided by their maximum; important: the agent and the green object, "
        "unimportant: empty cells; one teacher whose success is 100 %",
        missing=("no spread is printed",),
        remarks=(
            "Where the paper has one student that learned with the maximum as the divisor of its maps, here are two: "
            "with the maximum, and with the mass of the map.",
        ),
    ),
    Table(
        "digr-figure-8",
        PAPER,
        "Red-Fetch-Green: return under attacks",
        protocol="50 runs, mean and standard deviation; PPO, distillation alone, DIGR",
        missing=("budgets, steps and returns are in the picture alone: not read",),
    ),
    Table(
        "digr-figure-9",
        PAPER,
        "Red-Fetch-Green: learning curves of the student",
        missing=("the curves are in the picture alone: not read",),
    ),
    Table(
        "digr-timing",
        PAPER,
        "Seconds of a map of 128 pixels in CARLA",
        (
            Published(DIGR, "carla/highway", "seconds:gradient", TRAIN, 0.0021, 0.0001, f"{PAPER}, text"),
            Published(TEACHER, "carla/highway", "seconds:perturbation_kl", TRAIN, 0.97, 0.02, f"{PAPER}, text"),
        ),
        protocol="RTX 2080 Ti, i7-9750H, one map at a time",
    ),
)

ATTACKS = ("fgsm", "pgd", "mi_fgsm", "mad")
BUDGETS = (0, 1, 2, 4, 8, 12, 16)

GRIDS: tuple[Grid, ...] = (
    Grid(
        "digr-red-fetch-green",
        "DIGR on Red-Fetch-Green: teacher, data, students, table 1 and the attacks of figure 8",
        (
            Arm(TEACHER, "ppo", about="PPO, as table 2 of the paper has it"),
            Arm(DISTILLATION, "distillation", teacher=TEACHER, about="the student without the gradient's term"),
            Arm(
                DIGR, "digr", {"normalisation": "maximum"}, TEACHER, about="maps divided by their maximum, as published"
            ),
            Arm(MASS, "digr", {"normalisation": "mass"}, TEACHER, about="maps divided by their sum"),
        ),
        (TASK,),
        (0, 1, 2),
        f"{PAPER}, table 1, figures 8 and 9",
        evaluation=Evaluating((TRAIN,), 50, sampled=True),
        scores=Scoring((), (TRAIN,), {"truth_states": 10_000}),
        attacks=Attacking(ATTACKS, BUDGETS, 50, {"sampled": True}),
        forms={
            "small": Form(
                "small networks, a teacher of 512,000 steps with four actions and nothing lost by a wrong pick",
                scores=Scoring((), (TRAIN,), {"truth_states": 1_000}),
                attacks=Attacking(ATTACKS, BUDGETS, 20, {"sampled": True}),
            )
        },
        subject=DIGR,
        published=("digr-table-1", "digr-figure-8", "digr-figure-9"),
        assumptions=(
            "Batches of 64, and one update for each step of an environment: neither is in the paper.",
            "A colour picture has one map: the largest of its channels.",
            "Budgets of 255 and ten steps of every attack: the paper's are in its figure alone.",
            "8 pixels a cell, an object costs or earns 1, and no other end than 320 steps: from the author's code.",
        ),
        deviations=(
            "digr-mass divides maps by their sum: with the maximum the loss has a degenerate best, one bright pixel.",
        ),
    ),
)
