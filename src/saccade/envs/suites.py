"""What there is, as data only: the tasks, the modes they are published with, their action repeats.

Nothing here loads a simulator, so that listing and checking names costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from saccade.envs.distractions import Distraction
from saccade.envs.distractions.color import Color
from saccade.envs.distractions.surroundings import Surroundings
from saccade.envs.distractions.video import Video

Modes = Mapping[str, tuple[Distraction, ...]]  # a mode's name -> what it changes

MODES: Modes = MappingProxyType(
    {
        "train": (),
        "color_easy": (Color("easy"),),
        "color_hard": (Color("hard"),),
        "video_easy": (Video("video_easy", floor=False),),
        "video_hard": (Video("video_hard", floor=True),),
    }
)
"""The modes of the DMControl Generalization Benchmark (Hansen & Wang, 2021), by the literature's names."""

MANIPULATION_MODES: Modes = MappingProxyType(
    {
        "train": (),
        "test1": (Surroundings("test1"),),
        "test2": (Surroundings("test2"),),
        "test3": (Surroundings("test3"),),
        "test4": (Surroundings("test4"),),
        "test5": (Surroundings("test5"),),
    }
)
"""The modes of the robot tasks: the scene as in training, and its five variants (Bertoin et al., 2022)."""

SUITE_MODES: Mapping[str, Modes] = MappingProxyType({"dmc": MODES, "manipulation": MANIPULATION_MODES})
"""Suite, the part of a task id before its slash -> the modes of its tasks."""

ALL_MODES: tuple[str, ...] = tuple(dict.fromkeys(mode for modes in SUITE_MODES.values() for mode in modes))
"""The name of every mode of any suite, once."""

DMC_DOMAINS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "acrobot": ("swingup", "swingup_sparse"),
        "ball_in_cup": ("catch",),
        "cartpole": (
            "balance", "balance_sparse", "swingup", "swingup_sparse", "two_poles", "three_poles",
        ),
        "cheetah": ("run",),
        "dog": ("stand", "walk", "trot", "run", "fetch"),
        "finger": ("spin", "turn_easy", "turn_hard"),
        "fish": ("upright", "swim"),
        "hopper": ("stand", "hop"),
        "humanoid": ("stand", "walk", "run", "run_pure_state"),
        "humanoid_CMU": ("stand", "walk", "run"),
        "lqr": ("lqr_2_1", "lqr_6_2"),
        "manipulator": ("bring_ball", "bring_peg", "insert_ball", "insert_peg"),
        "pendulum": ("swingup",),
        "point_mass": ("easy", "hard"),
        "quadruped": ("walk", "run", "escape", "fetch"),
        "reacher": ("easy", "hard"),
        "stacker": ("stack_2", "stack_4"),
        "swimmer": ("swimmer6", "swimmer15"),
        "walker": ("stand", "walk", "run"),
    }
)  # fmt: skip
"""The DeepMind Control Suite (Tassa et al., 2018), as dm_control names it: domain -> its tasks."""

DMC_TASKS: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {f"dmc/{domain}_{task}": (domain, task) for domain, tasks in DMC_DOMAINS.items() for task in tasks}
)
"""Task id -> (domain, task)."""

MANIPULATION_TASKS = ("manipulation/reach", "manipulation/peg_in_box")
"""The robot tasks (Jangir et al., 2022), as SGQN (Bertoin et al., 2022) plays them."""

TASKS: tuple[str, ...] = (*DMC_TASKS, *MANIPULATION_TASKS)

BENCHMARK_TASKS = (
    "dmc/walker_walk",
    "dmc/walker_stand",
    "dmc/cartpole_swingup",
    "dmc/ball_in_cup_catch",
    "dmc/finger_spin",
    "dmc/cheetah_run",
)
"""The tasks that papers on the benchmark report."""

# How many control steps an action lasts. Source: the hyper-parameter tables of SODA (Hansen & Wang, 2021) and
# SVEA (Hansen et al., 2021). SGQN's first table (Bertoin et al., 2022) has 4 for every domain:
# action_repeat=4.
BENCHMARK_ACTION_REPEATS = MappingProxyType({"walker": 4, "cheetah": 4, "ball_in_cup": 4, "cartpole": 8, "finger": 2})
DEFAULT_ACTION_REPEAT = 4  # for domains that the benchmark leaves out
MANIPULATION_ACTION_REPEAT = 1

CAMERAS: Mapping[str, str] = MappingProxyType(
    {
        "acrobot": "fixed", "ball_in_cup": "cam0", "cartpole": "fixed", "cheetah": "side", "dog": "y-axis",
        "finger": "cam0", "fish": "tracking_top", "hopper": "cam0", "humanoid": "back", "humanoid_CMU": "back",
        "lqr": "cam1", "manipulator": "fixed", "pendulum": "fixed", "point_mass": "fixed", "quadruped": "y",
        "reacher": "fixed", "stacker": "fixed", "swimmer": "tracking1", "walker": "side",
    }
)  # fmt: skip
"""The camera that looks at the tasks of a domain.

Source: camera 0 of the domain's model, which dm_control's pixel wrapper, dmc2gym and with them the benchmark take.
Three depart from it: *quadruped*, whose camera 0 is far away, for camera 2, as in the wrappers of DrQ-v2, Dreamer and
TD-MPC; *dog_fetch*, whose camera 0 looks at the ball, for the camera that the other tasks of the dog have as their
first; and *lqr*, whose camera 0 does not see the balls where episodes begin, for camera 1.
"""
FIRST_CAMERA = "0"  # of a robot task, which has no other, and of runs before there was a choice

# Control steps of an episode. A return of the Control Suite lies in 0..1000 for it.
EPISODE_CONTROL_STEPS: Mapping[str, int] = MappingProxyType({"dmc": 1000, "manipulation": 50})


def suite_of(task: str) -> str:
    """``dmc`` or ``manipulation``: the part of a task id before its slash."""
    return task.partition("/")[0]


def modes_of(task: str) -> Modes:
    """The modes that a task id can be played in, ``train`` first."""
    return SUITE_MODES[suite_of(task)]


def camera_of(task: str) -> str:
    """The camera that looks at a task id where nobody chooses one: its name in the model, or its number."""
    return CAMERAS[DMC_TASKS[task][0]] if task in DMC_TASKS else FIRST_CAMERA


def episode_control_steps(task: str) -> int:
    """How many control steps an episode of a task id has."""
    return EPISODE_CONTROL_STEPS[suite_of(task)]


def action_repeat_of(task: str) -> int:
    """The published action repeat for a task id."""
    if task in MANIPULATION_TASKS:
        return MANIPULATION_ACTION_REPEAT
    domain, _ = DMC_TASKS[task]
    return BENCHMARK_ACTION_REPEATS.get(domain, DEFAULT_ACTION_REPEAT)
