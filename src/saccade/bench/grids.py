"""A grid as data: which methods on which tasks with which seeds, and what is then measured on each run.

Nothing here runs anything or loads torch. ``bench/cells.py`` turns a grid into commands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from saccade.spelling import close_names
from saccade.types import UserError

PAPER = "paper"
SPACED = " \t\n\r"
FORBIDDEN = frozenset('/\\:*?"<>|{}') | frozenset(SPACED)
"""Characters that an arm's name cannot contain, since a folder is named after it."""

Value = bool | int | float | str | tuple[int | float | str, ...] | None
Options = Mapping[str, Value]
"""Flags of a command, named with underscores; None removes a flag that a broader description sets."""


@dataclass(frozen=True)
class Arm:
    """One row of a table: a method with some options.

    Attributes:
        name: its name in tables and folders.
        method: its method, named as in ``saccade train``.
        options: flags of ``saccade train``, on top of the grid's.
        teacher: the arm of the same grid whose runs teach this arm's runs on the same task.
        teacher_seed: whether a run's teacher is the run of the same seed or that of the grid's first seed.
        about: what the arm is, where its name does not say so.
    """

    name: str
    method: str
    options: Options = field(default_factory=dict)
    teacher: str | None = None
    teacher_seed: Literal["same", "first"] = "same"
    about: str = ""


@dataclass(frozen=True)
class Evaluating:
    """Episodes to play with every finished run; ``options`` are flags of ``saccade evaluate``."""

    modes: tuple[str, ...] = ()
    """None stands for the modes that the task is usually evaluated in."""
    episodes: int = 100
    sampled: bool = False
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Scoring:
    """Saliency maps to score on every finished run; ``options`` are flags of ``saccade score``."""

    methods: tuple[str, ...] = ("all",)
    """None leaves the choice to the command."""
    modes: tuple[str, ...] = ("train",)
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Attacking:
    """Attacks to run on every finished run; ``options`` are flags of ``saccade attack``."""

    attacks: tuple[str, ...]
    epsilons: tuple[float, ...] = (0, 1, 2, 4, 8, 12, 16)
    """Budgets, in steps of 1/255."""
    episodes: int = 50
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """What a grid changes under a preset other than the paper's, such as ``small``; None changes nothing.

    ``options`` are added to the grid's, ``arm_options`` to an arm's own.
    """

    about: str
    options: Options = field(default_factory=dict)
    arm_options: Mapping[str, Options] = field(default_factory=dict)
    tasks: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    evaluation: Evaluating | None = None
    scores: Scoring | None = None
    attacks: Attacking | None = None


@dataclass(frozen=True)
class Grid:
    """An experiment: every arm on every task with every seed. Validated on creation, except for names of other tables.

    Attributes:
        name: its name on the command line and in folders.
        title: one line.
        source: the paper and its table, or the author of the experiment.
        preset: the preset that every run starts with.
        options: flags of ``saccade train`` for every run.
        evaluation, scores, attacks: what is measured on a finished run besides its own last evaluation.
        forms: changes to the grid, by preset.
        published: names of papers' tables (``saccade.bench.published``) to compare with.
        assumptions: what the source does not say, and what is done here instead.
        deviations: what is done differently from the source.
        subject: the arm that each other one is compared with; by default the last.

    Raises:
        UserError: names are missing or repeated, a teacher is no arm, two cells would be the same run, or numbers of
            episodes or budgets are invalid.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    source: str = ""
    preset: str = PAPER
    options: Options = field(default_factory=dict)
    evaluation: Evaluating | None = None
    scores: Scoring | None = None
    attacks: Attacking | None = None
    forms: Mapping[str, Form] = field(default_factory=dict)
    published: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    subject: str = ""

    def __post_init__(self) -> None:
        _check_named(self)
        _check_teachers(self)
        if self.subject:
            self.arm(self.subject)
        _check_apart(self)
        _check_measured(self)

    def arm(self, name: str) -> Arm:
        """Return the arm of that name. Raises UserError with the nearest names."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UserError(f"{self.name} has no method {name!r}: {_offered(name, [arm.name for arm in self.arms])}.")


def folder_of(task: str) -> str:
    """Return the folder name of a task: ``dmc-walker_walk``."""
    return task.replace("/", "-").replace("@", "-").replace(":", "-")


def name_of(arm: str, task: str, seed: int) -> str:
    """Return the name of a cell."""
    return f"{folder_of(task)}/{arm}/{seed}"


def in_form(grid: Grid, preset: str) -> Grid:
    """Return the grid with another preset and the changes that come with it; its name stays the same."""
    form = grid.forms.get(preset)
    if form is None:
        return dataclasses.replace(grid, preset=preset)
    arms = tuple(
        dataclasses.replace(arm, options={**arm.options, **form.arm_options.get(arm.name, {})}) for arm in grid.arms
    )
    return dataclasses.replace(
        grid,
        preset=preset,
        arms=arms,
        options={**grid.options, **form.options},
        tasks=grid.tasks if form.tasks is None else form.tasks,
        seeds=grid.seeds if form.seeds is None else form.seeds,
        evaluation=grid.evaluation if form.evaluation is None else form.evaluation,
        scores=grid.scores if form.scores is None else form.scores,
        attacks=grid.attacks if form.attacks is None else form.attacks,
    )


def part_of(grid: Grid, methods: Sequence[str] = (), tasks: Sequence[str] = (), seeds: int | None = None) -> Grid:
    """Return some arms, some tasks and the first few seeds of a grid; arms that teach the chosen ones are included.

    Raises:
        UserError: the grid does not have a method or task, or there are no seeds.
    """
    wanted = [grid.arm(name).name for name in methods] or [arm.name for arm in grid.arms]
    for name in wanted:  # the list grows: a teacher may have a teacher itself
        teacher = grid.arm(name).teacher
        wanted += [teacher] if teacher is not None and teacher not in wanted else []
    for task in tasks:
        if task not in grid.tasks:
            raise UserError(f"{grid.name} has no task {task!r}: {_offered(task, grid.tasks)}.")
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds {seeds} is too small: it must be at least 1.")
    return dataclasses.replace(
        grid,
        arms=tuple(arm for arm in grid.arms if arm.name in wanted),
        tasks=tuple(task for task in grid.tasks if not tasks or task in tasks),
        subject=grid.subject if grid.subject in wanted else "",
        seeds=grid.seeds if seeds is None else first_seeds(grid.seeds, seeds),
    )


def first_seeds(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return the first ``count`` of a grid's seeds, continued with the numbers after its last one."""
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + count))[:count]


def _check_named(grid: Grid) -> None:
    for what, names in (("method", grid.arms), ("task", grid.tasks), ("seed", grid.seeds)):
        if not names:
            raise UserError(f"{grid.name or 'A grid'} has no {what}: give it one.")
    for name in (grid.name, *(arm.name for arm in grid.arms)):
        if not name or set(name) & FORBIDDEN or name.startswith((".", "-")):
            raise UserError(f"{name!r} cannot be a folder's name: use letters, digits, - and _.")
    for what, keys in (
        ("method", [arm.name for arm in grid.arms]),
        ("task", list(grid.tasks)),
        ("seed", list(map(str, grid.seeds))),
    ):
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise UserError(f"{grid.name} has the {what} {twice} twice, which would be one run: leave one out.")
    for seed in grid.seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"{grid.name} has the seed {seed!r}: it must be a whole number from 0.")
    alike: dict[tuple[object, ...], str] = {}
    for arm in grid.arms:
        key = (arm.method, repr(sorted(arm.options.items())), arm.teacher, arm.teacher_seed)
        if key in alike:
            raise UserError(
                f"{grid.name}: {alike[key]} and {arm.name} are the same method with the same options, so that they "
                "would be one run twice: change or leave out one of them."
            )
        alike[key] = arm.name


def _check_teachers(grid: Grid) -> None:
    names = [arm.name for arm in grid.arms]
    for arm in grid.arms:
        seen = [arm.name]
        while (teacher := grid.arm(seen[-1]).teacher) is not None:
            if teacher not in names:
                raise UserError(f"{seen[-1]} of {grid.name} has the teacher {teacher!r}: {_offered(teacher, names)}.")
            if teacher in seen:
                raise UserError(f"{grid.name}: {' teaches '.join([teacher, *seen[::-1]])}, which has no beginning.")
            seen.append(teacher)
        if arm.teacher_seed not in ("same", "first"):
            raise UserError(f"The teacher_seed of {arm.name} is {arm.teacher_seed!r}: it must be same or first.")


def _check_apart(grid: Grid) -> None:
    """Raise UserError for two tasks whose runs would share a folder."""
    there: dict[str, str] = {}
    for task in grid.tasks:
        other = there.setdefault(folder_of(task), task)
        if other != task:
            raise UserError(
                f"{grid.name}: {other} and {task} would both be the run "
                f"{name_of(grid.arms[0].name, task, grid.seeds[0])}: put one of them into a grid of its own."
            )


def _check_measured(grid: Grid) -> None:
    for step, plan in (("evaluation", grid.evaluation), ("attacks", grid.attacks)):
        if plan is not None and plan.episodes < 1:
            raise UserError(f"{grid.name} gives its {step} {plan.episodes} episodes: give it at least 1.")
    for epsilon in () if grid.attacks is None else grid.attacks.epsilons:
        if not 0 <= epsilon <= 255:
            raise UserError(f"{grid.name} has the budget {epsilon:g}: by how many of 255 a pixel may change, 0 to 255.")


def _offered(word: str, names: Sequence[str]) -> str:
    close = close_names(word, list(names))
    return f"did you mean {' or '.join(close)}" if close else f"there are {', '.join(names)}"
