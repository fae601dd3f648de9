"""Atari games as data: what there is, how they may be played, and what one may choose. Loads no emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Literal, final

from saccade.envs.checks import check_kind, check_name
from saccade.envs.distractions import Modes
from saccade.envs.distractions.bars import Bars
from saccade.envs.distractions.console_colours import Brightness, ColorJitter
from saccade.envs.distractions.noise import Noise
from saccade.envs.distractions.video_behind import VideoBehind
from saccade.envs.tasks.atari.frames import WIDTH
from saccade.envs.tasks.atari.games import ATARI_57, CHANGED, GAMES, OTHERS, Game
from saccade.envs.tasks.atari.wrappers import FRAMES, WRAPPERS, Wrappers
from saccade.types import Discrete, Spaces, UserError

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

SUITE = "atari"
MODES: Modes = MappingProxyType(
    {
        "train": (),
        "noise": (Noise(),),
        "bars": (Bars(),),
        "brightness": (Brightness(),),
        "color_jitter": (ColorJitter(),),
        "video": (VideoBehind(),),
    }
)
"""As a game is; with noise; with bars over it; darker or brighter; in other colours; with a clip behind it."""
EVALUATED_IN = ("train",)
ATARI_TASKS = tuple(f"{SUITE}/{name}" for name in GAMES)
LISTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"Atari 57": tuple(ATARI_57), "others": tuple(OTHERS), "changed": tuple(CHANGED)}
)
COLOURS = 1
FRAMES_SOURCE = "DQN paper"


@final
@dataclass(frozen=True)
class AtariOptions:
    """How a game is played in training. Evaluations play whole games, for the rewards as they are."""

    wrappers: Literal["paper", "recommended", "ale_vector"] = "paper"
    """What it is wrapped in: as in most papers; with sticky actions and all 18 (Machado et al., 2018); in C++."""
    episodic_life: bool = True
    """Whether a lost life ends an episode; with recommended it never does."""
    clip_rewards: bool = True
    """Whether an action's reward is the sign of the game's."""
    game_mode: int | None = None
    """The game's mode, by its number; by default the usual one."""
    difficulty: int | None = None
    """The game's difficulty, by its number; by default the usual one."""
    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA, and without it colours and videos are generated."""

    def __post_init__(self) -> None:
        check_name("wrappers", self.wrappers, WRAPPERS)
        for name in ("episodic_life", "clip_rewards"):
            check_kind(name, getattr(self, name), bool)
        for name in ("game_mode", "difficulty"):
            check_kind(name, getattr(self, name), int, NoneType)
        check_kind("data", self.data, str, Path, NoneType)


def game_of(task: str) -> Game:
    """The row of a task id."""
    return GAMES[task.partition("/")[2]]


def wrappers_of(config: EnvConfig) -> Wrappers:
    """What a configuration's game is wrapped in."""
    return WRAPPERS[config.options.wrappers]


def check(config: EnvConfig) -> None:
    """Raise UserError for masks, pictures that are larger than a screen, and numbers that no switch has."""
    if config.task_mask:
        raise UserError(
            f"task_mask is on, and a console cannot tell which pixels show the task: leave it out for {config.task}"
        )
    for name in ("game_mode", "difficulty"):
        value = getattr(config.options, name)
        if value is not None and (isinstance(value, bool) or value < 0):
            raise UserError(f"{name} is {value}, but must be a number of ALE's, from 0")
    if config.image_size > WIDTH:
        raise UserError(f"image_size is {config.image_size}, and an Atari screen is {WIDTH} wide: use 84, as papers do")


def control_steps_of(config: EnvConfig) -> int:
    """Frames until a game is cut off."""
    return wrappers_of(config).frames


def evaluated(config: EnvConfig) -> EnvConfig:
    """Whole games, and rewards as they are."""
    return config.changed(episodic_life=False, clip_rewards=False)


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    actions = game_of(config.task).played_with(wrappers_of(config).every_action)
    return Spaces((config.frame_stack * COLOURS, config.image_size, config.image_size), Discrete(len(actions)), COLOURS)


def settings_of(config: EnvConfig) -> dict[str, object]:
    """How it is played, for the provenance."""
    options = config.options
    told: dict[str, object] = {
        "wrappers": options.wrappers,
        "episodic_life": options.episodic_life and wrappers_of(config).lost_life != "nothing",
        "clip_rewards": options.clip_rewards,
    }
    for name in ("game_mode", "difficulty"):
        if getattr(options, name) is not None:
            told[name] = getattr(options, name)
    return told


def action_repeat_of(task: str) -> int:
    """Frames of an action."""
    return FRAMES
