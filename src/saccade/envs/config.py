"""How an environment is described, in words and numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.data.folder import find_data
from saccade.envs.suites import ALL_MODES, TASKS, modes_of, suite_of
from saccade.envs.tasks.manipulation_suite import MANIPULATION_TASKS
from saccade.spelling import close_names
from saccade.types import UserError

ACTION_SPACES = ("xy", "xyz")
RENDER_QUALITIES = ("full", "fast")
CLIP_ORDERS = ("seed", "sequential")
KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("task", "mode"), (str,)),
    **dict.fromkeys(("task_mask", "reach_bonus"), (bool,)),
    "data": (str, Path, type(None)),
}
"""Of the fields that are not compared with a list or a range."""
IMAGE_SIZE_STEP = 4  # decoders double their resolution twice
MAX_IMAGE_SIZE = 1024
MAX_FRAME_STACK = 32


@dataclass(frozen=True)
class EnvConfig:
    """One environment in words and numbers; JSON-able, and checked when it is made.

    Attributes:
        task: a task id, ``dmc/walker_walk`` or ``manipulation/reach``.
        mode: a mode of the task: ``train color_easy color_hard video_easy video_hard`` of ``dmc``, ``train test1
            test2 test3 test4 test5`` of ``manipulation``.
        image_size: height and width of the picture in pixels; a multiple of 4.
        frame_stack: how many of the newest frames an observation holds.
        action_repeat: control steps per agent step; None for the published one (walker, cheetah, ball_in_cup 4,
            cartpole 8, finger 2, others of ``dmc`` 4; ``manipulation`` 1).
        render_quality: ``full`` as the benchmark renders, or ``fast``: software rendering takes a fifth of
            the time and pictures are 38 to 51 dB (PSNR) from full; for machines without a GPU, and not to be
            compared with full.
        task_mask: whether ``info["task_mask"]`` comes with every observation.
        clip_order: which clip an episode shows: drawn by ``seed``, or ``sequential`` as in the published
            code.
        data: the benchmark's data folder; None for the one that SACCADE_DATA names, if any.
        action_space: which ways the gripper of ``manipulation`` can be moved: ``xy`` over the table, or ``xyz``.
        reach_bonus: whether ``manipulation/reach`` gives 1 near the goal, as SGQN plays it; without, the reward as
            it was first published.
        camera: name or number of the camera that looks, of those of the task's model; None for the one that
            ``tasks.dmc_suite.CAMERAS`` names with its source.

    Raises:
        UserError: a value that is not allowed, with the allowed ones.
    """

    task: str
    mode: str = "train"
    image_size: int = 84
    frame_stack: int = 3
    action_repeat: int | None = None
    render_quality: str = "full"
    task_mask: bool = False
    clip_order: str = "seed"
    data: str | None = None
    action_space: str = "xy"
    reach_bonus: bool = True
    camera: str | None = None

    @classmethod
    def parse(cls, task_id: str, **fields: Any) -> EnvConfig:
        """From ``dmc/walker_walk`` or ``dmc/walker_walk@video_hard``, and any other field by name."""
        if not isinstance(task_id, str):
            raise UserError(f"a task is named by a string such as 'dmc/walker_walk', not by {task_id!r}")
        task, at, mode = task_id.partition("@")
        if not at:
            return cls(task, **fields)
        if "mode" in fields:
            raise UserError(f"{task_id!r} names a mode, and so does mode={fields['mode']!r}; give one of them")
        return cls(task, mode, **fields)

    def __post_init__(self) -> None:
        for name, kinds in KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds):
                raise UserError(f"{name} is {value!r}, but must be {' or '.join(kind.__name__ for kind in kinds)}")
        if "@" in self.task:
            raise UserError(f"task is {self.task!r}, which names a mode too; use EnvConfig.parse({self.task!r})")
        _check_name("task", self.task, TASKS)
        _check_mode(self.mode, self.task)
        _check_name("render_quality", self.render_quality, RENDER_QUALITIES)
        _check_name("clip_order", self.clip_order, CLIP_ORDERS)
        _check_image_size(self.image_size)
        _check_count("frame_stack", self.frame_stack, MAX_FRAME_STACK)
        if self.action_repeat is not None:
            _check_count("action_repeat", self.action_repeat, suite_of(self.task).episode_control_steps(self.task))
        _check_name("action_space", self.action_space, ACTION_SPACES)
        if self.action_space != ACTION_SPACES[0] and self.task not in MANIPULATION_TASKS:
            raise UserError(
                f"action_space={self.action_space!r} is for manipulation alone; leave it out for {self.task}"
            )
        if not self.reach_bonus and self.task != "manipulation/reach":
            raise UserError(f"reach_bonus=False is for manipulation/reach alone; leave it out for {self.task}")

    @property
    def control_steps_per_action(self) -> int:
        """``action_repeat``, or the published one where that is None."""
        return self.action_repeat if self.action_repeat is not None else suite_of(self.task).action_repeat(self.task)

    @property
    def episode_agent_steps(self) -> int:
        """Agent steps until an episode is truncated: as many as its control steps need."""
        return -(-suite_of(self.task).episode_control_steps(self.task) // self.control_steps_per_action)


def check_data(config: EnvConfig, modes: Iterable[str]) -> None:
    """Raise UserError where a mode does not exist or its files cannot be used, before any work is done.

    Clips are not looked at: that would decode them.
    """
    folder = find_data(config.data)
    for mode in modes:
        for distraction in modes_of(config.task)[dataclasses.replace(config, mode=mode).mode]:
            distraction.check(folder)


def _check_mode(mode: object, task: str) -> None:
    allowed = modes_of(task)
    if mode in ALL_MODES and mode not in allowed:
        raise UserError(f"{task} has no mode {mode!r}; the choices are {', '.join(allowed)}")
    _check_name("mode", mode, allowed)


def _check_name(field: str, value: object, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value in names:
        return
    near = close_names(str(value), names)
    hint = f"the nearest: {', '.join(near)}" if near else f"the choices are {', '.join(names)}"
    raise UserError(f"there is no {field} {value!r}; {hint}")


def _check_image_size(value: int) -> None:
    if _is_whole(value) and 0 < value <= MAX_IMAGE_SIZE and value % IMAGE_SIZE_STEP == 0:
        return
    near = 84
    if _is_whole(value):
        near = min(max(round(value / IMAGE_SIZE_STEP), 1) * IMAGE_SIZE_STEP, MAX_IMAGE_SIZE)
    raise UserError(
        f"image_size is {value!r}, but must be a multiple of {IMAGE_SIZE_STEP} up to {MAX_IMAGE_SIZE}; use {near}"
    )


def _check_count(field: str, value: int, largest: int) -> None:
    if not (_is_whole(value) and 1 <= value <= largest):
        raise UserError(f"{field} is {value!r}, but must be a whole number from 1 to {largest}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
