"""Parse the words of ``saccade train`` into a run: method, task and preset decide the defaults of its options."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saccade.agents import METHODS
from saccade.agents.methods_of import is_own, label_of, method_of, open_named
from saccade.agents.presets import SIZES, preset
from saccade.cli.nearest import nearest
from saccade.envs.config import EnvConfig
from saccade.envs.suites import option_names, suite_of
from saccade.runs.training import OffPolicy, Teaching, Training, check_actions
from saccade.types import UserError

SIZE_HELP = (
    "The defaults of the options. paper: the method's own paper; smg_rerun: as SMG's authors ran the baselines; small: "
    "networks, pictures and a length that a CPU can manage. saccade list --preset METHOD shows all. (default: paper)"
)


@dataclass(frozen=True)
class Environment:
    """How the task is shown to the agent."""

    action_repeat: int | None = None
    """Control steps per agent step; by default the task's published number (walker 4, cartpole 8, finger 2, ...)."""
    frame_stack: int = 3
    """Frames in an observation."""


@dataclass(frozen=True)
class Folder:
    """Where a run and its numbers go."""

    out: Path | None = None
    """Folder of the run, which must not hold a run yet; by default runs/TASK/METHOD/SEED."""
    log: Literal["wandb", "trackio"] | None = None
    """Where numbers go besides the run's own files and TensorBoard: to Weights & Biases or to Trackio, whose package
    must be installed."""


@dataclass(frozen=True)
class Resume:
    """Continue a run from its newest undamaged checkpoint, with the run's own options."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Folder of the run to continue."""
    steps: int | None = None
    """A new total of agent steps; by default the run's own."""
    device: str | None = None
    """The device to continue on, as in a new run; by default as in the run's own options."""
    compile: Literal["auto", "on", "off"] | None = None
    """Whether losses are compiled from now on; by default as in the run so far."""
    graphs: Literal["auto", "on", "off"] | None = None
    """Whether updates are recorded as CUDA graphs from now on; by default as in the run so far."""
    data: str | None = None
    """Where the benchmark's data folder is now; by default where it was."""
    images: str | None = None
    """Where the folder of pictures to blend is now; by default where it was."""
    teacher: str | None = None
    """Where the teacher that the run learns from is now; by default where it was."""
    method: str | None = None
    """The file of your own method, if it has moved or changed, to be used from now on. That file is run."""
    log: Literal["wandb", "trackio"] | None = None
    """Where numbers go from now on besides the run's own files and TensorBoard, as in a new run; by default nowhere."""


@dataclass(frozen=True)
class Beginning:
    """The words before the options, and the value of ``--preset``; ``rest`` are the other words."""

    method: str
    env: EnvConfig
    size: str
    rest: tuple[str, ...]


def is_resumed(words: list[str]) -> bool:
    """Return whether a run is to be continued: every other option is then the run's own."""
    return any(word == "--resume" or word.startswith("--resume=") for word in words)


def beginning(words: list[str]) -> Beginning:
    """Return method, task and preset. Raises UserError if they are missing or do not exist."""
    names = names_first(words)
    if len(names) < 2:
        raise UserError("A method and a task are needed first, such as `saccade train sgqn dmc/walker_walk`.")
    method, task = names
    method = method_named(method)
    size, rest = chosen_preset(words[2:])
    env = EnvConfig.parse(task)
    check_actions(method, env, with_any_options=True)
    return Beginning(method, env, size, tuple(rest))


def method_named(word: str) -> str:
    """Method that a person names: the package's, or ``file.py:NAME``, whose file is run. Raises UserError."""
    if is_own(word):
        return open_named(word)
    if word not in METHODS:
        raise UserError(f"There is no method {word!r}. {nearest(word, METHODS)}")
    return word


def names_first(words: list[str]) -> list[str]:
    """Return the method and the task, as far as they come before the first option."""
    return list(itertools.takewhile(lambda word: not word.startswith("-"), words[:2]))


def chosen_preset(words: list[str]) -> tuple[str, list[str]]:
    """Value of the last ``--preset``, since it decides the defaults of other options, and the other words."""
    size, rest, place = next(iter(SIZES)), [], 0
    while place < len(words):
        name, equals, value = words[place].partition("=")
        if name == "--preset":
            place += not equals
            size = value if equals else "".join(words[place : place + 1])
        else:
            rest.append(words[place])
        place += 1
    return size, rest


def option_names_of(options: Any) -> Iterator[str]:
    """Yield the names of all options of a dataclass and of those in it."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            yield from option_names_of(value)
        else:
            yield field.name


def train_options(method: str, task: str, size: str) -> type[Any]:
    """Train an agent, and keep all of it in one folder. Options that you leave out are as published for the method and
    the task, or as the preset says.
    """
    start, suite = preset(method, task, size), suite_of(task)
    shown = {name: value for name, value in start.environment.items() if name not in option_names(suite)}
    own = {name: value for name, value in start.environment.items() if name in option_names(suite)}
    fields = [
        ("training", Training, dataclasses.field(default_factory=lambda: Training(**start.training))),
        ("environment", Environment, dataclasses.field(default_factory=lambda: Environment(**shown))),
        ("options", suite.options, dataclasses.field(default_factory=lambda: suite.options(**own))),
        ("agent", type(start.agent), dataclasses.field(default_factory=lambda: start.agent)),
    ]
    if method_of(method).loop == "off_policy":
        fields.insert(1, ("loop", OffPolicy, dataclasses.field(default_factory=lambda: OffPolicy(**start.loop))))
    if method_of(method).taught:
        fields.insert(1, ("teaching", Teaching, dataclasses.field(default_factory=lambda: Teaching(**start.teaching))))
    _refuse_names_of_every_run(method, start.agent, [shown for _, kind, _ in fields[:-1] for shown in _names(kind)])
    return dataclasses.make_dataclass("Options", fields, bases=(Folder,), frozen=True)


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _refuse_names_of_every_run(method: str, agent: Any, taken: list[str]) -> None:
    """Raise UserError for a custom hyper-parameter that no flag can be made of."""
    of_run = [*taken, *_names(Folder), "preset", "resume"]
    own = list(option_names_of(agent))
    for name in own:
        if name in of_run or own.count(name) > 1:
            other = "an option of every run" if name in of_run else "the name of two of them"
            raise UserError(f"The hyper-parameter {name} of {label_of(method)} is {other}: give it another name.")
