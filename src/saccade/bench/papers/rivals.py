"""Numbers of methods beside the four papers, as far as they were read: each with where that was."""

from __future__ import annotations

from saccade.bench.grids import Arm, Evaluating, Grid
from saccade.bench.papers.sgqn import (
    CARTPOLE,
    CHEETAH,
    CUP,
    EPISODES,
    FINGER,
    FIVE,
    OVERLAYS,
    PEG,
    REACH,
    SMALL_CONTROL,
    STAND,
    WALK,
)
from saccade.bench.published import TRAIN, Average, Table, across, down

SIX = (*FIVE, CHEETAH)
MADI = "MaDi (AAMAS 2024), figure in its repository"
MADI_RERUN = "MaDi (AAMAS 2024), which ran it again"
SIMGRL = "SimGRL (NeurIPS 2024), figure in its repository"
QUOTED_BY_SIMGRL = "as quoted by SimGRL (NeurIPS 2024)"
CG2A = "CG2A (ACM MM 2023), as SimGRL's figure tells it"
SCPL = "SCPL (AAMAS 2025), the authors' plotting script"
SADA = "SADA (RLC 2024), figure 6 on the authors' page"
GB_FIGURE = "DMC-GB, figure in its repository"
BALANCE = "dmc/cartpole_balance"
GB2_TASKS = (WALK, STAND, CHEETAH, FINGER, CARTPOLE, CUP)
GEOMETRIC = tuple(f"gb2_{what}_{how}" for what in ("rotate", "shift", "rotate_shift") for how in ("easy", "hard"))
PHOTOMETRIC = tuple(f"gb2_{what}_{how}" for what in ("color", "video", "color_video") for how in ("easy", "hard"))

SADA_ROWS = {
    "gb2_rotate_easy": ("808±90 958±6 302±57 870±152 743±56 909±30", "278 505 127 148 295 408"),
    "gb2_rotate_hard": ("799±89 960±9 290±80 862±149 746±57 908±39", "154 330 72 75 219 241"),
    "gb2_shift_easy": ("824±95 962±5 348±27 903±152 798±33 947±15", "288 656 90 386 421 771"),
    "gb2_shift_hard": ("641±139 870±38 284±26 802±112 719±59 871±62", "58 228 23 13 284 674"),
    "gb2_rotate_shift_easy": ("663±140 897±30 231±44 732±93 644±71 815±70", "102 327 25 3 195 369"),
    "gb2_rotate_shift_hard": ("307±70 652±78 131±18 476±46 497±33 668±102", "38 180 13 0 149 204"),
    "gb2_color_easy": ("837±70 965±10 252±69 895±162 704±33 969±5", "755 900 203 924 542 821"),
    "gb2_color_hard": ("825±72 963±7 239±75 868±150 716±34 961±11", "667 861 133 802 478 779"),
    "gb2_video_easy": ("791±56 923±45 121±59 875±157 524±49 934±23", "788 945 102 774 427 736"),
    "gb2_video_hard": ("270±31 702±65 82±20 566±118 363±31 662±43", "264 429 28 263 259 416"),
    "gb2_color_video_easy": ("791±59 945±15 153±64 850±150 570±38 931±36", "681 852 100 705 427 716"),
    "gb2_color_video_hard": ("686±61 906±30 99±43 633±106 426±39 697±37", "421 659 44 307 294 484"),
}
"""Mode -> SADA and SVEA, over the six tasks of DMC-GB2."""

TABLES: tuple[Table, ...] = (
    Table(
        "dmc-gb-figure",
        "DMC-GB",
        "Control Suite, easy videos and hard colours",
        (
            *across("svea-overlay", "video_easy", FIVE, "819 961 782 871 808", GB_FIGURE),
            *across("soda-overlay", "video_easy", FIVE, "768 955 758 875 695", GB_FIGURE),
            *across("pad", "video_easy", FIVE, "717 935 521 436 691", GB_FIGURE),
            *across("drq", "video_easy", FIVE, "682 873 485 318 533", GB_FIGURE),
            *across("rad", "video_easy", FIVE, "606 745 373 481 400", GB_FIGURE),
            *across("curl", "video_easy", FIVE, "556 852 404 316 502", GB_FIGURE),
            *across("svea-conv", "color_hard", FIVE, "760 942 837 961 977", GB_FIGURE),
            *across("svea-overlay", "color_hard", FIVE, "749 933 832 959 972", GB_FIGURE),
            *across("soda-conv", "color_hard", FIVE, "697 930 831 892 901", GB_FIGURE),
            *across("soda-overlay", "color_hard", FIVE, "692 893 805 949 793", GB_FIGURE),
            *across("pad", "color_hard", FIVE, "468 797 630 563 803", GB_FIGURE),
            *across("drq", "color_hard", FIVE, "520 770 586 365 776", GB_FIGURE),
            *across("rad", "color_hard", FIVE, "400 644 590 541 667", GB_FIGURE),
            *across("curl", "color_hard", FIVE, "445 662 454 231 691", GB_FIGURE),
        ),
        (
            Average("svea-conv", "return", ("color_hard",), 895, SCPL),
            Average("svea-overlay", "return", ("video_easy",), 848, SCPL),
        ),
        protocol="500,000 agent steps, 5 seeds, action repeat 8 on cartpole, 2 on finger, else 4",
        remarks=("Read by eye from a picture.",),
    ),
    Table(
        "madi-video-hard",
        "MaDi",
        "Control Suite, hard videos",
        (
            *across("madi", "video_hard", (*FIVE, BALANCE), "858±37 824±287 769±60 610±433 566±291 879±202", MADI),
            *across("sgqn", "video_hard", FIVE, "718±84 606±205 488±41 687±347 554±18", MADI_RERUN),
            *across("svea", "video_hard", FIVE, "526±124 847±39 453±59 327±131 154±69", MADI_RERUN),
        ),
        (Average("madi", "return", ("video_hard",), 751, MADI),),
        missing=("cartpole_balance of SGQN and SVEA, whose averages over six tasks are 626 and 481: not read",),
        remarks=("Read by eye from a picture. Which action repeats were used is not known.",),
    ),
    Table(
        "simgrl",
        "SimGRL",
        "Control Suite, easy and hard videos",
        (
            *across("simgrl", "video_hard", SIX, "773±31 932±17 727±23 902±19 864±12 301±7", SIMGRL),
            *across("simgrl", "video_easy", SIX, "910 973 838 964 983 317", SIMGRL),
            *across("cg2a", "video_hard", SIX, "687±18 895±35 472±24 806±44 819±38 168±16", CG2A),
            *across("cg2a", "video_easy", SIX, "918 968 788 963 912 314", CG2A),
            *across("tlda", "video_hard", SIX, "292 595 308 304 256 67", QUOTED_BY_SIMGRL),
            *across("ear", "video_hard", SIX, "383 744 375 320 277 91", QUOTED_BY_SIMGRL),
            *across("soda", "video_hard", FIVE, "- 771 429 327 302", QUOTED_BY_SIMGRL),
            *across("svea", "video_hard", FIVE, "- 834 393 403 335", QUOTED_BY_SIMGRL),
        ),
        remarks=("Read by eye from a picture.",),
    ),
    Table(
        "told-by-simgrl",
        "SimGRL",
        "cheetah_run in video_hard, of methods whose papers do not have it",
        tuple(
            row
            for arm, word in {
                "sac": "75±14",
                "drq": "49±13",
                "rad": "21±9",
                "soda": "130±24",
                "svea": "112±12",
                "sgqn": "157±69",
            }.items()
            for row in across(arm, "video_hard", (CHEETAH,), word, QUOTED_BY_SIMGRL)
        ),
    ),
    Table(
        "simgrl-robot",
        "SimGRL",
        "Robot, average of the tests",
        (
            *down("simgrl", REACH, {"tests": "32.6"}, SIMGRL),
            *down("cg2a", REACH, {"tests": "33.6"}, CG2A),
            *down("simgrl", PEG, {"tests": "170.5"}, SIMGRL),
            *down("cg2a", PEG, {"tests": "162.4"}, CG2A),
        ),
        protocol="250,000 agent steps, tests 1 to 3",
    ),
    Table(
        "scpl",
        "SCPL",
        "walker_walk and walker_stand: hard colours, easy and hard videos",
        (
            *down("scpl", WALK, {"color_hard": "845", "video_easy": "941", "video_hard": "818"}, SCPL),
            *down("scpl", STAND, {"color_hard": "957", "video_easy": "968", "video_hard": "953"}, SCPL),
        ),
        protocol="500,000 agent steps of action repeat 2 on walker, where all other papers have 4",
        missing=(
            "the other tasks: not read; over five tasks its averages are 930, 930 and 853, without policy consistency "
            "808, 874 and 733",
        ),
    ),
    Table(
        "sada-figure-6",
        "SADA",
        "DMC-GB2: six modes that move the camera and six that repaint",
        tuple(
            row
            for mode, (sada, svea) in SADA_ROWS.items()
            for arm, numbers in (("sada", sada), ("svea-gb2", svea))
            for row in across(arm, mode, GB2_TASKS, numbers, SADA)
        ),
        (
            Average("sada", "return", GEOMETRIC, 690, SADA),
            Average("sada", "return", PHOTOMETRIC, 658, SADA),
            Average("sada", "return", (*GEOMETRIC, *PHOTOMETRIC), 674, SADA),
            Average("svea-gb2", "return", GEOMETRIC, 232, SADA),
            Average("svea-gb2", "return", PHOTOMETRIC, 527, SADA),
            Average("svea-gb2", "return", (*GEOMETRIC, *PHOTOMETRIC), 380, SADA),
        ),
        protocol="500,000 agent steps of action repeat 2, 250,000 updates, trained with six augmentations, 5 seeds, "
        "100 episodes a mode; not comparable with DMC-GB",
        remarks=("Read by eye from a picture.",),
    ),
)

GRIDS: tuple[Grid, ...] = (
    Grid(
        "rivals-video-hard",
        "Every method of this line on the Control Suite's hard videos",
        tuple(Arm(name, name) for name in ("madi", "simgrl", "scpl", "smg", "sgqn", "svea", "soda", "curl")),
        SIX,
        source="the rivals' papers, each with its own settings",
        evaluation=EPISODES,
        forms={"small": SMALL_CONTROL},
        published=("sgqn-table-5", "madi-video-hard", "simgrl", "scpl", "smg-table-1", "told-by-simgrl"),
        deviations=(OVERLAYS,),
    ),
    Grid(
        "sada-figure-6",
        "SADA and SVEA on DMC-GB2",
        (Arm("sada", "sada"), Arm("svea-gb2", "svea", {"action_repeat": 2})),
        GB2_TASKS,
        source=SADA,
        evaluation=Evaluating((TRAIN, *GEOMETRIC, *PHOTOMETRIC), 100),
        forms={"small": SMALL_CONTROL},
        subject="sada",
        published=("sada-figure-6",),
        deviations=(
            "SVEA here has DMC-GB's encoder and one augmentation, where the paper's has SADA's own and six.",
            OVERLAYS,
        ),
    ),
)
