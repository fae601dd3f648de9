"""What ``saccade explain`` and ``saccade score`` share: turning options into policy, task and folder."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn

from saccade.cli import terminal
from saccade.cli.options import Maps, Score, Subject
from saccade.cli.suite_options import given
from saccade.cli.suite_options import refuse_foreign as refuse_foreign_options
from saccade.data.files import written_aside
from saccade.data.user_code import at_work
from saccade.envs.suites import ALL_MODES, TASKS
from saccade.explain.explanation import Explanation, Moments, explain, explain_recorded
from saccade.explain.folder import free_folder, refuse_foreign
from saccade.explain.maps import MethodSettings
from saccade.explain.modes import in_modes, read_modes
from saccade.explain.recorded import MODE, Recorded, read_recorded
from saccade.explain.tasks import CLEAN, Task, find_task, task_of
from saccade.policies.load import load_any
from saccade.policies.normalisation import Normalisation, normalisation
from saccade.policies.policy import Policy
from saccade.policies.scores import default_score
from saccade.runs.zoo import zoo_name
from saccade.types import UserError
from saccade.viewer.explanation import film_frames, grid_picture, write_figure
from saccade.viewer.pictures import png, write_video
from saccade.viewer.remarks import remarks
from saccade.viewer.report import write_report

IN_RUN, ELSEWHERE = "explain", Path("explanations")
VIDEO_FRAMES_PER_SECOND = 4.0
LARGEST_RADIUS = 1000.0
OF_EPISODES = ("frames", "every", "max_steps")  # of Maps
BLURRING = ("perturbation_actor", "perturbation_critic", "perturbation_kl", "sarfa")


def method_settings(options: Maps) -> MethodSettings:
    """Return the settings of every method. Raises UserError for numbers that no method can use."""
    for name in ("rise_masks", "perturbation_stride", "occlusion_window"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(options, name)} is too small: use 1 or more.")
    if not 0 < options.perturbation_radius <= LARGEST_RADIUS:
        raise UserError(
            f"--perturbation-radius {options.perturbation_radius:g} is no valid size: use more than 0 and at most "
            f"{LARGEST_RADIUS:g} pixels."
        )
    spot = {"stride": options.perturbation_stride, "radius": options.perturbation_radius}
    changes: dict[str, dict[str, Any]] = {name: dict(spot) for name in BLURRING}
    changes["rise"] = {"masks": options.rise_masks}
    changes["occlusion"] = {"window": options.occlusion_window, "stride": -(-options.occlusion_window // 2)}
    return MethodSettings(options.score, options.max_batch, options.seed, options.over_colours, changes)


def options_of_episodes(options: Score) -> list[str]:
    """Return the options that were given and only apply to episodes that a policy plays."""
    return [*(name for name in changed(options.maps) if name in OF_EPISODES), *changed(options.checks)]


def changed(options: Any) -> list[str]:
    """Return the names of the options whose value is not the default."""
    fields = dataclasses.fields(options)
    return [field.name for field in fields if getattr(options, field.name) != field.default]


def subject_of(options: Subject) -> tuple[Policy, Task | Recorded, tuple[str, ...], Path]:
    """Policy, its task or recorded observations, the modes and the folder for the options. Raises UserError."""
    name, modes = task_and_modes(options.opening.task, options.modes)
    fields = _fields(options, name)
    policy, task = policy_and_task(options)
    if options.obs is not None:
        recorded = _recorded(options, policy, fields)
        return policy, recorded, (MODE,), out_folder(options, policy, options.obs.stem)
    assert task is not None
    asked = read_modes(modes or (CLEAN,), task.modes)
    task = in_modes(task, asked, policy, video_where=options.opening.video_where, data=data_of(options))
    return policy, task, asked.names, out_folder(options, policy)


def task_and_modes(task: str | None, modes: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the task without its mode, and the modes. Raises UserError if modes are given twice, or shifts unknown."""
    if ".py:" in (task or ""):
        name, at, mode = str(task), "", ""
    else:
        name, at, mode = (task or "").partition("@")
    if at and modes:
        raise UserError(f"--task {task} names a mode, and so does --modes: give one of them.")
    modes = (mode,) if at else modes
    read_modes(modes, ALL_MODES)
    return name, modes


def data_of(options: Subject) -> str | None:
    """Return the data folder, of whatever task, for the clips of a video."""
    data: str | None = given(options.opening.options).get("data")
    return data


def _fields(options: Subject, name: str) -> dict[str, Any]:
    """Options for Saccade's own tasks, without the folder of clips if a video in another task uses it."""
    fields = {
        **given(options.opening.options, name),
        "image_size": options.image_size,
        "frame_stack": options.frame_stack,
        "action_repeat": options.action_repeat,
    }
    if name and name not in TASKS and read_modes(options.modes, ALL_MODES).has_video:
        fields.pop("data", None)
    return fields


def policy_and_task(options: Subject) -> tuple[Policy, Task | None]:
    """Return the policy and the task it is to be played in; None for recorded observations. Raises UserError."""
    opening = options.opening
    normalised = normalisation(opening.mean, opening.std)
    name, _ = task_and_modes(opening.task, options.modes)
    fields = _fields(options, name)
    if opening.policy is None:
        if options.what is None:
            raise UserError(
                "Say which policy: a run folder, zoo:NAME, a zip of Stable-Baselines3, or --policy file.py:Class "
                "--checkpoint F."
            )
        policy = load_any(
            options.what,
            method=opening.method,
            layout=opening.layout,
            colours=options.colours,
            normalised=normalised,
            device=opening.device,
            trust=opening.trust,
        )
        if policy.config is not None and not name:
            refuse_foreign_options(given(opening.options), policy.config.env.task)
        task = None if options.obs is not None else task_of(policy, name or None, **fields)
    else:
        policy, task = _own_network(options, name, fields, normalised)
    if opening.channels is not None:
        policy = replace(policy, pixels=policy.pixels.with_channels(opening.channels))
    return policy, task


def _recorded(options: Subject, policy: Policy, fields: dict[str, Any]) -> Recorded:
    """What --obs names. Raises UserError for options that belong to an environment, since there is none."""
    of_environments: dict[str, Any] = {"modes": options.modes or None, "video_where": options.opening.video_where}
    if options.opening.policy is None:  # a custom network is built for the spaces of its task
        of_environments |= {"task": options.opening.task, **fields}
    for name, value in of_environments.items():
        if value is not None:
            raise UserError(
                f"--obs {options.obs} is explained as it was recorded: leave --{name.replace('_', '-')} out."
            )
    assert options.obs is not None
    return read_recorded(options.obs, policy)


def out_folder(options: Subject, policy: Policy, seen: str = "") -> Path:
    """Return the folder for all output; ``seen`` names observations that are no episode of a task."""
    if options.out is None:
        return free_folder(_folder(options, f"-{seen}" if seen else ""), policy)
    if not options.replace:
        refuse_foreign(options.out, policy)
    return options.out


def _own_network(
    options: Subject, name: str, fields: dict[str, Any], normalised: Normalisation | None
) -> tuple[Policy, Task]:
    """A custom network, and the task whose spaces it was made for."""
    opening = options.opening
    if not name:
        raise UserError(f"--policy {opening.policy} needs --task: the network is built for the task's spaces.")
    task = find_task(name, **{field: value for field, value in fields.items() if value is not None})
    with closing(task.make(CLEAN, False)) as env:
        spaces = env.observation_space, env.action_space
    policy = load_any(
        options.what,
        policy=opening.policy,
        checkpoint=opening.checkpoint,
        observation_space=spaces[0],
        action_space=spaces[1],
        output=opening.output,
        layout=opening.layout,
        colours=options.colours,
        normalised=normalised,
        device=opening.device,
        trust=opening.trust,
    )
    return policy, task


def _folder(options: Subject, seen: str = "") -> Path:
    opening = options.opening
    of_zoo = None if opening.policy is not None or options.what is None else zoo_name(options.what)
    if of_zoo is None and opening.policy is None and options.what is not None and options.what.is_dir():
        return options.what / f"{IN_RUN}{seen}"
    named = opening.checkpoint or options.what or Path(str(opening.policy).partition(":")[0])
    name = named.absolute().stem.strip(".")  # otherwise "..zip" would be the folder of all explanations
    return ELSEWHERE / f"{(name or 'policy') if of_zoo is None else f'zoo-{of_zoo}'}{seen}"


Reporter = Callable[[str, int, int], None]


class Bars:
    """One progress bar for each thing that is being done; finished ones disappear."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            terminal.column("{task.description}"),
            BarColumn(),
            terminal.column("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._line = self.progress.add_task("starting", total=1)
        self._lines = terminal.LogLines(console)
        self._what = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show them; if a user's code takes long, and may never end, mention it in the log."""
        with self.progress, self._lines.waiting(_taken_long):
            yield

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what = what
            self.progress.reset(self._line, description=what, total=total)
        self.progress.update(self._line, completed=done, total=total)
        self._lines.say(lambda: f"{what}: {done} of {total}")


def _taken_long() -> str | None:
    begun = at_work()
    seconds = 0.0 if begun is None else time.monotonic() - begun.since
    if begun is None or seconds < terminal.FIRST_LINE_SECONDS:
        return None
    return f"{begun.what} has taken {seconds:.0f} seconds so far"


def explained(
    options: Subject, maps: Maps, console: Console, bars: Reporter, words: list[str]
) -> tuple[Explanation, Path, Path]:
    """Explain, and write arrays, pictures, videos and the page; return the explanation, its folder and the page.

    words: what the user typed after ``saccade``.
    """
    settings = method_settings(maps)
    policy, task, modes, folder = subject_of(options)
    introduce(policy, settings, console)
    check_writable(folder)
    moments = Moments(maps.frames, maps.every, maps.seed, maps.max_steps)
    if isinstance(task, Recorded):
        for note in task.notes:
            say(console, f"{task.source}: {note}.")
        explanation = explain_recorded(
            policy, task, methods=maps.methods, moments=moments, settings=settings, report=bars
        )
    else:
        explanation = explain(
            policy, task, modes=modes, methods=maps.methods, moments=moments, settings=settings, report=bars
        )
    shown = explanation.policy.pixels.description()
    if shown != policy.pixels.description():
        say(console, f"Judging by the episode, {policy.name} sees {shown}; --channels can name them.", "yellow")
    return explanation, folder, drawn(explanation, folder, options, words, console, bars)


def introduce(policy: Policy, settings: MethodSettings, console: Console) -> None:
    """Print what was found out about a policy, and what is explained."""
    score = settings.score or default_score(policy)
    likely = not policy.pixels.said and policy.pixels.channels_first[0] > 1
    seen = policy.pixels.description() + " (by their shape; the episode will show it)" * likely
    say(
        console,
        f"{policy.name}, from {policy.source}, sees {seen}, and outputs {', '.join(policy.outputs)}. "
        f"Explained is {score}, unless a method has a score of its own.",
    )


def drawn(
    explanation: Explanation, folder: Path, options: Subject, words: list[str], console: Console, bars: Reporter
) -> Path:
    """Write an explanation with its pictures, videos and page, and return the page."""
    for name, why in explanation.left_out.items():
        say(console, f"left out {name}: {why}", style="yellow")
    explanation.save(folder, shlex.join(["saccade", *words]), replace=options.replace)
    modes = list(explanation.episodes)
    for index, mode in enumerate(modes):
        bars("drawing", index, len(modes))
        for remark in remarks({name: maps[:, -1] for name, maps in explanation.maps[mode].items()}):
            say(console, f"{mode}: {remark}", style="yellow")
        with written_aside(folder / "grids" / f"{mode}.png") as path:
            path.write_bytes(png(grid_picture(folder, mode)))
        write_video(folder / "videos" / f"{mode}.mp4", film_frames(folder, mode), VIDEO_FRAMES_PER_SECOND)
    write_figure(folder)
    # Before anything else is computed, so that interrupting the scores leaves a page of these maps.
    return write_report(folder)


def say(console: Console, sentence: str, style: str | None = None) -> None:
    """Print a sentence as it is, since a path or a name may look like markup."""
    console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def check_writable(folder: Path) -> None:
    """Check before any long work that results can be written. Raises UserError if not."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    trial = folder / ".can_be_written"
    with written_aside(trial) as path:
        path.write_text("")
    trial.unlink()
    for path in made:  # innermost first, so that a later failure leaves no empty folder
        path.rmdir()
