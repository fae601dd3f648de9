"""``saccade evaluate WHAT [WHAT ...]``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from saccade.agents.methods_of import blamed_on_owner, label_of
from saccade.bench import verdicts
from saccade.bench.results import (
    Result,
    backgrounds_of,
    cell,
    changes_of,
    decimals_of,
    differences,
    marked,
    mean_over_seeds,
    means_of_groups,
    modes_of,
    newest_results,
    worst_gap,
)
from saccade.cli import terminal
from saccade.cli.dialling import evaluate_dials
from saccade.cli.evaluating import evaluate_any
from saccade.cli.explaining import say, task_and_modes
from saccade.cli.options import Evaluate
from saccade.cli.parsing import parsed
from saccade.cli.suite_options import given
from saccade.envs import suites
from saccade.envs.config import EnvConfig, check_data
from saccade.envs.shift_modes import names_shift
from saccade.policies.evaluate import Act, Evaluation, EvaluationEnvs, evaluate, evaluation_row, in_mode, with_gaps
from saccade.policies.policy import Policy
from saccade.policies.sources.run import load_policy
from saccade.runs.config import read_config, to_json
from saccade.runs.training import RunConfig
from saccade.runs.zoo import folder_of_results, folder_of_run, is_named
from saccade.train.logs import append_row, cannot_write
from saccade.train.session import EVALUATIONS
from saccade.types import UserError
from saccade.viewer.evaluation import Evaluated, write_evaluation
from saccade.viewer.pictures import enlarged, write_video

VIDEO_FRAMES_PER_SECOND = 25.0
WIDEST = 10_000  # characters: wider than any table
OF_OTHERS = ("checkpoint", "output", "layout", "channels", "mean", "std", "trust", "max_steps", "video_where", "out")
"""Options that only apply to policies that are no runs, or to tasks other than a run's own."""


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Evaluate, "saccade evaluate", words)
    if not options.runs and options.opening.policy is None and options.dial:
        raise UserError("Name the policy before --dial: what follows it are names and strengths of dials.")
    if not options.runs and options.opening.policy is None:
        raise UserError("A run folder is needed, such as `saccade evaluate runs/dmc-walker_walk/sgqn/0`, or zoo:NAME.")
    if options.episodes < 1:
        raise UserError(f"--episodes {options.episodes} is too small: it must be at least 1.")
    if options.dial:
        return evaluate_dials(options, words, play)
    if options.again:
        raise UserError("--again is for the strengths of --dial: other modes are always played again.")
    _, modes = task_and_modes(options.opening.task, options.modes)  # reports unknown shifts before any work
    if _is_any(options):
        return evaluate_any(options, words, show, play)
    _refuse_of_others(options)
    options = dataclasses.replace(options, modes=suites.expanded(options.modes))
    return _evaluate_runs(options, words, shifted=any(names_shift(mode) for mode in modes))


def _evaluate_runs(options: Evaluate, words: list[str], shifted: bool) -> int:
    """Play runs in their own tasks; if shifts are asked for, each gets a page with one sentence at its top."""
    configs = {what: read_config(folder_of_run(what), options.opening.method) for what in options.runs}
    for config in configs.values():  # before any work
        check_data(_as_asked(config.env, options), options.modes or suites.usual_modes(config.env.task))
    console = terminal.console()
    results: list[Result] = []
    sentences: list[str] = []
    with terminal.progress(console) as progress:
        for what, config in configs.items():
            policy, folder = (
                load_policy(what, options.opening.device, options.opening.method),
                _writable(folder_of_results(what)),
            )
            env = _as_asked(config.env, options)
            seed = config.training.seed if options.seed is None else options.seed
            rows, policy_of_mode = [], acting(policy, seed, options.sampled)
            firsts: dict[str, np.ndarray] = {}
            label = label_of(config.method)
            for result in _blamed(config.method, play(policy_of_mode, env, options, seed, progress, str(what))):
                rows.append(
                    evaluation_row(
                        result,
                        method=label,
                        env=env,
                        seed=config.training.seed,
                        env_steps=policy.env_steps,
                        sampled=options.sampled,
                        network=policy.network,
                    )
                )
                if result.first is not None:
                    firsts[result.mode] = result.first
                if result.frames is not None:
                    (folder / "videos").mkdir(exist_ok=True)
                    path = folder / "videos" / f"evaluate_{policy.env_steps:09d}_{result.mode}.mp4"
                    write_video(path, enlarged(result.frames), VIDEO_FRAMES_PER_SECOND)
            rows = with_gaps(rows)
            for row in rows:
                append_row(folder / EVALUATIONS, row)
            results += (dataclasses.replace(result, run=str(what)) for result in newest_results(rows))
            if shifted:  # older results of a run, without shifts, have no such page
                facts = (("policy", label), ("from", policy.source), ("task", env.task))
                command = shlex.join(["saccade", "evaluate", *words])
                page = write_evaluation(folder, Evaluated(label, env.task, rows, facts, firsts, command))
                sentences.append(f"{f'{what}: ' if len(configs) > 1 else ''}{verdicts.sentence(rows)} Open {page}")
    show(distinguished(results, list(configs.values())), console)
    for line in sentences:
        say(console, line)
    for what in configs:
        kept = folder_of_results(what)
        if kept != what:
            console.print(f"The rows of {what} are added to {kept / EVALUATIONS}.", highlight=False)
    return 0


def _is_any(options: Evaluate) -> bool:
    """Whether more is asked for than runs in their own tasks."""
    more = (
        options.opening.task is not None
        or options.opening.policy is not None
        or any("=" in mode for mode in options.modes)
    )
    return more or not all(map(_may_be_run, options.runs))


def _may_be_run(what: Path) -> bool:
    """Whether it is a run, or a name that may be meant as one."""
    zipped = what.is_file() or (what.parent / f"{what.name}.zip").is_file()
    return is_named(what) or not zipped or what.is_dir()


def _refuse_of_others(options: Evaluate) -> None:
    """Raise UserError for options that apply to other policies than runs."""
    values = vars(options) | vars(options.opening)
    for name in OF_OTHERS:
        if values[name]:
            raise UserError(
                f"--{name.replace('_', '-')} is for other policies than Saccade's runs, or for other tasks than their "
                "own: leave it out."
            )


def _blamed(method: str, results: Iterable[Evaluation]) -> Iterable[Evaluation]:
    """The results; an error in a user's own method is reported as theirs."""
    with blamed_on_owner(method, f"Acting by {label_of(method)}"):
        yield from results


def _writable(folder: Path) -> Path:
    """The folder, made if necessary. Raises UserError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def distinguished(results: list[Result], configs: list[RunConfig]) -> list[Result]:
    """Return the results, one per run, with what distinguishes the runs; and their means over seeds."""
    if len(results) == 1:
        return [dataclasses.replace(results[0], run="")]
    differing = differences([to_json(config) for config in configs])
    apart = [marked(dataclasses.replace(result, differs=text)) for result, text in zip(results, differing, strict=True)]
    return [*apart, *mean_over_seeds(apart)]


def acting(policy: Policy, seed: int, sampled: bool) -> Callable[[], Act]:
    """Return what acts in a mode; where it samples, it draws the same random numbers in each mode."""
    return (lambda: policy.sampler(seed)) if sampled else (lambda: policy.act)


def play(
    begin: Callable[[], Act], env: EnvConfig, options: Evaluate, seed: int, progress: Progress, label: str
) -> Iterable[Evaluation]:
    """Evaluate in each mode with a progress bar; ``begin`` gives what acts in it."""
    lines = terminal.LogLines(progress.console)
    with closing(EvaluationEnvs(options.workers)) as envs:
        for mode in options.modes or suites.usual_modes(env.task):
            line = progress.add_task(f"{label} {mode}", total=options.episodes)

            def advance(done: int, total: int, line: TaskID = line, mode: str = mode) -> None:
                progress.update(line, completed=done, total=total)
                lines.say(lambda: f"{label} {mode}: {done} of {total} episodes")

            yield evaluate(
                begin(),
                in_mode(env, mode),
                episodes=options.episodes,
                seed=seed,
                record=options.video,
                progress=advance,
                envs=envs,
            )
            progress.remove_task(line)


def _as_asked(env: EnvConfig, options: Evaluate) -> EnvConfig:
    return env.changed(**given(options.opening.options, env.task))


def show(results: list[Result], console: Console) -> None:
    """Print one table of results with modes as columns; or as rows, if the terminal is too narrow."""
    tasks = list(dict.fromkeys(result.task for result in results))
    title = tasks[0] if len(tasks) == 1 else None
    runs = [result for result in results if result.seed is not None]
    names = {
        "run": any(result.run for result in results),
        "method": True,
        "task": len(tasks) > 1,
        "seed": any(result.run for result in results),
        "differs": any(result.differs for result in results),
    }
    shown = [name for name, is_shown in names.items() if is_shown]
    head = [*shown, "step", *modes_of(results), "gap"]
    lines = [_cells(result, shown, modes_of(results), decimals_of(results)) for result in results]
    table = _table(title, head, lines, len(shown))
    if console.measure(table, options=console.options.update(width=WIDEST)).maximum > console.width:
        turned = [list(line) for line in zip(head, *lines, strict=True)]
        table = _table(title, turned[0], turned[1:], 1)
    console.print(table)
    episodes = sorted({len(row["returns"]) for result in runs for row in result.rows.values()})
    rates = [row.get("success_rate") for result in runs for row in result.rows.values()]
    succeeded = "" if all(rate is None for rate in rates) else "In brackets: episodes with a success. "
    settings = "; ".join(dict.fromkeys(result.setting for result in results))
    console.print(
        f"Return of an episode, mean ± standard deviation over {'/'.join(map(str, episodes))} episodes; "
        f"gap: the loss of the worst mode against train. {succeeded}{settings}.",
        highlight=False,
    )
    if len(runs) < len(results):
        console.print("Mean over seeds: ± is the standard deviation of the runs' means.", highlight=False)
    for sentence in means_of_groups(results):
        console.print(f"{sentence}.", highlight=False, markup=False)
    for sentence in changes_of(runs):
        console.print(f"{sentence}.", highlight=False, markup=False)
    backgrounds = backgrounds_of(row for result in runs for row in result.rows.values())
    if backgrounds:
        console.print("; ".join(backgrounds) + ".", highlight=False)


def _cells(result: Result, names: list[str], modes: list[str], decimals: int) -> list[str]:
    gap = worst_gap(result)
    name = ["" if getattr(result, column) is None else str(getattr(result, column)) for column in names]
    cells = [cell(result.rows.get(mode), decimals) for mode in modes]
    return [*name, str(result.env_steps), *cells, "-" if gap is None else f"{gap:.{decimals}f}"]


def _table(title: str | None, head: list[str], lines: list[list[str]], num_names: int) -> Table:
    """The first ``num_names`` columns on the left, numbers on the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=title)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < num_names else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table
