"""The Atari suite as data: its games, modes and options. Loads no emulator."""

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
"""The game itself; with noise; with bars over it; darker or brighter; in other colours; with a clip behind it."""
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
    """How a game is played in training. Evaluations play whole games with unclipped rewards."""

    wrappers: Literal["paper", "recommended", "ale_vector"] = "paper"
    """The wrappers: as in most papers; with sticky actions and all 18 (Machado et al., 2018); in C++."""
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
    """Return the row of a task id."""
    return GAMES[task.partition("/")[2]]


def wrappers_of(config: EnvConfig) -> Wrappers:
    """Return the wrappers of a configuration's game."""
    return WRAPPERS[config.options.wrappers]


def check(config: EnvConfig) -> None:
    """Raise UserError for masks, for pictures larger than a screen, and for invalid numbers of switches."""
    if config.task_mask:
        raise UserError(
            f"task_mask is on, but a console does not know which pixels show the task: leave it out for {config.task}"
        )
    for name in ("game_mode", "difficulty"):
        value = getattr(config.options, name)
        if value is not None and (isinstance(value, bool) or value < 0):
            raise UserError(f"{name} is {value}, but must be a number of ALE's, from 0")
    if config.image_size > WIDTH:
        raise UserError(f"image_size is {config.image_size}, but an Atari screen is {WIDTH} wide: use 84, as papers do")


def control_steps_of(config: EnvConfig) -> int:
    """Return the number of frames after which a game is cut off."""
    return wrappers_of(config).frames


def evaluated(config: EnvConfig) -> EnvConfig:
    """Return the configuration with whole games and unclipped rewards."""
    return config.changed(episodic_life=False, clip_rewards=False)


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    actions = game_of(config.task).played_with(wrappers_of(config).every_action)
    return Spaces((config.frame_stack * COLOURS, config.image_size, config.image_size), Discrete(len(actions)), COLOURS)


def settings_of(config: EnvConfig) -> dict[str, object]:
    """Return how it is played, for the provenance."""
    options = config.options
    settings: dict[str, object] = {
        "wrappers": options.wrappers,
        "episodic_life": options.episodic_life and wrappers_of(config).lost_life != "nothing",
        "clip_rewards": options.clip_rewards,
    }
    for name in ("game_mode", "difficulty"):
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    return settings


def action_repeat_of(task: str) -> int:
    """Return the number of frames per action."""
    return FRAMES
