"""``saccade train METHOD TASK`` and ``saccade train --resume RUN``."""

from __future__ import annotations

import dataclasses
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from saccade.agents import METHODS
from saccade.agents.presets import SIZES, Preset, preset
from saccade.cli import nearest
from saccade.cli.progress import TrainingProgress
from saccade.envs.env import EnvConfig
from saccade.machine.facts import environment_facts
from saccade.policies.run import RunConfig, Training
from saccade.train import session
from saccade.train.off_policy import Event, OffPolicyTraining
from saccade.types import UserError
from saccade.viewer.pictures import write_video

USAGE = """usage: saccade train METHOD TASK [--preset small] [options]
       saccade train --resume RUN [--steps STEPS]

METHOD is one of {methods}; TASK is such as dmc/walker_walk.
saccade train METHOD TASK --help lists every option with the values that the method has for the task."""
VIDEO_FRAMES_PER_SECOND = 25.0


@dataclass(frozen=True)
class Environment:
    """How the task is shown to the agent."""

    action_repeat: int | None = None
    """Control steps per agent step; by default the benchmark's for the task (walker 4, cartpole 8, finger 2, ...)."""
    frame_stack: int = 3
    """Frames in an observation."""
    render_quality: Literal["full", "fast"] = "full"
    """fast: several times cheaper software rendering; never compare it with results of full."""
    camera: str | None = None
    """Name or number of the camera that looks; by default the task's own (side, fixed, y, ...)."""
    action_space: Literal["xy", "xyz"] = "xy"
    """Of the robot: whether the gripper keeps its height."""
    reach_bonus: bool = True
    """Of the robot's reach: reward 1 for a step at the goal, as in the papers' tables."""
    clip_order: Literal["seed", "sequential"] = "seed"
    """Which video an episode gets in the video modes: by its seed, or one after the other as published."""
    data: str | None = None
    """The benchmark's data folder; by default the one that SACCADE_DATA names, else generated colours and videos."""


@dataclass(frozen=True)
class Resume:
    """Options of ``saccade train --resume RUN``."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Folder of the run to continue."""
    steps: int | None = None
    """A new total of agent steps; by default the run's own."""
    device: str | None = None
    """Where to go on, as in a new run; by default where the run's own options say."""
    compile: Literal["auto", "on", "off"] | None = None
    """Whether losses are compiled from now on; by default as in the run so far."""
    graphs: Literal["auto", "on", "off"] | None = None
    """Whether updates are recorded as CUDA graphs from now on; by default as in the run so far."""


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    if any(word == "--resume" or word.startswith("--resume=") for word in words):
        options = tyro.cli(Resume, prog="saccade train", args=words)
        chosen = {"device": options.device, "compile": options.compile, "graphs": options.graphs}
        with _Watcher(Console(), options.resume) as watcher:
            result = session.resume(
                options.resume,
                options.steps,
                watcher.see,
                watcher.asked_to_stop,
                watcher.warn,
                watcher.progress.preparing,
                {name: value for name, value in chosen.items() if value is not None},
            )
            return watcher.finish(result)
    config, folder = parse(words)
    with _Watcher(Console(), folder) as watcher:
        result = session.start(
            config, folder, environment_facts(), watcher.see, watcher.asked_to_stop, watcher.progress.preparing
        )
        return watcher.finish(result)


def parse(words: list[str]) -> tuple[RunConfig, Path]:
    """The run that the words of a command line describe, and its folder. Raises UserError."""
    positional: list[str] = []
    while words and not words[0].startswith("-") and len(positional) < 2:
        positional.append(words.pop(0))
    if len(positional) < 2:
        if words and words[0] in ("-h", "--help"):
            print(USAGE.format(methods=", ".join(METHODS)))
            raise SystemExit(0)
        raise UserError("A method and a task are needed first, such as `saccade train sgqn dmc/walker_walk`.")
    method, task = positional
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}. {nearest(method, list(METHODS))}")
    env = EnvConfig.parse(task)
    size = _take_preset(words)
    flags = _flags(preset(method, env.task, size))
    options = tyro.cli(flags, prog=f"saccade train {method} {task}", args=words, config=(tyro.conf.OmitArgPrefixes,))
    rendered = METHODS[method].rendered_size(options.agent)
    env = dataclasses.replace(env, image_size=rendered, **dataclasses.asdict(options.environment))
    config = RunConfig(method, env, options.agent, options.training)
    return config, options.out or session.run_folder(config)


def _flags(start: Preset) -> type[Any]:
    """The options of ``train`` for a method: its own hyper-parameters among them, at their preset values."""
    fields = [
        ("training", Training, dataclasses.field(default_factory=lambda: Training(**start.training))),
        ("environment", Environment, dataclasses.field(default_factory=lambda: Environment(**start.environment))),
        ("agent", type(start.agent), dataclasses.field(default_factory=lambda: start.agent)),
        ("out", Path | None, dataclasses.field(default=None)),
    ]
    made = dataclasses.make_dataclass("Options", fields, frozen=True)
    made.__doc__ = (
        "Train an agent; the folder it goes to is --out, by default runs/TASK/METHOD/SEED. "
        "--preset small takes small networks and pictures, for CPUs; --preset smg_rerun what SMG's authors ran the "
        "baselines with."
    )
    return made


def _take_preset(words: list[str]) -> str:
    """Remove ``--preset SIZE`` from the words, since it decides the defaults of other options; the last one counts."""
    size = SIZES[0]
    for index in reversed([index for index, word in enumerate(words) if word.partition("=")[0] == "--preset"]):
        _, equals, value = words[index].partition("=")
        if not equals:
            value = words[index + 1] if index + 1 < len(words) else ""
        del words[index : index + (1 if equals else 2)]
        size = value if size == SIZES[0] else size
    return size


class _Watcher:
    """Shows a training run, writes its videos, and turns Ctrl-C into a request to save and leave."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console, self.folder, self.progress = console, folder, TrainingProgress(console)
        self._stop = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> _Watcher:
        self._handlers = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._stop:  # the second time: leave at once, at the last checkpoint
            raise KeyboardInterrupt
        self._stop = True
        self.console.print("Saving and leaving; once more to leave at once.")

    def asked_to_stop(self) -> bool:
        return self._stop

    def warn(self, sentence: str) -> None:
        self.console.print(f"[yellow]{sentence}", highlight=False)

    def see(self, event: Event, training: OffPolicyTraining) -> None:
        self.progress.show(event, training)
        if event.evaluation is not None and event.evaluation.frames is not None:
            name = f"{event.row['env_steps']:09d}_{event.evaluation.mode}.mp4"
            path = self.folder / "videos" / name
            path.parent.mkdir(exist_ok=True)
            write_video(path, event.evaluation.frames, VIDEO_FRAMES_PER_SECOND)

    def finish(self, result: dict[str, Any] | None) -> int:
        self.progress.stop()
        if result is None:
            self.console.print(f"Saved. Continue with: saccade train --resume {self.folder}", highlight=False)
            return 130
        self.console.print(
            f"Done: {self.folder}. Compare its modes with: saccade evaluate {self.folder}", highlight=False
        )
        return 0
