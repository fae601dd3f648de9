"""``saccade train METHOD TASK`` and ``saccade train --resume RUN``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from saccade.agents.methods_of import label_of, method_of
from saccade.cli import terminal
from saccade.cli.interrupts import Asked
from saccade.cli.parsing import parsed
from saccade.cli.progress import TrainingProgress
from saccade.cli.suite_options import flag, names_in, refuse_foreign
from saccade.cli.train_options import Resume, beginning, is_resumed, option_names_of, train_options
from saccade.doctor.facts import environment_facts
from saccade.envs.suites import expanded
from saccade.runs.exported import refuse_learning_on
from saccade.runs.training import OffPolicy, RunConfig, Teaching, check_actions
from saccade.runs.zoo import refuse_resuming
from saccade.train import session
from saccade.train.events import Event
from saccade.train.loop import Loop
from saccade.train.sinks import Tracker
from saccade.types import UserError
from saccade.viewer.pictures import enlarged, write_video

TRAINING_MODE = "train"
VIDEO_FRAMES_PER_SECOND = 25.0


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    if is_resumed(words):
        options = parsed(Resume, "saccade train", words)
        refuse_resuming(options.resume)
        refuse_learning_on(options.resume)
        chosen = {
            name: getattr(options, name)
            for name in ("device", "compile", "graphs", "data", "images", "method", "teacher")
        }
        with _Watcher(terminal.console(), options.resume) as watcher:
            result = session.resume(
                options.resume,
                options.steps,
                watcher.see,
                watcher.asked_to_stop,
                watcher.warn,
                watcher.progress.preparing,
                {name: value for name, value in chosen.items() if value is not None},
                options.log,
            )
            return watcher.finish(result)
    config, folder, tracker = parse_all(words)
    with _Watcher(terminal.console(), folder) as watcher:
        if config.env.mode != TRAINING_MODE:
            watcher.warn(
                f"This run is trained in {config.env.mode}, a mode that is meant for tests: its results there say "
                f"nothing about generalization. To train in {TRAINING_MODE}, leave out @{config.env.mode}."
            )
        result = session.start(
            config,
            folder,
            environment_facts(),
            watcher.see,
            watcher.asked_to_stop,
            watcher.progress.preparing,
            tracker,
        )
        return watcher.finish(result)


def parse(words: list[str]) -> tuple[RunConfig, Path]:
    """Return the run that the words of a command line describe, and its folder. Raises UserError."""
    config, folder, _ = parse_all(words)
    return config, folder


def parse_all(words: list[str]) -> tuple[RunConfig, Path, Tracker | None]:
    """Return the run, its folder, and what tracks it. Raises UserError."""
    begun = beginning(words)
    method, env = begun.method, begun.env
    program = f"saccade train {method} {env.task}"
    kind = train_options(method, env.task, begun.size)
    known = set(option_names_of(kind()))
    unknown = [name for name in names_in(begun.rest) if name not in known]
    refuse_foreign(unknown, env.task)
    _refuse_of_other_loops(unknown, method)
    options = parsed(kind, program, begun.rest)
    rendered = method_of(method).rendered_size(options.agent)
    env = env.changed(image_size=rendered, options=options.options, **dataclasses.asdict(options.environment))
    check_actions(method, env)
    loop = options.loop if method_of(method).loop == "off_policy" else None
    modes = expanded(options.training.evaluation_modes)
    training = dataclasses.replace(options.training, evaluation_modes=modes)
    teaching = options.teaching if method_of(method).taught else None
    config = RunConfig(method, env, options.agent, training, loop, teaching)
    return config, options.out or session.run_folder(config), options.log


def _refuse_of_other_loops(names: Iterable[str], method: str) -> None:
    """Raise UserError for an option of the replay buffer or teacher, given to a method that has none."""
    for name in names:
        if name in set(option_names_of(Teaching())) and not method_of(method).taught:
            raise UserError(
                f"{flag(name)} is an option of methods that learn from a teacher, but {label_of(method)} has none: "
                "leave it out."
            )
        if name in set(option_names_of(OffPolicy())):
            raise UserError(
                f"{flag(name)} is an option of methods that learn from a replay buffer, but {label_of(method)} learns "
                "from "
                "rollouts: leave it out."
            )


class _Watcher:
    """Shows a training run, writes its videos, and turns Ctrl-C into a request to save and leave."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console, self.folder, self.progress = console, folder, TrainingProgress(console)
        # The second Ctrl-C ends it at once, at the last checkpoint.
        self._asked = Asked(lambda: console.print("Saving and leaving; press Ctrl-C again to leave at once."))

    def __enter__(self) -> _Watcher:
        self._asked.__enter__()
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        self._asked.__exit__()

    def asked_to_stop(self) -> bool:
        return self._asked.to_stop()

    def warn(self, sentence: str) -> None:
        self.console.print(sentence, style="yellow")

    def see(self, event: Event, training: Loop) -> None:
        self.progress.show(event, training)
        if event.evaluation is not None and event.evaluation.frames is not None:
            name = f"{event.row['env_steps']:09d}_{event.evaluation.mode}.mp4"
            path = self.folder / "videos" / name
            path.parent.mkdir(exist_ok=True)
            write_video(path, enlarged(event.evaluation.frames), VIDEO_FRAMES_PER_SECOND)

    def finish(self, result: dict[str, Any] | None) -> int:
        self.progress.stop()
        if result is None:
            self.console.print(f"Saved. Continue with: saccade train --resume {self.folder}", highlight=False)
            return 130
        self.console.print(
            f"Done: {self.folder}. Compare its modes with: saccade evaluate {self.folder}", highlight=False
        )
        return 0
