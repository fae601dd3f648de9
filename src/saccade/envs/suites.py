"""The table of suites: a row says what its tasks are, how they are shown and how they are evaluated.

Nothing here loads a simulator, so listing and checking names costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from saccade.envs.distractions import Distraction, Modes
from saccade.envs.mujoco import looks
from saccade.envs.scene_dials import SCENE_DIALS, check_scene, refuse_scene_dials, scene_dials_of
from saccade.envs.shift_modes import ShiftedPictures, parse_shift
from saccade.envs.tasks import atari_suite, carla_suite, dmc_suite, driving_suite, manipulation_suite, minigrid_suite
from saccade.later import Later
from saccade.types import Spaces

if TYPE_CHECKING:
    import numpy as np

    from saccade.envs.config import EnvConfig
    from saccade.envs.simulation import Simulation
    from saccade.envs.streams import Streams
    from saccade.envs.workers.group import Renderer


@final
@dataclass(frozen=True)
class Suite:
    """A family of tasks, whose ids begin with its name and a slash.

    Attributes:
        title: its title in a list.
        listed: its tasks as a list shows them, by the word before them.
        tasks: their ids.
        modes: the modes of each of its tasks, ``train`` first.
        mode_groups: names that stand for several modes wherever modes are listed, with the modes or other groups that
            each has. By default ``train`` and the first group are played, and all modes if there are
            no groups.
        other_actions: values of options with which its tasks take another kind of action than by default.
        graded: ``task id -> modes`` with an intensity in their names, which are played only if named.
        evaluated_in: the modes that training evaluates in by default; empty if environments
            exist one at a time.
        episode_control_steps: ``configuration -> control steps`` until an episode is truncated.
        action_repeat: ``task id -> control steps`` of an action, as published.
        action_repeat_source: ``task id -> who published it``; None if it is not published.
        options: the frozen dataclass of further options, all with defaults. Its fields are flags of the
            command line, the docstrings below them their help. A name that other suites have too means the same there.
        image_size: ``task id -> pixels`` of a picture's longer side, by default.
        streams: ``(configuration, seeds) -> Streams``, for a simulator that steps a whole batch at once; None, or a
            function that returns None, if environments are spread over processes.
        evaluated: ``configuration -> configuration`` that evaluations and explanations of such a run play.
        fast: values of options that machines without a GPU can afford.
        knows_masks: whether its environments know which pixels show the task.
        ignored: ``simulation -> bool [H, W]``: which pixels of the current picture are neither the task nor plainly
            unimportant; None if everything but the task is unimportant.
        has_truth: ``configuration -> whether`` its task knows masks, if not all of the suite's do.
        one_at_a_time: whether only one environment can exist at a time; episodes are then played one after the other.
        light: whether a step takes less time than asking a process for it; environments then step without processes,
            unless some are asked for.
        check: raises UserError for a configuration whose task cannot have these options.
        spaces: ``configuration -> Spaces`` of its environments, known before any is made.
        simulation: ``configuration -> Simulation``, for ``PixelEnv``.
        renderer: ``() -> Renderer``, which ``EnvWorkers`` tries with a picture in each process before environments are
            made there, since drivers may hang in a first picture; None for a simulator that cannot hang.
    """

    title: str
    listed: Mapping[str, tuple[str, ...]]
    tasks: tuple[str, ...]
    modes: Modes
    evaluated_in: tuple[str, ...]
    episode_control_steps: Callable[[EnvConfig], int]
    action_repeat: Callable[[str], int]
    action_repeat_source: Callable[[str], str | None]
    options: type[Any]
    spaces: Callable[[EnvConfig], Spaces]
    simulation: Callable[[EnvConfig], Simulation]
    renderer: Callable[[], Renderer] | None = None
    mode_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_size: Callable[[str], int] = lambda task: 84
    streams: Callable[[EnvConfig, Sequence[int]], Streams | None] | None = None
    evaluated: Callable[[EnvConfig], EnvConfig] = lambda config: config
    fast: Mapping[str, Any] = field(default_factory=dict)
    knows_masks: bool = True
    ignored: Callable[[Any], np.ndarray] | None = None
    has_truth: Callable[[EnvConfig], bool] = lambda config: True
    one_at_a_time: bool = False
    light: bool = False
    check: Callable[[EnvConfig], None] = lambda config: None
    graded: Callable[[str], Modes] = lambda task: {}
    other_actions: Mapping[str, Any] = field(default_factory=dict)


MAKE_SIMULATION = partial(Later, "saccade.envs.mujoco.making", "make_simulation")
RENDERER = Later("saccade.envs.mujoco.opengl", "SimulatorRenderer")

SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "dmc": Suite(
            title="DeepMind Control Suite, as dmc/DOMAIN_TASK",
            listed=dmc_suite.DMC_DOMAINS,
            tasks=tuple(dmc_suite.DMC_TASKS),
            modes=dmc_suite.MODES,
            mode_groups=dmc_suite.MODE_GROUPS,
            graded=dmc_suite.graded_modes,
            evaluated_in=dmc_suite.EVALUATED_IN,
            episode_control_steps=lambda config: dmc_suite.EPISODE_CONTROL_STEPS,
            action_repeat=dmc_suite.action_repeat_of,
            action_repeat_source=dmc_suite.action_repeat_source,
            options=dmc_suite.ControlOptions,
            fast=looks.FAST,
            check=dmc_suite.check,
            spaces=dmc_suite.spaces_of,
            simulation=MAKE_SIMULATION({"task": Later("saccade.envs.tasks.dmc", "ControlSuite")}),
            renderer=RENDERER,
        ),
        "manipulation": Suite(
            title="robot, as manipulation/TASK",
            listed=MappingProxyType({"xArm7": manipulation_suite.NAMES}),
            tasks=manipulation_suite.MANIPULATION_TASKS,
            modes=manipulation_suite.MANIPULATION_MODES,
            evaluated_in=tuple(manipulation_suite.MANIPULATION_MODES),
            episode_control_steps=lambda config: manipulation_suite.EPISODE_CONTROL_STEPS,
            action_repeat=lambda task: 1,
            action_repeat_source=lambda task: "SMG paper, table 5",
            options=manipulation_suite.RobotOptions,
            check=manipulation_suite.check_bonus,
            fast=looks.FAST,
            spaces=manipulation_suite.spaces_of,
            simulation=MAKE_SIMULATION({"task": Later("saccade.envs.tasks.manipulation", "Robot")}),
            renderer=RENDERER,
        ),
        "minigrid": Suite(
            title="MiniGrid, as minigrid/TASK",
            listed=minigrid_suite.families(),
            tasks=minigrid_suite.GRID_TASKS,
            modes=minigrid_suite.MODES,
            evaluated_in=minigrid_suite.EVALUATED_IN,
            episode_control_steps=lambda config: minigrid_suite.grid_task(config.task).max_steps,
            action_repeat=lambda task: 1,
            action_repeat_source=lambda task: None,
            options=minigrid_suite.GridOptions,
            check=minigrid_suite.check,
            spaces=minigrid_suite.spaces_of,
            simulation=Later("saccade.envs.tasks.minigrid.simulation", "GridSimulation"),
            streams=Later("saccade.envs.tasks.minigrid.simulation", "GridStreams"),
            ignored=Later("saccade.envs.tasks.minigrid.simulation", "ignored_pixels"),
            image_size=minigrid_suite.usual_image_size,
            has_truth=minigrid_suite.has_mission,
            light=True,
        ),
        "atari": Suite(
            title="Atari 2600, as atari/GAME",
            listed=atari_suite.LISTED,
            tasks=atari_suite.ATARI_TASKS,
            modes=atari_suite.MODES,
            evaluated_in=atari_suite.EVALUATED_IN,
            episode_control_steps=atari_suite.control_steps_of,
            action_repeat=atari_suite.action_repeat_of,
            action_repeat_source=lambda task: atari_suite.FRAMES_SOURCE,
            options=atari_suite.AtariOptions,
            check=atari_suite.check,
            spaces=atari_suite.spaces_of,
            simulation=Later("saccade.envs.tasks.atari.simulation", "AtariSimulation"),
            streams=Later("saccade.envs.tasks.atari.vector", "streams_of"),
            evaluated=atari_suite.evaluated,
            knows_masks=False,
        ),
        "driving": Suite(
            title="driving, as driving/TASK",
            listed=MappingProxyType({"highway-env": ("highway",)}),
            tasks=driving_suite.DRIVING_TASKS,
            modes=driving_suite.MODES,
            evaluated_in=driving_suite.EVALUATED_IN,
            episode_control_steps=lambda config: driving_suite.EPISODE_CONTROL_STEPS,
            action_repeat=lambda task: 1,
            action_repeat_source=lambda task: "DIGR paper",
            options=driving_suite.DrivingOptions,
            spaces=driving_suite.spaces_of,
            simulation=Later("saccade.envs.tasks.driving.simulation", "HighwaySimulation"),
            renderer=RENDERER,
            image_size=lambda task: driving_suite.IMAGE_SIZE,
            other_actions=MappingProxyType({"controls": "continuous"}),
        ),
        "carla": Suite(
            title="CARLA on a server of your own, as carla/TASK",
            listed=MappingProxyType({"CARLA": ("highway",)}),
            tasks=carla_suite.CARLA_TASKS,
            modes=carla_suite.MODES,
            evaluated_in=(),
            episode_control_steps=lambda config: carla_suite.EPISODE_CONTROL_STEPS,
            action_repeat=lambda task: 1,
            action_repeat_source=lambda task: "DIGR paper",
            options=carla_suite.CarlaOptions,
            spaces=carla_suite.spaces_of,
            simulation=Later("saccade.envs.tasks.carla.simulation", "CarlaSimulation"),
            image_size=lambda task: carla_suite.IMAGE_SIZE,
            other_actions=MappingProxyType({"carla_setting": "rlvigen"}),
            one_at_a_time=True,
        ),
    }
)
"""Suite, the part of a task id before its slash -> its row."""

TASKS: tuple[str, ...] = tuple(task for suite in SUITES.values() for task in suite.tasks)
"""Every task id."""

ALL_MODES: tuple[str, ...] = tuple(dict.fromkeys(mode for suite in SUITES.values() for mode in suite.modes))
"""The names of all suites' modes, each once."""


MODE_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: members for suite in SUITES.values() for name, members in suite.mode_groups.items()}
)
"""Names that stand for several modes of a suite -> those modes, or other groups."""


def name_of_suite(task: str) -> str:
    """Return the part of a task id before its slash."""
    return task.partition("/")[0]


def processes_wanted(task: str, asked: int | None) -> int | None:
    """Return the processes for a task's environments: as asked; else 0 if light, or None, the usual number."""
    return 0 if asked is None and suite_of(task).light else asked


def suite_of(task: str) -> Suite:
    """Return the row of a task id in ``TASKS``."""
    return SUITES[name_of_suite(task)]


def modes_of(task: str) -> Modes:
    """Return the modes of a task id, ``train`` first."""
    return suite_of(task).modes


def usual_modes(task: str) -> tuple[str, ...]:
    """Modes that a task id is played in by default: ``train`` and its suite's first group, or all there are."""
    suite = suite_of(task)
    clean = next(iter(suite.modes))
    return tuple(suite.modes) if not suite.mode_groups else expanded((clean, next(iter(suite.mode_groups))))


def expanded(words: Sequence[str], own: Container[str] = ()) -> tuple[str, ...]:
    """Return the words, each once, with groups replaced by their modes.

    own: names that mean something else here.
    """
    found: dict[str, None] = {}
    for word in words:
        group = MODE_GROUPS.get(word) if word not in own else None
        found |= dict.fromkeys((word,) if group is None else expanded(group))
    return tuple(found)


def distractions_of(task: str, mode: str) -> tuple[Distraction, ...]:
    """Return what a mode changes, one of the task's own or one with shifts. Raises UserError for unknown ones."""
    modes = {**modes_of(task), **suite_of(task).graded(task)}
    if mode in modes:
        return modes[mode]
    shifted = parse_shift(mode, modes)
    own = scene_dials_of(name_of_suite(task))
    refuse_scene_dials(shifted.parts, task, own)
    check_scene([part for part in shifted.parts if part[0] in own], shifted.under)
    first = [part for part in shifted.parts if part[0] in own and not SCENE_DIALS[part[0]].in_place]
    changes: list[Distraction] = [SCENE_DIALS[name].make(strength) for name, strength in first]
    others = [part for part in shifted.parts if part not in first]
    for in_scene, parts in groupby(others, key=lambda part: part[0] in own):
        if in_scene:
            changes += [SCENE_DIALS[name].make(strength) for name, strength in parts]
        else:
            changes.append(ShiftedPictures(tuple(parts)))
    return (*modes[shifted.under], *changes)


def option_names(suite: Suite) -> tuple[str, ...]:
    """Return the names of its options."""
    return tuple(option.name for option in fields(suite.options))
