"""The description of an environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from saccade.data.folder import find_data
from saccade.envs.checks import check_count, check_kind, check_name
from saccade.envs.distractions.distracting_cs import FAMILIES
from saccade.envs.shift_modes import COLON, PLUS, names_shift, parse_shift
from saccade.envs.suites import (
    ALL_MODES,
    MODE_GROUPS,
    SUITES,
    TASKS,
    distractions_of,
    expanded,
    modes_of,
    name_of_suite,
    option_names,
    suite_of,
    usual_modes,
)
from saccade.spelling import close_names
from saccade.types import UserError

MAX_IMAGE_SIZE = 1024
MAX_FRAME_STACK = 32


@dataclass(frozen=True)
class EnvConfig:
    """The description of one environment; JSON-able, and checked when it is made.

    Attributes:
        task: a task id, ``dmc/walker_walk`` or ``manipulation/reach``.
        mode: a mode of the task, as listed by `saccade list`: ``train color_easy color_hard video_easy video_hard`` and
            more for ``dmc``, ``train test1 test2 test3 test4 test5`` for ``manipulation``; one with an intensity, such
            as
            ``distracting_cs:0.1`` for ``dmc`` (``envs/distractions/distracting_cs.py``); or one with shifts after it,
            such as ``brightness:0.5`` or ``video_hard+noise:0.1`` (``envs/shifts.py``).
        image_size: height and width of the picture in pixels, or its longer side; 0 for the suite's usual size, which
            is 84, and for ``minigrid`` 8 per cell.
        frame_stack: how many of the newest frames an observation holds.
        action_repeat: control steps per agent step; None for the published number (walker, cheetah, ball_in_cup 4,
            cartpole 8, finger 2, others of ``dmc`` 4; ``manipulation`` 1; ``atari`` 4).
        task_mask: whether ``info["task_mask"]`` comes with every observation.
        options: further options of the task's suite, in its own dataclass (``suites.SUITES``); None for its defaults.

    Raises:
        UserError: a value that is not allowed; the message names the allowed ones.
    """

    task: str
    mode: str = "train"
    image_size: int = 0
    frame_stack: int = 3
    action_repeat: int | None = None
    task_mask: bool = False
    options: Any = None

    @classmethod
    def parse(cls, task_id: str, **fields: Any) -> EnvConfig:
        """Make a description from ``dmc/walker_walk`` or ``dmc/walker_walk@video_hard``, and other fields or options.

        Raises UserError for a name that the task's suite does not have, with the nearest ones.
        """
        if not isinstance(task_id, str):
            raise UserError(f"a task is named by a string such as 'dmc/walker_walk', not by {task_id!r}")
        task, at, mode = task_id.partition("@")
        if at and "mode" in fields:
            raise UserError(f"{task_id!r} names a mode, and so does mode={fields['mode']!r}; give one of them")
        check_name("task", task, TASKS)
        return cls(task, mode if at else "train").changed(**fields)

    def changed(self, **fields: Any) -> EnvConfig:
        """Return a copy with other values of fields or of the suite's options, by their names.

        If the task is changed to another suite's, options that it does not have are left out.
        """
        task = fields.get("task", self.task)
        check_name("task", task, TASKS)
        suite = suite_of(task)
        own = fields.pop("options", None) or _options_for(suite.options, self.options)
        options = {name: fields.pop(name) for name in option_names(suite) if name in fields}
        for name in fields:
            _check_known(name, task)
        return dataclasses.replace(self, **fields, options=dataclasses.replace(own, **options))

    def __post_init__(self) -> None:
        for name, kind in (("task", str), ("mode", str), ("task_mask", bool)):
            check_kind(name, getattr(self, name), kind)
        if "@" in self.task:
            raise UserError(f"task is {self.task!r}, which names a mode too; use EnvConfig.parse({self.task!r})")
        check_name("task", self.task, TASKS)
        suite = suite_of(self.task)
        if self.options is None:
            object.__setattr__(self, "options", suite.options())
        check_kind("options", self.options, suite.options)
        object.__setattr__(self, "mode", _checked_mode(self.mode, self.task))
        if self.image_size == 0 and not isinstance(self.image_size, bool):
            object.__setattr__(self, "image_size", suite.image_size(self.task))
        check_count("image_size", self.image_size, MAX_IMAGE_SIZE)
        check_count("frame_stack", self.frame_stack, MAX_FRAME_STACK)
        if self.action_repeat is not None:
            check_count("action_repeat", self.action_repeat, suite.episode_control_steps(self))
        suite.check(self)

    @property
    def control_steps_per_action(self) -> int:
        """``action_repeat``, or the published one if that is None."""
        return self.action_repeat if self.action_repeat is not None else suite_of(self.task).action_repeat(self.task)

    @property
    def episode_agent_steps(self) -> int:
        """Agent steps until an episode is truncated, enough for all its control steps."""
        return -(-suite_of(self.task).episode_control_steps(self) // self.control_steps_per_action)

    def option(self, name: str, otherwise: Any = None) -> Any:
        """Return an option by its name, or ``otherwise`` if the suite has none of that name."""
        return getattr(self.options, name) if name in option_names(suite_of(self.task)) else otherwise


def check_data(config: EnvConfig, modes: Iterable[str]) -> None:
    """Raise UserError if a mode does not exist or its files cannot be used, before any work is done.

    Clips are not checked: that would decode them.
    """
    folder = find_data(config.option("data"))
    for mode in modes:
        for distraction in distractions_of(config.task, dataclasses.replace(config, mode=mode).mode):
            distraction.check(folder)


def _options_for(kind: type[Any], options: Any) -> Any:
    """The suite's options, with the values that these options, maybe of another suite, share with it."""
    if isinstance(options, kind):
        return options
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return kind(**{field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given})


def _check_known(name: str, task: str) -> None:
    """Raise UserError for a name that is neither a field nor an option of the task's suite."""
    fields = [field.name for field in dataclasses.fields(EnvConfig) if field.name != "options"]
    if name in fields:
        return
    own = option_names(suite_of(task))
    foreign = foreign_option(name, task)
    if foreign is not None:
        raise UserError(foreign)
    near = close_names(name, [*fields, *own], 1) or [*fields, *own]
    raise UserError(f"there is no option {name!r} of {task}; did you mean {' or '.join(near)}?")


def foreign_option(name: str, task: str, spelled: Callable[[str], str] = str) -> str | None:
    """Return a message about an option that the task's suite lacks but others have; None for any other name.

    spelled: how options are written in the message, such as with dashes.
    """
    others = [suite for suite, row in SUITES.items() if name in option_names(row)]
    own = option_names(suite_of(task))
    if not others or name in own:
        return None
    has = ", ".join(map(spelled, close_names(name, own, 1) or own)) or "no options of its own"
    suite = name_of_suite(task)
    return f"{spelled(name)} is an option of {' and '.join(others)}, but {task} is of {suite}, which has {has}"


def _checked_mode(mode: str, task: str) -> str:
    """The mode in its usual spelling. Raises UserError for one that the task does not have."""
    allowed = modes_of(task)
    graded = suite_of(task).graded(task)
    if not graded and any(part.partition(COLON)[0] in FAMILIES for part in mode.split(PLUS)):
        raise UserError(f"{task} has no mode {mode!r}; the choices are {', '.join(allowed)}, and shifts after them")
    if mode not in allowed and names_shift(mode):
        distractions_of(task, mode)
        return parse_shift(mode, (*allowed, *graded)).name
    if mode in MODE_GROUPS:
        raise UserError(f"{mode!r} stands for several modes: name one of {', '.join(expanded((mode,)))}")
    if mode in ALL_MODES and mode not in allowed:
        raise UserError(f"{task} has no mode {mode!r}; the choices are {_modes_text(task)}")
    if mode not in allowed:
        near = close_names(mode, (*allowed, *suite_of(task).mode_groups))
        hint = f"the nearest: {', '.join(near)}" if near else f"the choices are {_modes_text(task)}"
        raise UserError(f"there is no mode {mode!r}; {hint}")
    return mode


def _modes_text(task: str) -> str:
    """A task's modes for a message; all but the first of several groups by their names only."""
    _, *others = suite_of(task).mode_groups or ("",)
    more = f", and those of {' and '.join(others)} (`saccade list`)" if others else ""
    return ", ".join(usual_modes(task)) + more
