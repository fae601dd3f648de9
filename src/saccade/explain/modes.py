"""Modes of any environment: shifts by name, and other functions that make it, such as in another light."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import gymnasium

from saccade.envs.distractions.distracting_cs import NAMES
from saccade.envs.scene_dials import refuse_scene_dials, scene_dials_of
from saccade.envs.shift_modes import CLEAN, ShiftMode, check_picture, names_shift, parse_shift
from saccade.envs.shifts import SHIFTS, plays_clips
from saccade.envs.suites import distractions_of, expanded, name_of_suite, suite_of
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.explain import answers
from saccade.explain.background import background_of
from saccade.explain.channels import shown_by
from saccade.explain.episodes import played
from saccade.explain.fitting import fitting
from saccade.explain.shifted import Shift, environment_pixels
from saccade.explain.tasks import Task, maker_in_file, makers_task
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.types import UserError

Maker = Callable[[], Any]
NAME = re.compile(r"\w[\w.-]{0,59}")
PROBED_STEPS = 8  # of an episode that is played to find out what the channels are


@final
@dataclass(frozen=True)
class Asked:
    """Modes as a person wrote them, parsed as far as possible without an environment or a policy.

    Attributes:
        names: in order, each once, as rows and files spell them.
        shifts: those that change pictures.
        files: ``file.py:function`` of those that are functions, by name.
    """

    names: tuple[str, ...]
    shifts: Mapping[str, ShiftMode]
    files: Mapping[str, str]

    @property
    def has_video(self) -> bool:
        """Whether one of them plays clips."""
        return any(plays_clips(shift.parts) for shift in self.shifts.values())


def read_modes(words: Sequence[str], known: Sequence[str] = (CLEAN,)) -> Asked:
    """Parse ``--modes``: names, shifts such as ``brightness:0.5+noise:0.1``, and ``name=file.py:function``.

    The name of a group of modes, such as ``gb2``, stands for each of them.

    Args:
        known: modes of the task, whose pictures shifts may change.

    Raises:
        UserError: a shift that does not exist, a strength outside 0..1, or a name that two modes would share.
    """
    files: dict[str, str] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if equals:
            _check_own_name(name, word, (*known, *files))
            files[name] = file
    shifts: dict[str, ShiftMode] = {}
    names: dict[str, None] = {}
    for word in expanded(words, own=(*known, *files)):
        name = word.partition("=")[0]
        if "=" not in word and word not in (*known, *files) and names_shift(word):
            shift = parse_shift(word, (*known, *files, *NAMES))
            name = shift.name
            shifts[name] = shift
        names[name] = None
    return Asked(tuple(names), shifts, files)


def _check_own_name(name: str, word: str, taken: Sequence[str]) -> None:
    if not NAME.fullmatch(name):
        raise UserError(
            f"{word!r} is no mode: write a name of letters and digits before =, and file.py:function after."
        )
    if name in taken or name in SHIFTS:
        raise UserError(f"{word!r} takes the name {name!r}, which another mode or a shift has: give it one of its own.")


def in_modes(
    task: Task,
    asked: Asked,
    policy: Policy,
    *,
    video_where: str | None = None,
    data: str | Path | None = None,
) -> Task:
    """Return the task with these modes added, ready to be made in each.

    Raises:
        UserError: it has no such mode, a function cannot be found, or its pictures cannot take the change.
    """
    background_of(video_where)
    if video_where is not None and not asked.has_video:
        raise UserError(f"--video-where {video_where} says what a video replaces, but no mode has one: leave it out.")
    makers = {name: maker_in_file(file) for name, file in asked.files.items()}
    drawn = _drawn_here(task, asked, makers)
    pixels = _known_channels(policy, task) if drawn else policy.pixels
    shifted = _Shifting(task.name, pixels, video_where, data)
    for under in dict.fromkeys((*makers, *(shift.under for shift in drawn.values()))):
        env = makers[under]() if under in makers else task.make(under, False)
        _try(env, [shift for shift in drawn.values() if shift.under == under], shifted, under)

    def make(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
        if mode in makers:
            return makers[mode]()
        if mode not in drawn:
            return task.make(mode, masks)
        env = make(drawn[mode].under, masks)
        try:
            return shifted(env, drawn[mode])
        except BaseException:
            env.close()
            raise

    added = tuple(name for name in asked.names if name not in task.modes)
    if not added:
        return task
    return dataclasses.replace(
        task, make=make, modes=(*task.modes, *added), provenance=lambda env: _provenance(task, env)
    )


def _drawn_here(task: Task, asked: Asked, makers: Mapping[str, Maker]) -> dict[str, ShiftMode]:
    """Shifts that the environment does not draw itself, as Saccade's own do. Raises UserError for unknown modes."""
    for name in asked.names:
        if name not in (*task.modes, *makers, *asked.shifts):
            more = f", and shifts such as brightness:0.5 ({', '.join(SHIFTS)})"
            raise UserError(f"{task.name} has no mode {name!r}: it has {', '.join(task.modes)}{more}.")
    drawn: dict[str, ShiftMode] = {}
    for name, shift in asked.shifts.items():
        if task.config is not None and shift.under not in makers:
            distractions_of(task.config.task, name)
            spaces = suite_of(task.config.task).spaces(task.config)
            seen = [part for part in shift.parts if part[0] not in scene_dials_of(name_of_suite(task.config.task))]
            check_picture(seen, spaces.obs_shape[1:], spaces.colours, task.name)
        else:
            refuse_scene_dials(shift.parts, task.name)
            drawn[name] = shift
    return drawn


@final
@dataclass(frozen=True)
class _Shifting:
    """How shifts are applied to environments of a task."""

    task: str
    policy: Pixels
    video_where: str | None
    data: str | Path | None

    def __call__(self, env: gymnasium.Env[Any, Any], shift: ShiftMode) -> Shift:
        pixels = environment_pixels(env.observation_space, self.policy, self.task)
        where = self.video_where if _plays(shift) else None
        return Shift(env, shift, pixels=pixels, video_where=where, data=self.data, name=self.task)


def _try(env: gymnasium.Env[Any, Any], shifts: Iterable[ShiftMode], shifted: _Shifting, mode: str) -> None:
    """Apply each shift and draw a picture, so that errors show before anything is played; then close it."""
    name = shifted.task if mode == CLEAN else f"{shifted.task} in {mode}"
    try:
        fitting(env.observation_space, shifted.policy, name)
        for shift in shifts:
            answers.reset(shifted(env, shift), 0, name)
    finally:
        answers.close(env, name)


def _plays(shift: ShiftMode) -> bool:
    return plays_clips(shift.parts)


def _provenance(task: Task, env: gymnasium.Env[Any, Any]) -> Mapping[str, Any]:
    if isinstance(env, Shift):
        return {**_provenance(task, env.env), "shifts": env.mode.name}
    # What a function makes need not be the task's own kind of environment.
    return task.provenance(env) if task.config is None or isinstance(env, PixelEnv) else {}


def _known_channels(policy: Policy, task: Task) -> Pixels:
    """The policy's pixels, with the kind of their channels worked out from the start of an episode if not given."""
    pixels = policy.pixels
    if pixels.said or pixels.channels_first[0] == 1:
        return pixels
    return shown_by(pixels, [obs for obs, *_ in played(policy, task, task.modes[0], 0, PROBED_STEPS, policy.act, {})])


def task_of_makers(makers: Mapping[str, Maker], name: str = "") -> Task:
    """Return a task of several functions that each make the same environment in one mode; one mode must be ``train``.

    Raises:
        UserError: there is no ``train``, or a mode has an invalid name.
    """
    if CLEAN not in makers:
        raise UserError(
            f"A task of functions needs one of them under {CLEAN!r}; there are {', '.join(makers) or 'none'}."
        )
    for mode in makers:
        if mode != CLEAN:
            _check_own_name(mode, mode, ())
    return makers_task(name or getattr(makers[CLEAN], "__name__", "environment"), makers)
