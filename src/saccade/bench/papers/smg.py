"""Tables of SMG (Zhang et al., NeurIPS 2024): what was read of them, and the grids that run them."""

from __future__ import annotations

from saccade.bench.grids import Arm, Evaluating, Grid
from saccade.bench.papers.sgqn import (
    ALL_TESTS,
    CARTPOLE,
    CHEETAH,
    FINGER,
    OVERLAYS,
    PEG,
    REACH,
    SMALL_CONTROL,
    SMALL_ROBOT,
    STAND,
    VIDEO,
    WALK,
)
from saccade.bench.published import HOURS, TRAIN, Published, Table, across, down

PAPER = "SMG (Zhang et al., 2024)"
FIVE = (CARTPOLE, FINGER, STAND, WALK, CHEETAH)
RERUN = f"{PAPER}, which ran it again"
PROTOCOL = "500,000 agent steps (walker_stand 250,000), batches of 64, 4 seeds of 5 evaluations"
PLACED = "The numbers were read without the number of their table: they are placed here by what they are."
NOT_READ = "its numbers: not read"

TABLES: tuple[Table, ...] = (
    Table(
        "smg-table-1",
        PAPER,
        "Control Suite, videos behind the agent",
        (
            *across("smg", "video_easy", FIVE, "839 952 961 904 348", PAPER),
            *across("smg", "video_hard", FIVE, "764±32 910±61 955±9 814±51 303±46", PAPER),
            *across("sgqn", "video_easy", FIVE, "717 860 949 830 308", RERUN),
            *across("sgqn", "video_hard", FIVE, "599±112 710±159 870±78 634±136 135±44", RERUN),
        ),
        protocol=PROTOCOL,
        missing=("the other baselines, and spreads in video_easy: not read",),
        remarks=(PLACED,),
    ),
    Table(
        "smg-table-2",
        PAPER,
        "Robot: reach and peg in box",
        (
            *down("sgqn", REACH, {"five_tests": "21"}, RERUN),
            *down("smg", REACH, {"five_tests": "29"}, PAPER),
            *down("sgqn", PEG, {TRAIN: "232", "all": "66"}, RERUN),
            *down("smg", PEG, {TRAIN: "237", "all": "234"}, PAPER),
        ),
        protocol="250,000 agent steps; `five_tests` is the mean of tests 1 to 5, `all` of the training mode and them",
        missing=("each test on its own, and the other baselines: not read",),
        remarks=(PLACED, "On reach, training returns are 30 to 33."),
    ),
    Table(
        "smg-table-3",
        PAPER,
        "Ablation: what is lost on average in video_hard, in per cent",
        tuple(
            Published(f"smg-without-{what}", "dmc", "drop", "video_hard", value, None, PAPER)
            for what, value in {
                "foreground": 15,
                "inverse_dynamics": 22,
                "background": 23,
                "mask_ratio": 30,
                "value_consistency": 56,
            }.items()
        ),
        protocol=PROTOCOL,
        missing=("returns by task: not read",),
        remarks=(PLACED,),
    ),
    Table(
        "smg-table-4",
        PAPER,
        "Hours of a run",
        tuple(
            Published(arm, "dmc", HOURS, "", hours, None, f"{PAPER}, table 4")
            for arm, hours in {"srm": 8, "sac": 10, "soda": 12, "svea": 12, "sgqn": 12, "drq": 13, "smg": 22}.items()
        ),
        protocol="500,000 agent steps, batches of 64; 64-core EPYC 7B12, 8 RTX 3090",
    ),
    Table(
        "smg-table-5",
        PAPER,
        "Settings: they are the preset `smg_rerun`, and SMG's `paper`",
        tuple(
            Published("smg", task, "action_repeat", "", value, None, f"{PAPER}, table 5")
            for task, value in {CARTPOLE: 8, WALK: 4, STAND: 4, CHEETAH: 4, FINGER: 2, REACH: 1, PEG: 1}.items()
        ),
    ),
    Table(
        "smg-table-6",
        PAPER,
        "Control Suite without distractions and with other colours",
        (
            *across("smg", TRAIN, FIVE, "858 961 964 924 357", PAPER),
            *across("sgqn", TRAIN, FIVE, "805 922 952 876 343", RERUN),
            *across("sac", TRAIN, FIVE, "186 306 630 422 311", RERUN),
            *across("smg", "color_hard", FIVE, "726 841 878 739 299", PAPER),
            *across("sgqn", "color_hard", FIVE, "636 700 788 632 210", RERUN),
            *across("svea", "color_hard", FIVE, "752 868 799 571 238", RERUN),
            *across("sac", "color_hard", FIVE, "184 271 526 379 208", RERUN),
        ),
        protocol=PROTOCOL,
        missing=("spreads, color_easy, and the other baselines: not read",),
        remarks=(PLACED, "SAC on cartpole is 186 here and 861±9 in SGQN's table 2."),
    ),
    Table(
        "smg-table-7",
        PAPER,
        "The masks' share of the picture, walker_walk",
        tuple(
            Published(f"smg-{share}", WALK, "return", "mean", value, None, PAPER)
            for share, value in {"0.02": 800, "0.04": 857, "0.06": 859, "0.08": 823, "0.10": 793}.items()
        ),
        protocol="mean over modes",
        remarks=(PLACED,),
    ),
    Table("smg-table-8", PAPER, "Further results", missing=(f"its title and {NOT_READ}",)),
    Table("smg-table-9", PAPER, "Further results", missing=(f"its title and {NOT_READ}",)),
)

ARMS = tuple(Arm(name, name) for name in ("sac", "drq", "soda", "svea", "srm", "sgqn", "smg"))
DRAWN = "Each seed is evaluated once, with 100 episodes a mode, where the paper evaluates it five times."
WITHOUT = {
    "foreground": "foreground_weight",
    "inverse_dynamics": "inverse_dynamics_weight",
    "background": "background_weight",
    "mask_ratio": "mask_ratio_weight",
    "value_consistency": "q_consistency_weight",
}
"""What the ablation leaves out -> the weight that is 0 then."""
FOUR_SEEDS = (0, 1, 2, 3)
RATIOS = (0.02, 0.04, 0.06, 0.08, 0.10)

GRIDS: tuple[Grid, ...] = (
    Grid(
        "smg-table-1",
        "SMG and the baselines as its authors ran them, videos behind the agent",
        ARMS,
        FIVE,
        FOUR_SEEDS,
        PAPER,
        "smg_rerun",
        evaluation=Evaluating(VIDEO, 100),
        forms={"small": SMALL_CONTROL},
        published=("smg-table-1",),
        deviations=(OVERLAYS, DRAWN),
    ),
    Grid(
        "smg-table-2",
        "SMG and the baselines as its authors ran them, with the robot",
        ARMS,
        (REACH, PEG),
        FOUR_SEEDS,
        PAPER,
        "smg_rerun",
        evaluation=Evaluating(ALL_TESTS, 100),
        forms={"small": SMALL_ROBOT},
        published=("smg-table-2",),
        assumptions=("Actions move the gripper in x and y; which ones the paper's peg in box has cannot be told.",),
        deviations=(OVERLAYS, DRAWN, "The robot and its table tops are our own, as in sgqn-table-6."),
    ),
    Grid(
        "smg-table-3",
        "SMG without one of its losses",
        (
            Arm("smg", "smg"),
            *(Arm(f"smg-without-{name}", "smg", {weight: 0.0}) for name, weight in WITHOUT.items()),
        ),
        FIVE,
        FOUR_SEEDS,
        PAPER,
        "smg_rerun",
        evaluation=Evaluating(VIDEO, 100),
        forms={"small": SMALL_CONTROL},
        subject="smg",
        published=("smg-table-3", "smg-table-1"),
        deviations=(OVERLAYS, DRAWN),
    ),
    Grid(
        "smg-table-6",
        "SMG and the baselines as its authors ran them, without distractions and with other colours",
        ARMS,
        FIVE,
        FOUR_SEEDS,
        PAPER,
        "smg_rerun",
        evaluation=Evaluating((TRAIN, "color_easy", "color_hard"), 100),
        forms={"small": SMALL_CONTROL},
        published=("smg-table-6",),
        deviations=(OVERLAYS, DRAWN),
    ),
    Grid(
        "smg-table-7",
        "SMG by the share of the picture that its masks shall cover",
        tuple(Arm(f"smg-{ratio:.2f}", "smg", {"mask_ratio": ratio}) for ratio in RATIOS),
        (WALK,),
        FOUR_SEEDS,
        PAPER,
        "smg_rerun",
        evaluation=Evaluating((TRAIN, "color_easy", "color_hard", "video_easy", "video_hard"), 100),
        forms={"small": SMALL_CONTROL},
        published=("smg-table-7",),
        deviations=(OVERLAYS, DRAWN),
    ),
)
