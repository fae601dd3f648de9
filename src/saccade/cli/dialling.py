"""``saccade evaluate WHAT --dial NAME [STRENGTH ...]``: find where a policy breaks."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.table import Table

from saccade.bench.dials import clean_row, dials_in, sentences
from saccade.bench.verdicts import amount_text
from saccade.cli import terminal
from saccade.cli.evaluating import Subjected, facts_of, identity_of, is_run, played_in_modes, subject_in, subjected
from saccade.cli.explaining import Bars, say
from saccade.cli.options import Evaluate
from saccade.data.documents import read_lines
from saccade.data.files import written_aside
from saccade.envs.dials import dial_mode, read_dials
from saccade.explain.dials import MOMENTS, clean_episode, drift_in
from saccade.explain.evaluating import MOST_STEPS
from saccade.explain.tasks import CLEAN
from saccade.policies.evaluate import episode_seeds, row_of
from saccade.runs.config import read_config
from saccade.runs.zoo import folder_of_results, folder_of_run
from saccade.train.logs import append_row
from saccade.train.session import EVALUATIONS
from saccade.types import UserError
from saccade.viewer.dials import Dialled, picture_name, read_pictures, write_dials
from saccade.viewer.pictures import png

PICTURES = "dials"  # the folder of the page's pictures
Row = dict[str, Any]


@final
@dataclass(frozen=True)
class _Dials:
    """What is asked for: dials, their strengths above 0, and the modes that these stand for."""

    strengths: Mapping[str, tuple[float, ...]]

    @property
    def modes(self) -> dict[str, tuple[str, float]]:
        return {
            dial_mode(name, strength): (name, strength)
            for name, some in self.strengths.items()
            for strength in some
            if strength > 0
        }


def evaluate_dials(options: Evaluate, words: Sequence[str], play: Any) -> int:
    """Run the command.

    Args:
        words: what the user typed after ``saccade evaluate``.
        play: plays a configuration of Saccade's own tasks, in its processes.
    """
    dials = _Dials(read_dials(options.dial))
    _check(options)
    console = terminal.console()
    asked = dataclasses.replace(options, modes=(CLEAN, *dials.modes))
    subjects = []
    for what in options.runs or (None,):  # mistakes are reported before anything is played
        own = _run_folder(options, what)
        of_run = asked if own is None or options.seed is not None else _with_seed_of_run(asked, what)
        subjects.append((of_run, subjected(subject_in(of_run, what), own)))
    lines: list[str] = []
    for its_options, subject in subjects:
        rows = _rows(its_options, subject, dials, console, play)
        pictures = read_pictures(subject.folder / PICTURES, [row["mode"] for row in rows])
        facts = (*facts_of(its_options, subject, rows), ("drift", f"over at most {MOMENTS} moments of one episode"))
        command = shlex.join(["saccade", "evaluate", *words])
        policy, task = subject.policy.name, subject.task.name
        page = write_dials(subject.folder, Dialled(policy, task, rows, facts, pictures, command))
        _show(rows, f"{policy} in {task}", console)
        lines += [f"{f'{subject.folder}: ' if len(subjects) > 1 else ''}{sentence}" for sentence in sentences(rows)]
        lines.append(f"Rows are added to {subject.folder / EVALUATIONS}. Open {page}")
    for line in lines:
        say(console, line)
    return 0


def _check(options: Evaluate) -> None:
    """Raise UserError for options that do not go together, or are out of range."""
    if options.modes:
        raise UserError("--dial plays the mode train and its own strengths: leave --modes out, or --dial.")
    if "@" in (options.opening.task or "") and ".py:" not in str(options.opening.task):
        raise UserError(f"--task {options.opening.task} names a mode, but --dial plays its own: leave the mode out.")
    for name, least in (("max_steps", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least {least}.")
    if options.video:
        raise UserError("--video is for modes: --dial keeps a picture of each strength, so leave --video out.")
    if options.out is not None and len(options.runs) > 1:
        raise UserError("--out is one policy's folder: give the policies one after the other.")


def _run_folder(options: Evaluate, what: Path | None) -> Path | None:
    """The folder for the results of a run in its own task; None for all other policies and tasks."""
    others = options.opening.policy is not None or options.opening.task is not None or options.out is not None
    if what is None or others or not is_run(what):
        return None
    return folder_of_results(what)


def _with_seed_of_run(options: Evaluate, what: Path | None) -> Evaluate:
    assert what is not None
    config = read_config(folder_of_run(what), options.opening.method)
    return dataclasses.replace(options, seed=config.training.seed)


def _rows(options: Evaluate, subject: Subjected, dials: _Dials, console: Console, play: Any) -> list[Row]:
    """Rows for strength 0 and each other one; those played before with the same settings are read from the file."""
    settings = _settings(options, subject)
    path = subject.folder / EVALUATIONS
    there = {} if options.again else _there(path, settings, subject.modes)
    missing = tuple(mode for mode in subject.modes if mode not in there)
    if there:
        say(
            console,
            f"{len(there)} of {len(subject.modes)} strengths have been played before (--again plays them again).",
        )
    found = dict(there)
    if missing:
        subject.folder.mkdir(parents=True, exist_ok=True)
        drifts = _drifts(options, subject, missing, console)
        asked = dataclasses.replace(subject, modes=missing)
        try:
            for row in _played(options, asked, dials, drifts, console, play):
                clean = found[CLEAN]["return_mean"] if CLEAN in found else row["return_mean"]
                row |= {"gap": clean - row["return_mean"], "dial_settings": settings}
                append_row(path, row)
                found[row["mode"]] = row
        except KeyboardInterrupt as error:
            why = error.args[0] if error.args else "interrupted"
            raise KeyboardInterrupt(
                f"{why}; {len(found)} of {len(subject.modes)} strengths are in {path}, and are not played again"
            ) from error
    return [found[mode] for mode in subject.modes]


def _played(
    options: Evaluate, subject: Subjected, dials: _Dials, drifts: Mapping[str, Any], console: Console, play: Any
) -> Iterator[Row]:
    policy, modes = subject.policy, dials.modes
    for result in played_in_modes(options, subject, console, play):
        row = row_of(
            result,
            method=policy.name,
            task=subject.task.name,
            seed=options.seed or 0,
            env_steps=policy.env_steps,
            sampled=options.sampled,
            network=policy.network,
        )
        dial, strength = modes.get(result.mode, (None, 0.0))
        if result.first is not None:
            with written_aside(subject.folder / PICTURES / picture_name(result.mode)) as aside:
                aside.write_bytes(png(result.first))
        yield row | {"source": policy.source, "dial": dial, "strength": strength} | drifts.get(result.mode, {})


def _drifts(options: Evaluate, subject: Subjected, modes: Sequence[str], console: Console) -> dict[str, Any]:
    """How far each strength moves the action and the map, in the states of the first clean episode."""
    shifted = [mode for mode in modes if mode != CLEAN]
    if not shifted:
        return {}
    bars = Bars(console)
    seed = episode_seeds(options.seed or 0, 1)[0]
    with bars.shown():
        clean = clean_episode(subject.policy, subject.task, seed, options.max_steps or MOST_STEPS, bars)
        return {mode: drift_in(clean, mode, bars) for mode in shifted}


def _settings(options: Evaluate, subject: Subjected) -> dict[str, Any]:
    """All that decides the numbers of a strength, as JSON values."""
    return identity_of(options.opening, subject) | {
        "env_steps": subject.policy.env_steps,
        "episodes": options.episodes,
        "seed": options.seed or 0,
        "sampled": options.sampled,
        "max_steps": options.max_steps,
        "moments": MOMENTS,
    }


def _there(path: Path, settings: Mapping[str, Any], modes: Sequence[str]) -> dict[str, Row]:
    """The newest row of each mode that was played with these settings."""
    try:
        rows = [line.row for line in read_lines(path) if line.problem is None]
    except (OSError, UserError):
        return {}
    return {row["mode"]: row for row in rows if row.get("dial_settings") == settings and row.get("mode") in modes}


def _show(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print a table of each dial, with strengths as rows."""
    clean = clean_row(rows)
    assert clean is not None
    for name, some in dials_in(rows).items() or {"no dial above 0": []}.items():
        table = Table(box=None, pad_edge=False, padding=(0, 1), title=f"{title}: {name}")
        for place, column in enumerate(("strength", "return", "policy drift", "action drift", "map drift")):
            table.add_column(column, justify="right" if place else "left", no_wrap=True)
        for row in (clean, *some):
            mean, deviation = (amount_text(row[key], clean["return_mean"]) for key in ("return_mean", "return_std"))
            drifts = (_cell(row.get(metric)) for metric in ("policy_drift", "action_drift", "map_drift"))
            table.add_row(f"{row['strength']:g}", f"{mean} ± {deviation}", *drifts)
        console.print(table)


def _cell(numbers: Mapping[str, Any] | None) -> str:
    return "-" if not numbers or numbers["mean"] is None else f"{numbers['mean']:.3g}"
