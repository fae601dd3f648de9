"""Where a run's numbers go besides its files: TensorBoard always, and a tracker that the user asks for.

A sink has three methods. A tracker's package is imported when its sink is opened, before the run has a folder, so that
a missing one costs nothing; later failures of a tracker never end a run, whose files are authoritative.
"""

from __future__ import annotations

import importlib
import json
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, TypeAlias, final

from saccade.agents.methods_of import label_of
from saccade.data.documents import read_document
from saccade.data.user_code import first_line
from saccade.runs.config import to_json
from saccade.runs.exported import portable
from saccade.runs.training import RunConfig
from saccade.train.logs import COUNTERS, write_aside
from saccade.types import UserError

Tracker: TypeAlias = Literal["wandb", "trackio"]
PROJECT = "saccade"


@final
@dataclass(frozen=True)
class Begun:
    """A run that begins or continues: its configuration, its folder, and the agent steps that it has done."""

    config: RunConfig
    folder: Path
    env_steps: int

    @property
    def name(self) -> str:
        """The run's name for people: ``dmc-walker_walk/sgqn/0``."""
        config = self.config
        return f"{config.env.task.replace('/', '-')}/{label_of(config.method)}/{config.training.seed}"


class Sink(Protocol):
    """Takes rows of numbers; their ``env_steps`` says where they belong."""

    def begin(self, run: Begun) -> None:
        """Prepare for the first row. Raises UserError if it cannot take any."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Take the numbers of a row. Steps may go back: an evaluation ends later than it began."""

    def close(self) -> None:
        """Finish after the last row, even if the run failed."""


@final
class TensorBoard:
    """Writes scalars to the run's folder, by agent step; imported when a run begins."""

    def __init__(self) -> None:
        self._writer: Any = None

    def begin(self, run: Begun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.env_steps + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        for key, value in numbers_of(row).items():
            self._writer.add_scalar(key, value, row["env_steps"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@final
class WandB:
    """Weights & Biases: agent steps are the axis of every chart, since its own count of steps cannot go back."""

    def __init__(self) -> None:
        self._package = package("wandb")
        self._run: Any = None

    def begin(self, run: Begun) -> None:
        begin = self._package.init
        name, settings = identity(run, "wandb"), to_json(portable(run.config))
        self._run = begin(project=PROJECT, name=run.name, id=name, resume="allow", config=settings, dir=str(run.folder))
        self._run.define_metric("*", step_metric="env_steps")

    def write(self, row: Mapping[str, Any]) -> None:
        self._run.log({"env_steps": row["env_steps"], **numbers_of(row)})

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()


@final
class Trackio:
    """Trackio, which keeps its runs on this machine; its run has our name, plus what distinguishes two of that name."""

    def __init__(self) -> None:
        self._package = package("trackio")
        self._begun = False

    def begin(self, run: Begun) -> None:
        name = f"{run.name} {identity(run, 'trackio')}"
        self._package.init(project=PROJECT, name=name, resume="allow", config=to_json(portable(run.config)))
        self._begun = True

    def write(self, row: Mapping[str, Any]) -> None:
        self._package.log(numbers_of(row), step=row["env_steps"])

    def close(self) -> None:
        if self._begun:
            self._package.finish()


TRACKERS: Mapping[Tracker, Callable[[], Sink]] = {"wandb": WandB, "trackio": Trackio}


@final
class Sinks:
    """TensorBoard and at most one tracker, as one sink. A failing tracker is reported once and then left out."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        """Raises UserError if the tracker's package is missing."""
        self._board = TensorBoard()
        self._tracker = None if tracker is None else TRACKERS[tracker]()
        self._name = str(tracker)

    def begin(self, run: Begun) -> None:
        self._board.begin(run)
        if self._tracker is None:
            return
        try:
            self._tracker.begin(run)
        except Exception as error:
            raise UserError(
                f"--log {self._name} cannot begin ({first_line(error)}): leave it out, or fix that first; "
                f"`saccade train --resume {run.folder} --log {self._name}` then continues."
            ) from error

    def write(self, row: Mapping[str, Any]) -> None:
        self._board.write(row)
        if self._tracker is not None:
            self._asked(lambda tracker: tracker.write(row))

    def close(self) -> None:
        self._board.close()
        if self._tracker is not None:
            self._asked(lambda tracker: tracker.close())

    def _asked(self, act: Callable[[Sink], None]) -> None:
        assert self._tracker is not None
        try:
            act(self._tracker)
        except Exception as error:  # noqa: BLE001  # whatever a tracker fails at, the run goes on
            self._tracker = None
            what = f"{self._name} failed ({first_line(error)}) and gets no more numbers; the run's files have them all"
            warnings.warn(what, stacklevel=2)


def numbers_of(row: Mapping[str, Any]) -> dict[str, int | float]:
    """Return a row's numbers, without the counters."""
    return {key: value for key, value in row.items() if key not in COUNTERS and isinstance(value, int | float)}


def package(name: Tracker) -> ModuleType:
    """Return a tracker's package. Raises UserError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"--log {name} needs the package {name}, which is missing: install it with `pip install {name}`, or leave "
            "--log out; TensorBoard's files are written in any case."
        ) from error


def identity(run: Begun, tracker: Tracker) -> str:
    """Id by which a tracker knows this run wherever it is resumed: drawn once, and kept in ``tracker.json``."""
    path = run.folder / "tracker.json"
    try:
        known = read_document(path, dict[str, str])
    except (OSError, UserError):
        known = {}
    if tracker not in known:
        known[tracker] = secrets.token_hex(4)
        write_aside(path, json.dumps(known))
    return known[tracker]
