"""The DeepMind Control Suite as data: its tasks, modes, action repeats and cameras. Loads no simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, final

from saccade.envs.distractions import Modes, distracting_cs
from saccade.envs.distractions.color import Color
from saccade.envs.distractions.on_screen import ColorInTurn, VideoOnScreen
from saccade.envs.distractions.turned_camera import TurnedCamera
from saccade.envs.distractions.video import Video
from saccade.envs.mujoco.looks import check_looks, rgb_spaces
from saccade.envs.oracle import OFF, Oracle, check_oracle
from saccade.envs.shift_modes import PLUS
from saccade.types import Continuous, Spaces, UserError

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

MODES: Modes = MappingProxyType(
    {
        "train": (),
        "color_easy": (Color("easy"),),
        "color_hard": (Color("hard"),),
        "video_easy": (Video("video_easy", floor=False),),
        "video_hard": (Video("video_hard", floor=True),),
        "gb2_rotate_easy": (TurnedCamera(rotate="easy"),),
        "gb2_rotate_hard": (TurnedCamera(rotate="hard"),),
        "gb2_shift_easy": (TurnedCamera(shift="easy"),),
        "gb2_shift_hard": (TurnedCamera(shift="hard"),),
        "gb2_rotate_shift_easy": (TurnedCamera(rotate="easy", shift="easy"),),
        "gb2_rotate_shift_hard": (TurnedCamera(rotate="hard", shift="hard"),),
        "gb2_color_easy": (ColorInTurn("easy"),),
        "gb2_color_hard": (ColorInTurn("hard"),),
        "gb2_video_easy": (VideoOnScreen("video_easy"),),
        "gb2_video_hard": (VideoOnScreen("video_hard", floor=False),),
        "gb2_color_video_easy": (ColorInTurn("easy"), VideoOnScreen("video_easy")),
        "gb2_color_video_hard": (ColorInTurn("hard"), VideoOnScreen("video_hard")),
    }
)
"""The modes of the DMControl Generalization Benchmark (Hansen & Wang, 2021), by the literature's names; and those of
DMC-GB2 (Almuzairee, Hansen, Christensen, 2024), by its names after ``gb2_``.
"""

MODE_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dmcgb": ("color_easy", "color_hard", "video_easy", "video_hard"),
        "gb2": ("gb2_geometric", "gb2_photometric"),
        distracting_cs.NAME: tuple(each for each in distracting_cs.NAMES if each.startswith(f"{distracting_cs.NAME}:")),
        "gb2_geometric": (
            "gb2_rotate_easy", "gb2_rotate_hard", "gb2_shift_easy", "gb2_shift_hard", "gb2_rotate_shift_easy",
            "gb2_rotate_shift_hard",
        ),
        "gb2_photometric": (
            "gb2_color_easy", "gb2_color_hard", "gb2_video_easy", "gb2_video_hard", "gb2_color_video_easy",
            "gb2_color_video_hard",
        ),
    }
)  # fmt: skip
"""Names that stand for all modes of a benchmark -> its modes, or its parts."""

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

SCREEN_DOMAINS = ("ball_in_cup", "cartpole", "cheetah", "finger", "walker")
"""The domains of DMC-GB2, for which its code defines where a screen stands."""

BENCHMARK_TASKS = (
    "dmc/walker_walk",
    "dmc/walker_stand",
    "dmc/cartpole_swingup",
    "dmc/ball_in_cup_catch",
    "dmc/finger_spin",
    "dmc/cheetah_run",
)
"""The tasks that papers on the benchmark report."""

EVALUATED_IN = ("train", "video_hard")
"""The modes that papers draw curves of."""

# How many control steps an action lasts. Source: the hyper-parameter tables of SODA (Hansen & Wang, 2021) and
# SVEA (Hansen et al., 2021). SGQN's first table (Bertoin et al., 2022) has 4 for every domain:
# action_repeat=4.
BENCHMARK_ACTION_REPEATS = MappingProxyType({"walker": 4, "cheetah": 4, "ball_in_cup": 4, "cartpole": 8, "finger": 2})
DEFAULT_ACTION_REPEAT = 4  # for domains that the benchmark leaves out

CAMERAS: Mapping[str, str] = MappingProxyType(
    {
        "acrobot": "fixed", "ball_in_cup": "cam0", "cartpole": "fixed", "cheetah": "side", "dog": "y-axis",
        "finger": "cam0", "fish": "tracking_top", "hopper": "cam0", "humanoid": "back", "humanoid_CMU": "back",
        "lqr": "cam1", "manipulator": "fixed", "pendulum": "fixed", "point_mass": "fixed", "quadruped": "y",
        "reacher": "fixed", "stacker": "fixed", "swimmer": "tracking1", "walker": "side",
    }
)  # fmt: skip
"""The camera of a domain's tasks.

Source: camera 0 of the domain's model, as used by dm_control's pixel wrapper, dmc2gym and thereby the benchmark.
Three differ: *quadruped*, whose camera 0 is far away, uses camera 2, as in the wrappers of DrQ-v2, Dreamer and
TD-MPC; *dog_fetch*, whose camera 0 looks at the ball, the camera that comes first in the dog's other
tasks; and *lqr*, whose camera 0 does not see the balls where episodes begin, camera 1.
"""

ACTION_DIMS: Mapping[str, int] = MappingProxyType(
    {
        "acrobot": 1, "ball_in_cup": 2, "cartpole": 1, "cheetah": 6, "dog": 38, "finger": 2, "fish": 5, "hopper": 4,
        "humanoid": 21, "humanoid_CMU": 56, "lqr": 2, "manipulator": 5, "pendulum": 1, "point_mass": 2,
        "quadruped": 12, "reacher": 2, "stacker": 5, "swimmer": 5, "walker": 6,
    }
)  # fmt: skip
"""How many numbers an action has, by domain: its model's motors; two tasks have models of their own."""
OWN_ACTION_DIMS: Mapping[str, int] = MappingProxyType({"dmc/lqr_lqr_2_1": 1, "dmc/swimmer_swimmer15": 14})

EPISODE_CONTROL_STEPS = 1000  # so that returns lie in 0..1000


@final
@dataclass(frozen=True)
class ControlOptions:
    """How a task of the Control Suite is shown.

    ``fast`` rendering takes a fifth of the time in software, and its pictures are 38 to 51 dB (PSNR) from full.
    """

    render_quality: Literal["full", "fast"] = "full"
    """fast: several times cheaper software rendering; never compare it with results of full."""
    camera: str | None = None
    """Name or number of the camera; by default the task's own (side, fixed, y, ...)."""
    clip_order: Literal["seed", "sequential"] = "seed"
    """Which video an episode gets in the video modes, and which view and colours in those of DMC-GB2: by its seed, or
    one after the other as published."""
    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA, and without it colours and videos are generated."""
    oracle_mask: Oracle = OFF
    """Show the agent only the pixels inside the simulator's own mask, and black elsewhere: an upper bound."""

    def __post_init__(self) -> None:
        check_looks(self.render_quality, self.camera, self.clip_order, self.data)
        check_oracle(self.oracle_mask)


def shows_screen(config: EnvConfig) -> bool:
    """Return whether its mode plays clips on a screen in the scene."""
    mode = config.mode.partition(PLUS)[0]  # shifts may follow
    return any(isinstance(each, VideoOnScreen) for each in MODES.get(mode, ()))


def check(config: EnvConfig) -> None:
    """Raise UserError for a screen in a domain that has no place for it."""
    if not shows_screen(config):
        return
    domain, _ = DMC_TASKS[config.task]
    if domain not in SCREEN_DOMAINS:
        raise UserError(
            f"{config.mode} plays clips on a screen behind the agent, whose place is known for "
            f"{', '.join(SCREEN_DOMAINS)} alone, but this is {domain}; the modes of dmcgb play clips in every domain"
        )


def graded_modes(task: str) -> Modes:
    """Return the modes of the Distracting Control Suite for a task id, by name and intensity."""
    domain, _ = DMC_TASKS.get(task, ("", ""))
    return distracting_cs.modes_in(domain)


def camera_of(task: str) -> str:
    """Return the name, in the model, of a task id's default camera."""
    return CAMERAS[DMC_TASKS[task][0]]


def action_repeat_of(task: str) -> int:
    """Return the published action repeat of a task id."""
    return BENCHMARK_ACTION_REPEATS.get(DMC_TASKS[task][0], DEFAULT_ACTION_REPEAT)


def action_repeat_source(task: str) -> str | None:
    """Return who published the action repeat of a task id; None if it is not published."""
    domain, _ = DMC_TASKS[task]
    if domain == "cheetah":
        return "SMG paper, table 5"
    return "SODA and SVEA papers" if domain in BENCHMARK_ACTION_REPEATS else None


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    dims = OWN_ACTION_DIMS.get(config.task) or ACTION_DIMS[DMC_TASKS[config.task][0]]
    return rgb_spaces(config, Continuous(dims))
