"""Evaluate any policy in any task: all of ``saccade evaluate`` except runs in their own tasks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypedDict, final

import numpy as np
from rich.console import Console

from saccade.bench.results import Result, newest_results
from saccade.bench.verdicts import sentence
from saccade.cli import terminal
from saccade.cli.explaining import Bars, data_of, policy_and_task, say, task_and_modes
from saccade.cli.options import Evaluate, Opening, Subject
from saccade.cli.suite_options import given
from saccade.data.documents import read_document
from saccade.data.files import written_aside
from saccade.envs.config import check_data
from saccade.explain.evaluating import MOST_STEPS, evaluations, on_batches
from saccade.explain.folder import owner_of
from saccade.explain.modes import Asked, in_modes, read_modes
from saccade.explain.tasks import CLEAN, Task
from saccade.policies.evaluate import Act, Evaluation, row_of
from saccade.policies.policy import Policy
from saccade.runs.config import CONFIG
from saccade.runs.zoo import is_named, zoo_name
from saccade.train.logs import append_row
from saccade.train.session import EVALUATIONS
from saccade.types import UserError
from saccade.viewer.evaluation import PAGE, Evaluated, write_evaluation
from saccade.viewer.pictures import enlarged, write_video

ELSEWHERE, OWNER = Path("evaluations"), "policy.json"
VIDEO_FRAMES_PER_SECOND = 25.0


class _Owner(TypedDict):
    """``policy.json``: the policy whose rows lie beside it."""

    owner: str
    name: str
    source: str


@final
@dataclass(frozen=True)
class Subjected:
    """A policy that is to be played, with its task, modes and folder."""

    policy: Policy
    task: Task
    modes: tuple[str, ...]
    asked: Asked
    folder: Path


def row_of_subject(result: Evaluation, subject: Subjected, seed: int, sampled: bool) -> dict[str, Any]:
    """Return the row of a policy in one mode."""
    policy = subject.policy
    return row_of(
        result,
        method=policy.name,
        task=subject.task.name,
        seed=seed,
        env_steps=policy.env_steps,
        sampled=sampled,
        network=policy.network,
    )


def evaluate_any(options: Evaluate, words: Sequence[str], show: Any, play: Any) -> int:
    """Run the command.

    Args:
        words: what the user typed after ``saccade evaluate``.
        show: prints a table of results.
        play: plays a configuration of Saccade's own tasks, in its processes.
    """
    console = terminal.console()
    if options.max_steps is not None and options.max_steps < 1:
        raise UserError(f"--max-steps {options.max_steps} is too small: it must be at least 1.")
    if options.seed is not None and options.seed < 0:
        raise UserError(f"--seed {options.seed} is negative: it must be 0 or more.")
    if options.out is not None and len(options.runs) > 1:
        raise UserError("--out is one policy's folder: give the policies one after the other.")
    # Mistakes are reported before anything is played.
    subjects = [subjected(subject_in(options, what)) for what in options.runs or (None,)]
    command = shlex.join(["saccade", "evaluate", *words])
    results: list[Result] = []
    sentences: list[str] = []
    for subject in subjects:
        rows, firsts = _rows(options, subject, console, play)
        results += [
            dataclasses.replace(one, run=str(subject.folder) if len(subjects) > 1 else "")
            for one in newest_results(rows)
        ]
        facts = tuple(facts_of(options, subject, rows))
        name = subject.policy.name
        write_evaluation(subject.folder, Evaluated(name, subject.task.name, rows, facts, firsts, command))
        sentences.append(f"{f'{subject.folder}: ' if len(subjects) > 1 else ''}{sentence(rows)}")
    show(results, console)
    for line in sentences:
        say(console, line)
    for subject in subjects:
        say(console, f"Rows are added to {subject.folder / EVALUATIONS}. Open {subject.folder / PAGE}")
    return 0


def subject_in(options: Evaluate, what: Path | None) -> Subject:
    """Return the subject for one of the policies that are to be evaluated."""
    return Subject(what=what, modes=options.modes, out=options.out, opening=options.opening)


def subjected(subject: Subject, own: Path | None = None) -> Subjected:
    """Return a policy, its task in the modes that were asked for, and a folder of its own. Raises UserError.

    own: the folder of a run, which gets the results; None for a folder of evaluations.
    """
    _, words = task_and_modes(subject.opening.task, subject.modes)
    policy, task = policy_and_task(subject)
    assert task is not None
    asked = read_modes(words or task.usual_modes, task.modes)
    task = in_modes(task, asked, policy, video_where=subject.opening.video_where, data=data_of(subject))
    if task.config is not None:
        check_data(task.config, [mode for mode in asked.names if mode not in asked.files and not _of_file(mode, asked)])
    # The mode that others are compared with comes first, so that each row has its gap as soon as it is written.
    modes = tuple(sorted(asked.names, key=lambda mode: mode != CLEAN))
    if own is not None:
        return Subjected(policy, task, modes, asked, own)
    folder = _folder(subject, policy)
    folder.mkdir(parents=True, exist_ok=True)
    with written_aside(folder / OWNER) as path:
        path.write_text(_owner_document(policy))
    return Subjected(policy, task, modes, asked, folder)


def is_run(what: Path) -> bool:
    """Return whether it is a run of Saccade, by its folder or its name in the zoo or the hub, even if not here yet."""
    return is_named(what) or (what / CONFIG).is_file()


def _of_file(mode: str, asked: Asked) -> bool:
    return mode in asked.shifts and asked.shifts[mode].under in asked.files


def _owner_document(policy: Policy) -> str:
    return json.dumps({"owner": owner_of(policy), "name": policy.name, "source": policy.source}, indent=1)


def _rows(
    options: Evaluate, subject: Subjected, console: Console, play: Any
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Rows of all modes, each written as soon as it is there, and each mode's first frame."""
    rows: list[dict[str, Any]] = []
    firsts: dict[str, np.ndarray] = {}
    policy, seed = subject.policy, options.seed or 0
    path = subject.folder / EVALUATIONS
    clean: float | None = None
    try:
        for result in played_in_modes(options, subject, console, play):
            clean = result.mean if result.mode == CLEAN else clean
            row = row_of_subject(result, subject, seed, options.sampled)
            row |= {"gap": None if clean is None else clean - result.mean, "source": policy.source}
            append_row(path, row)
            rows.append(row)
            if result.first is not None:
                firsts[result.mode] = result.first
            if result.frames is not None:
                (subject.folder / "videos").mkdir(exist_ok=True)
                video = subject.folder / "videos" / f"evaluate_{policy.env_steps:09d}_{result.mode}.mp4"
                write_video(video, enlarged(result.frames), VIDEO_FRAMES_PER_SECOND)
    except KeyboardInterrupt as error:
        done = f"the rows of {len(rows)} of {len(subject.modes)} modes are in {path}"
        why = error.args[0] if error.args else "interrupted"
        raise KeyboardInterrupt(f"{why}; {done if rows else 'no mode was played to its end'}") from error
    return rows, firsts


def played_in_modes(options: Evaluate, subject: Subjected, console: Console, play: Any) -> Iterator[Evaluation]:
    """Play the subject's modes, one after the other, and show progress."""
    policy, task, seed = subject.policy, subject.task, options.seed or 0
    if task.config is not None and not subject.asked.files and not policy.masked:
        asked = dataclasses.replace(options, modes=subject.modes)
        with terminal.progress(console) as progress:
            found: Iterable[Evaluation] = play(
                _batches(policy, task, seed, options), task.config, asked, seed, progress, policy.name
            )
            yield from found
        return
    bars = Bars(console)
    with bars.shown():
        yield from evaluations(
            policy,
            task,
            subject.modes,
            options.episodes,
            seed,
            options.sampled,
            options.max_steps or MOST_STEPS,
            bars,
            options.video,
        )


def _batches(policy: Policy, task: Task, seed: int, options: Evaluate) -> Any:
    """What starts acting in a mode of one of Saccade's tasks, on batches as its environments give them."""
    assert task.config is not None
    batches = on_batches(task.config, policy.pixels, task.name)

    def begin() -> Act:
        return batches(policy.sampler(seed) if options.sampled else policy.act)

    begin()
    return begin


def identity_of(opening: Opening, subject: Subjected) -> dict[str, Any]:
    """Return what decides a policy's numbers besides how it is played, as JSON values: weights, task and code."""
    task, policy = subject.task, subject.policy
    identity = {
        "owner": owner_of(policy),
        "weights": policy.fingerprint(),
        "task": task.name,
        "code": _code_of(task.name),
        "config": None if task.config is None else dataclasses.asdict(task.config),
        "options": given(opening.options),
        "sees": policy.pixels.description(),
        "video_where": opening.video_where,
    }
    codes = {mode: _code_of(file) for mode, file in subject.asked.files.items()}
    return dict(json.loads(json.dumps(identity | ({"codes": codes} if codes else {}), default=str)))


def _code_of(name: str) -> str | None:
    """The hash of the file for ``file.py:function``; None for other names."""
    file = Path(name.rpartition(":")[0])
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.suffix == ".py" and file.is_file() else None


def facts_of(options: Evaluate, subject: Subjected, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what a page says about the policy and how it was played."""
    policy = subject.policy
    yield "policy", policy.name
    if policy.source:
        yield "from", policy.source
    yield "sees", policy.pixels.description()
    yield "task", subject.task.name
    yield "acts", "with actions sampled from the policy" if options.sampled else "with its most likely actions"
    yield "episodes", f"{options.episodes} in each mode, with seeds derived from {rows[0]['episode_seed']}"


def _folder(subject: Subject, policy: Policy) -> Path:
    """The folder for rows: the one asked for, or one without another policy's rows. Raises UserError."""
    if subject.out is not None:
        if _is_others(subject.out, policy):
            raise UserError(f"{subject.out} holds rows of another policy: give another --out.")
        return subject.out
    what, opening = subject.what, subject.opening
    zoo = None if what is None or opening.policy is not None else zoo_name(what)
    named = opening.checkpoint or what or Path(str(opening.policy).partition(":")[0])
    name = f"zoo-{zoo}" if zoo is not None else named.absolute().stem.strip(".") or "policy"
    wanted = ELSEWHERE / name
    places = (wanted if number == 1 else wanted.with_name(f"{name}-{number}") for number in count(1))
    return next(place for place in places if not _is_others(place, policy))


def _is_others(folder: Path, policy: Policy) -> bool:
    """Whether rows, or a page, lie there that are another policy's or of unknown origin."""
    try:
        return read_document(folder / OWNER, _Owner)["owner"] != owner_of(policy)
    except (OSError, UserError):
        return any((folder / name).exists() for name in (EVALUATIONS, PAGE, OWNER, CONFIG))
