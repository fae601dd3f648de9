"""Tables of Free-Lunch Saliency (Nikulin et al., 2019): what was read of them, and the grids that run them."""

from __future__ import annotations

from saccade.bench.grids import Arm, Evaluating, Form, Grid
from saccade.bench.published import PARAMETERS, TRAIN, Published, Table, across

PAPER = "Free-Lunch Saliency (Nikulin et al., 2019)"
GAMES = tuple(f"atari/{name}" for name in ("Breakout", "Enduro", "MsPacman", "Seaquest", "SpaceInvaders"))
FIVE_SEEDS = (1, 9, 17, 25, 33)

TABLES: tuple[Table, ...] = (
    Table(
        "fls-table-2",
        PAPER,
        "Parameters of each architecture, with the four actions of Breakout",
        tuple(
            Published(arm, GAMES[0], PARAMETERS, "", value, None, f"{PAPER}, table 2")
            for arm, value in {
                "nature": 1_686_693,
                "daqn": 130_726,
                "rs-ppo": 1_720_999,
                "fls": 1_836_710,
                "fls-pool": 263_846,
                "fls-h1": 1_762_982,
                "fls-x3": 2_063_016,
                "dense-fls": 280_358,
            }.items()
        ),
        protocol="counted; policy and value heads included",
    ),
    Table(
        "fls-table-4",
        PAPER,
        "Normalised scanpath saliency: how salient what people looked at is, in standard deviations",
        (
            *across("daqn", TRAIN, GAMES, "1.344 .586 .881 .334 1.899", PAPER, "nss:attention"),
            *across("rs-ppo", TRAIN, GAMES, ".947 .922 .943 .955 1.775", PAPER, "nss:attention"),
            *across("fls", TRAIN, GAMES, ".510 1.588 .631 .556 1.664", PAPER, "nss:attention"),
            *across("fls-pool", TRAIN, GAMES, ".747 .251 .621 .286 1.569", PAPER, "nss:attention"),
            *across("dense-fls", TRAIN, GAMES, "1.385 .629 -.136 .797 -.230", PAPER, "nss:attention"),
        ),
        protocol="50 million agent steps, 5 seeds; Atari-HEAD version 2",
        missing=("spreads, the other metrics and the other architectures: not read",),
        remarks=(
            "The numbers were read without the number of their table: they are placed here by what they are.",
            "Its table 3, returns, was empty in what was read.",
        ),
    ),
    Table(
        "fls-table-5",
        PAPER,
        "Further architectures and metrics against people's gaze",
        missing=("all of its numbers: not read",),
    ),
)

ATTENTION = {
    "nature": "none",
    "daqn": "daqn",
    "rs-ppo": "rsppo",
    "fls": "sparse",
    "fls-pool": "sparse_sumpool",
    "fls-norm": "sparse_norm",
    "fls-h1": "sparse_after_first",
    "fls-x3": "sparse_after_each",
    "dense-fls": "dense",
}
"""Rows of the paper's tables -> ``--attention``."""
ARMS = tuple(Arm(name, "fls", {"attention": attention}) for name, attention in ATTENTION.items())
COMPARED = ("daqn", "rs-ppo", "fls", "fls-pool", "dense-fls")
EMULATOR = "The emulator's and its wrappers' differences are those that docs/how-to/train-on-atari.md tells."

GRIDS: tuple[Grid, ...] = (
    Grid(
        "fls-table-4",
        "Free-Lunch Saliency and other attention on five games; score it with `saccade score --gaze` afterwards",
        tuple(arm for arm in ARMS if arm.name in COMPARED),
        GAMES,
        FIVE_SEEDS,
        PAPER,
        evaluation=Evaluating((TRAIN,), 512, sampled=True),
        forms={
            "small": Form(
                "small networks and 307,200 agent steps, on Breakout alone",
                tasks=GAMES[:1],
                seeds=FIVE_SEEDS[:3],
                evaluation=Evaluating((TRAIN,), 10, sampled=True),
            )
        },
        subject="fls",
        published=("fls-table-4",),
        assumptions=("People's gaze comes from Atari-HEAD, which nobody can be given here: it is scored apart.",),
        deviations=(EMULATOR, "512 episodes a run, where the paper plays 8,192."),
    ),
    Grid(
        "fls-table-2",
        "Every architecture of Free-Lunch Saliency on Breakout: parameters and returns",
        ARMS,
        GAMES[:1],
        FIVE_SEEDS,
        PAPER,
        evaluation=Evaluating((TRAIN,), 512, sampled=True),
        forms={
            "small": Form(
                "small networks and 307,200 agent steps",
                seeds=FIVE_SEEDS[:3],
                evaluation=Evaluating((TRAIN,), 10, sampled=True),
            )
        },
        subject="fls",
        published=("fls-table-2",),
        deviations=(EMULATOR,),
    ),
)
