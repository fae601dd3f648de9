"""MiniGrid as data: its tasks, modes and options. Loads no MiniGrid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from saccade.envs.checks import check_count, check_kind
from saccade.envs.distractions import Modes
from saccade.envs.distractions.noise import Noise
from saccade.envs.distractions.palette import Palette
from saccade.envs.distractions.texture import Texture
from saccade.envs.oracle import OFF, TASK_AND_GROUND, Oracle, check_oracle
from saccade.envs.tasks.minigrid.tasks import NUM_ACTIONS, RED_FETCH_GREEN, TASKS, GridTask
from saccade.types import Discrete, Spaces, UserError

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

SUITE = "minigrid"
MODES: Modes = MappingProxyType({"train": (), "palette": (Palette(),), "texture": (Texture(),), "noise": (Noise(),)})
"""As MiniGrid draws it; with other colours of floor, walls and distractors; with pictures on the floor; with noise."""
EVALUATED_IN = ("train", "palette")
GRID_TASKS = tuple(f"{SUITE}/{name}" for name in TASKS)
TILE_SIZE = 8  # of RGBImgObsWrapper
COLOURS = 3
PUBLISHED_WRONG_PICK = -1.0


def families() -> Mapping[str, tuple[str, ...]]:
    """Return the tasks by the prefixes of their names."""
    found: dict[str, list[str]] = {}
    for name in TASKS:
        found.setdefault(name.partition("-")[0], []).append(name)
    return MappingProxyType({family: tuple(names) for family, names in found.items()})


@final
@dataclass(frozen=True)
class GridOptions:
    """How a grid world is played."""

    num_actions: int = NUM_ACTIONS
    """Use only this many of MiniGrid's actions, from the first: left, right, forward, pick up, drop, toggle, done."""
    wrong_pick: float = PUBLISHED_WRONG_PICK
    """For red_fetch_green: the reward for another object than the green one, which also ends the episode."""
    oracle_mask: Oracle = OFF
    """Show the agent only the pixels inside the simulator's own mask, and black elsewhere: an upper bound."""


def grid_task(task: str) -> GridTask:
    """Return the row of a task id."""
    return TASKS[task.partition("/")[2]]


def usual_image_size(task: str) -> int:
    """Return the longer side of a picture with MiniGrid's usual eight pixels per cell."""
    return TILE_SIZE * _cells(task)


def tile_size_of(config: EnvConfig) -> int:
    """Return the side of a cell in pixels."""
    return config.image_size // _cells(config.task)


def check(config: EnvConfig) -> None:
    """Raise UserError for a picture that does not divide into cells, and for options that the task cannot have."""
    cells, size = _cells(config.task), config.image_size
    if size % cells or size < cells:
        nearest = max(round(size / cells), 1) * cells
        raise UserError(f"image_size is {size}, but {config.task} has {cells} cells a side: use {nearest}")
    if config.action_repeat not in (None, 1):
        raise UserError(f"action_repeat is {config.action_repeat}, but {SUITE} plays an action once: leave it out")
    check_count("num_actions", config.options.num_actions, NUM_ACTIONS)
    check_kind("wrong_pick", config.options.wrong_pick, int, float)
    if not math.isfinite(config.options.wrong_pick):
        raise UserError(f"wrong_pick is {config.options.wrong_pick}, but must be a finite number, as rewards are")
    _check_oracle(config)
    if config.options.wrong_pick != PUBLISHED_WRONG_PICK and config.task != f"{SUITE}/{RED_FETCH_GREEN}":
        raise UserError(f"wrong_pick is for {SUITE}/{RED_FETCH_GREEN} alone; leave it out for {config.task}")


def _check_oracle(config: EnvConfig) -> None:
    """Raise UserError if it is unknown what an oracle would show."""
    oracle = config.options.oracle_mask
    check_oracle(oracle)
    if oracle == OFF:
        return
    if oracle == TASK_AND_GROUND:
        raise UserError(f"oracle_mask is {oracle!r}, but in a grid world every cell is ground: use 'task'")
    if not has_mission(config):
        raise UserError(
            f"oracle_mask is {oracle!r}, but {config.task} has no mission that says which pixels matter: leave it off"
        )


def has_mission(config: EnvConfig) -> bool:
    """Return whether the task has a mission, which defines which pixels matter."""
    from saccade.envs.tasks.minigrid.rules import RULES  # not needed where only names are listed

    return RULES[grid_task(config.task).rule].has_mission


def spaces_of(config: EnvConfig) -> Spaces:
    """Return what its environments' observations and actions are."""
    task, tile = grid_task(config.task), tile_size_of(config)
    shape = (config.frame_stack * COLOURS, task.height * tile, task.width * tile)
    return Spaces(shape, Discrete(min(config.options.num_actions, task.num_actions)), COLOURS)


def _cells(task: str) -> int:
    row = grid_task(task)
    return max(row.width, row.height)
