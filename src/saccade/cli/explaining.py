"""What ``saccade explain`` and ``saccade score`` share: their options, and the policy, task and folder they mean."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from saccade.data.files import written_aside
from saccade.explain.explanation import Explanation, Moments, explain
from saccade.explain.maps import ALL, MethodSettings
from saccade.explain.tasks import CLEAN, Task, find_task, task_of
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.policies.scores import default_score
from saccade.types import UserError
from saccade.viewer.explanation import film_frames, grid_picture, write_figure
from saccade.viewer.pictures import png, write_video
from saccade.viewer.remarks import remarks
from saccade.viewer.report import write_report

IN_RUN, ELSEWHERE = "explain", Path("explanations")
VIDEO_FRAMES_PER_SECOND = 4.0
LARGEST_RADIUS = 1000.0


@dataclass(frozen=True)
class Subject:
    """Which policy, and on which task."""

    what: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = None
    """A run folder of Saccade, or a zip of Stable-Baselines3 (PPO, A2C, DQN, SAC, TD3)."""
    task: str | None = None
    """dmc/walker_walk, an id of Gymnasium, or file.py:function that makes an environment; by default a run's own."""
    modes: tuple[str, ...] = ()
    """Modes of the task, such as train video_hard; by default train."""
    policy: Annotated[str | None, tyro.conf.arg(metavar="FILE.PY:CLASS")] = None
    """For any other network: its class, in a Python file of yours, which is run."""
    checkpoint: Path | None = None
    """The weights for --policy: a state dict, as torch.save(model.state_dict()) or CleanRL write it. FILE:NAME is one
    of several in a file, such as both.pt:online."""
    output: tuple[str, ...] = ()
    """What the network of --policy gives: logits, q_values, action, or logits=module:actor value=method:get_value."""
    layout: Literal["channels_first", "channels_last"] | None = None
    """Where the channels of observations are, if their shape does not say."""
    colours: Literal[1, 3] | None = None
    """Channels per frame of a stack: 3 is --channels rgb, 1 is --channels grey."""
    channels: str | None = None
    """What the channels of one frame are, such as rgb,depth or grey: rgb is three, any other word one. By default the
    episode shows it, as far as it can."""
    trust: bool = False
    """Allow files that run code when they are opened (pickles). Only for files of people you trust."""
    device: str = "auto"
    """auto, cpu or cuda."""
    data: str | None = None
    """The benchmark's data folder; by default the run's own, or the one that SACCADE_DATA names."""
    render_quality: Literal["full", "fast"] | None = None
    """Of Saccade's tasks; by default as in the run, else full."""
    image_size: int | None = None
    """Of Saccade's tasks, in pixels; by default what the policy sees."""
    frame_stack: int | None = None
    """Of Saccade's tasks; by default what the policy sees."""
    camera: str | None = None
    """Of Saccade's tasks: the name or number of the camera that looks; by default as in the run, else the task's."""
    action_repeat: int | None = None
    """Of Saccade's tasks; by default as in the run, else the benchmark's."""
    out: Path | None = None
    """Folder for everything that is written; by default RUN/explain, or explanations/NAME."""


@dataclass(frozen=True)
class Maps:
    """Which maps, of which moments."""

    methods: tuple[str, ...] = (ALL,)
    """Names, or all: every method that can be right for the policy. `saccade list` names them."""
    score: str | None = None
    """What is explained: q, value, logit, action_mean:0, ...; by default what the policy decides by."""
    frames: int = 16
    """Moments of the episode to explain."""
    every: int | None = None
    """Agent steps between them; by default they are spread over the whole episode."""
    seed: int = 0
    """Of the episode, and of methods that draw noise or masks."""
    max_steps: int = 1000
    """Agent steps after which an endless episode is left."""
    max_batch: int = 256
    """Samples that go through the network at once: less needs less memory, the maps are the same."""
    over_colours: Literal["max", "sum"] = "max"
    """How the colours of a pixel become one number."""
    rise_masks: int = 1000
    """Random masks of RISE; published work uses 2000 to 6000."""
    perturbation_stride: int = 5
    """Pixels between the places where perturbation methods and SARFA blur."""
    perturbation_radius: float = 5.0
    """Standard deviation of the blurred spot in pixels; published: 5 for 80 pixels, 4 for 64."""
    occlusion_window: int = 8
    """Side of the occluded square in pixels."""


BLURRING = ("perturbation_actor", "perturbation_critic", "perturbation_kl", "sarfa")


def method_settings(options: Maps) -> MethodSettings:
    """The options as every method is given them. Raises UserError for numbers that no method can use."""
    for name in ("rise_masks", "perturbation_stride", "occlusion_window"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(options, name)} is too small: use 1 or more.")
    if not 0 < options.perturbation_radius <= LARGEST_RADIUS:
        raise UserError(
            f"--perturbation-radius {options.perturbation_radius:g} is no size of a spot: use more than 0 and at most "
            f"{LARGEST_RADIUS:g} pixels."
        )
    spot = {"stride": options.perturbation_stride, "radius": options.perturbation_radius}
    changes: dict[str, dict[str, Any]] = {name: dict(spot) for name in BLURRING}
    changes["rise"] = {"masks": options.rise_masks}
    changes["occlusion"] = {"window": options.occlusion_window, "stride": -(-options.occlusion_window // 2)}
    return MethodSettings(options.score, options.max_batch, options.seed, options.over_colours, changes)


def subject_of(options: Subject) -> tuple[Policy, Task, tuple[str, ...], Path]:
    """The policy, its task, the modes and the folder that the options mean. Raises UserError."""
    name, at, mode = (options.task or "").partition("@")
    if at and options.modes:
        raise UserError(f"--task {options.task} names a mode, and so does --modes: give one of them.")
    modes = (mode,) if at else (options.modes or (CLEAN,))
    fields = {
        "data": options.data,
        "render_quality": options.render_quality,
        "image_size": options.image_size,
        "frame_stack": options.frame_stack,
        "camera": options.camera,
        "action_repeat": options.action_repeat,
    }
    if options.policy is None:
        if options.what is None:
            raise UserError(
                "Say which policy: a run folder, a zip of Stable-Baselines3, or --policy file.py:Class --checkpoint F."
            )
        policy = load_any(
            options.what,
            layout=options.layout,
            colours=options.colours,
            device=options.device,
            trust=options.trust,
        )
        task = task_of(policy, name or None, **fields)
    else:
        policy, task = _own_network(options, name, fields)
    if options.channels is not None:
        policy = replace(policy, pixels=policy.pixels.with_channels(options.channels))
    for wanted in modes:
        if wanted not in task.modes:
            raise UserError(f"{task.name} has no mode {wanted!r}: it has {', '.join(task.modes)}.")
    return policy, task, modes, options.out or _folder(options)


def _own_network(options: Subject, name: str, fields: dict[str, Any]) -> tuple[Policy, Task]:
    """A person's own network, and the task whose spaces it was made for."""
    if not name:
        raise UserError(f"--policy {options.policy} needs --task: the network is built for the task's spaces.")
    task = find_task(name, **{field: value for field, value in fields.items() if value is not None})
    with closing(task.make(CLEAN, False)) as env:
        spaces = env.observation_space, env.action_space
    policy = load_any(
        options.what,
        policy=options.policy,
        checkpoint=options.checkpoint,
        observation_space=spaces[0],
        action_space=spaces[1],
        output=options.output,
        layout=options.layout,
        colours=options.colours,
        device=options.device,
        trust=options.trust,
    )
    return policy, task


def _folder(options: Subject) -> Path:
    if options.policy is None and options.what is not None and options.what.is_dir():
        return options.what / IN_RUN
    named = options.checkpoint or options.what or Path(str(options.policy).partition(":")[0])
    return ELSEWHERE / named.stem


Reporter = Callable[[str, int, int], None]


class Bars:
    """One progress bar for each thing that is being done; those that are done make room."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._line = self.progress.add_task("starting", total=1)
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what = what
            self.progress.reset(self._line, description=what, total=total)
        self.progress.update(self._line, completed=done, total=total)


def explained(
    options: Subject, maps: Maps, console: Console, bars: Reporter, words: list[str]
) -> tuple[Explanation, Path, Path]:
    """Explain, and write arrays, pictures, videos and the page; give the folder and the page.

    words: what the person typed behind ``saccade``.
    """
    settings = method_settings(maps)
    policy, task, modes, folder = subject_of(options)
    score = settings.score or default_score(policy)
    likely = not policy.pixels.said and policy.pixels.channels_first[0] > 1
    seen = policy.pixels.told() + " (by their shape; the episode will show it)" * likely
    say(
        console,
        f"{policy.name}, from {policy.source}, sees {seen}, and gives {', '.join(policy.outputs)}. "
        f"Explained is {score}, unless a method has a score of its own.",
    )
    _check_writable(folder)
    moments = Moments(maps.frames, maps.every, maps.seed, maps.max_steps)
    explanation = explain(
        policy,
        task,
        modes=modes,
        methods=maps.methods,
        moments=moments,
        settings=settings,
        report=bars,
    )
    shown = explanation.policy.pixels.told()
    if shown != policy.pixels.told():
        say(console, f"As the episode shows, {policy.name} sees {shown}; --channels can say what they are.", "yellow")
    for name, why in explanation.left_out.items():
        say(console, f"left out {name}: {why}", style="yellow")
    explanation.save(folder, shlex.join(["saccade", *words]))
    for index, mode in enumerate(modes):
        bars("drawing", index, len(modes))
        for remark in remarks({name: maps[:, -1] for name, maps in explanation.maps[mode].items()}):
            say(console, f"{mode}: {remark}", style="yellow")
        with written_aside(folder / "grids" / f"{mode}.png") as path:
            path.write_bytes(png(grid_picture(folder, mode)))
        write_video(folder / "videos" / f"{mode}.mp4", film_frames(folder, mode), VIDEO_FRAMES_PER_SECOND)
    write_figure(folder)
    # Before anything else is computed: whoever interrupts the scores has a page of these maps.
    return explanation, folder, write_report(folder)


def say(console: Console, sentence: str, style: str | None = None) -> None:
    """Print a sentence as it is: a path or a name may look like markup."""
    console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def _check_writable(folder: Path) -> None:
    """Before any long work. Raises UserError where the results could not be written."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    trial = folder / ".can_be_written"
    with written_aside(trial) as path:
        path.write_text("")
    trial.unlink()
    for path in made:  # innermost first: what fails later leaves no empty folder
        path.rmdir()


def flat(options: type[Any], program: str, words: list[str]) -> Any:
    """Parse options whose groups show no prefixes."""
    return tyro.cli(options, prog=program, args=words, config=(tyro.conf.OmitArgPrefixes,))
