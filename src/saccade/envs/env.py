"""The environment that everything else sees: how one is described, and how one is made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from saccade.envs import opengl
from saccade.envs.suites import EPISODE_CONTROL_STEPS, MODES, TASKS, action_repeat_of
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.envs.tasks.dmc import DMCEnv

RENDER_QUALITIES = ("full", "fast")
CLIP_ORDERS = ("seed", "sequential")
IMAGE_SIZE_STEP = 4  # decoders double their resolution twice
MAX_IMAGE_SIZE = 1024
MAX_FRAME_STACK = 32
NUM_SUGGESTIONS = 3
SIMILARITY = 0.5  # of a name to be suggested, 0..1


@dataclass(frozen=True)
class EnvConfig:
    """One environment in words and numbers; JSON-able, and checked when it is made.

    Attributes:
        task: a task id, ``dmc/walker_walk``.
        mode: a mode of the benchmark: ``train color_easy color_hard video_easy video_hard``.
        image_size: height and width of the picture in pixels; a multiple of 4.
        frame_stack: how many of the newest frames an observation holds.
        action_repeat: control steps per agent step; None for the benchmark's (walker, cheetah, ball_in_cup 4,
            cartpole 8, finger 2, others 4).
        render_quality: ``full`` as the benchmark renders, or ``fast``: software rendering takes a fifth of
            the time and pictures are 38 to 51 dB (PSNR) from full; for machines without a GPU, and not to be
            compared with full.
        task_mask: whether ``info["task_mask"]`` comes with every observation.
        clip_order: which clip an episode shows: drawn by ``seed``, or ``sequential`` as in the published
            code.
        data: the benchmark's data folder; None for the one that SACCADE_DATA names, if any.

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

    @classmethod
    def parse(cls, task_id: str, **fields: Any) -> EnvConfig:
        """From ``dmc/walker_walk`` or ``dmc/walker_walk@video_hard``, and any other field by name."""
        task, at, mode = task_id.partition("@")
        if not at:
            return cls(task, **fields)
        if "mode" in fields:
            raise UserError(f"{task_id!r} names a mode, and so does mode={fields['mode']!r}; give one of them")
        return cls(task, mode, **fields)

    def __post_init__(self) -> None:
        if "@" in self.task:
            raise UserError(f"task is {self.task!r}, which names a mode too; use EnvConfig.parse({self.task!r})")
        _check_name("task", self.task, TASKS)
        _check_name("mode", self.mode, MODES)
        _check_name("render_quality", self.render_quality, RENDER_QUALITIES)
        _check_name("clip_order", self.clip_order, CLIP_ORDERS)
        _check_image_size(self.image_size)
        _check_count("frame_stack", self.frame_stack, MAX_FRAME_STACK)
        if self.action_repeat is not None:
            _check_count("action_repeat", self.action_repeat, EPISODE_CONTROL_STEPS)

    @property
    def control_steps_per_action(self) -> int:
        """``action_repeat``, or the benchmark's where that is None."""
        return self.action_repeat if self.action_repeat is not None else action_repeat_of(self.task)

    @property
    def episode_agent_steps(self) -> int:
        """Agent steps until an episode is truncated: as many as 1000 control steps need."""
        return -(-EPISODE_CONTROL_STEPS // self.control_steps_per_action)


def make_env(config: EnvConfig, seed: int | None = None, render_mode: Literal["rgb_array"] | None = None) -> DMCEnv:
    """The environment that ``config`` describes, its random numbers seeded.

    Observations are uint8 ``[frame_stack * 3, image_size, image_size]``, RGB, oldest frame first; actions
    float32 in -1..1; the reward of a step is the plain sum over its control steps. Close it when done.

    Raises:
        UserError: the simulator, an OpenGL or the data cannot be used; the message says what to do.
    """
    opengl.load_simulator()
    from saccade.envs.tasks.dmc import DMCEnv

    return DMCEnv(config, seed, render_mode)


def gymnasium_env(
    task: str,
    mode: str = "train",
    image_size: int = 84,
    frame_stack: int = 3,
    action_repeat: int | None = None,
    render_quality: str = "full",
    task_mask: bool = False,
    clip_order: str = "seed",
    data: str | None = None,
    seed: int | None = None,
    render_mode: Literal["rgb_array"] | None = None,
) -> DMCEnv:
    """What ``gymnasium.make("dmc/walker_walk", mode="video_hard")`` calls; the fields are ``EnvConfig``'s."""
    config = EnvConfig(task, mode, image_size, frame_stack, action_repeat, render_quality, task_mask, clip_order, data)
    return make_env(config, seed, render_mode)


def _check_name(field: str, value: object, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value in names:
        return
    near = difflib.get_close_matches(str(value), names, n=NUM_SUGGESTIONS, cutoff=SIMILARITY)
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
