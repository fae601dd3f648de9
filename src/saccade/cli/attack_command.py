"""``saccade attack WHAT --task T``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from saccade.attacks import ATTACKS
from saccade.bench.robustness import TRANSFER, attacks_in, clean_row, sentences, strongest
from saccade.bench.verdicts import amount_text
from saccade.cli import terminal
from saccade.cli.attacking import ROWS, Row, rows_under_attack, source_text
from saccade.cli.evaluating import Subjected, identity_of, is_run, subjected
from saccade.cli.explaining import Bars, check_writable, say
from saccade.cli.options import Attack, Subject
from saccade.cli.parsing import parsed
from saccade.envs.suites import ALL_MODES
from saccade.explain.attacking import NONE, Cell, Play, cells_of, check_cells
from saccade.explain.evaluating import MOST_STEPS
from saccade.explain.filming import Film, filmed
from saccade.explain.modes import read_modes
from saccade.explain.preferences import Actions
from saccade.explain.tasks import CLEAN
from saccade.policies.attacked import AttackSettings, attack_named
from saccade.policies.load import load_any
from saccade.runs.config import read_config
from saccade.runs.zoo import folder_of_results, folder_of_run
from saccade.types import UserError
from saccade.viewer.attacks import AttackedEpisode, Robustness, write_attacks
from saccade.viewer.readings import action_charts, value_chart
from saccade.viewer.timeline import Chart, chart, together

FILM_STEPS = 60
RESTARTED = "pgd_restarts"


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = parsed(Attack, "saccade attack", words)
    attacks = _attacks(options)
    for epsilon in options.epsilons:
        if not 0 <= epsilon <= 255:
            raise UserError(
                f"--epsilons {epsilon:g} is no budget: say by how many of 255 a pixel may change, 0 to 255."
            )
    if not options.epsilons:
        raise UserError("--epsilons needs a budget or more, such as 0 1 2 4 8.")
    cells = cells_of(attacks, options.epsilons)
    seed, episode_seed = _seeds(options)
    most_steps = MOST_STEPS if options.max_steps is None else options.max_steps
    play = Play(options.episodes, episode_seed, options.sampled, _mode(options), most_steps, options.workers)
    console = terminal.console()
    asked = Subject(what=options.what, modes=(options.mode,), out=options.out, opening=options.opening)
    subject = subjected(asked, _run_folder(options))
    settings = _settings(options)
    check_cells(subject.policy, cells, settings, play)
    check_writable(subject.folder)
    identity = identity_of(options.opening, subject)
    rows = rows_under_attack(
        subject, cells, settings, play, identity=identity, seed=seed, again=options.again, console=console
    )
    film = _film(subject, rows, settings, play, console)
    command = shlex.join(["saccade", "attack", *words])
    name, task = subject.policy.name, subject.task.name
    meanings = {attack: f"{ATTACKS[attack].summary} ({ATTACKS[attack].source})" for attack in attacks}
    facts = tuple(_facts(options, subject, settings, play))
    page = write_attacks(subject.folder, Robustness(name, task, rows, meanings, film, facts, command))
    _show(rows, f"{name} in {task}", console)
    for sentence in sentences(rows):
        say(console, sentence)
    say(console, f"Rows are added to {subject.folder / ROWS}. Open {page}")
    return 0


def _attacks(options: Attack) -> list[str]:
    """Return the requested attacks and those played beside them. Raises UserError for unknown ones."""
    named = list(dict.fromkeys((*options.attacks, *options.beside)))
    for name in named:
        attack_named(name)
    if options.restarts < 1:
        raise UserError(f"--restarts {options.restarts} is too small: it must be at least 1.")
    if options.transfer_from is not None and TRANSFER not in named:
        named.append(TRANSFER)
    if options.transfer_from is None and TRANSFER in named:
        raise UserError("The attack transfer is computed on another policy: say which with --transfer-from WHAT.")
    if not named:
        raise UserError(f"Name an attack or more with --attacks: there are {', '.join(ATTACKS)}.")
    return named


def _mode(options: Attack) -> str:
    """Return the mode as rows and files name it. Raises UserError for several modes."""
    name, *more = read_modes((options.mode,), ALL_MODES).names
    if more:
        raise UserError(f"--mode {options.mode} is several modes: name one of them, such as {name}.")
    return name


def _settings(options: Attack) -> AttackSettings:
    source = None
    if options.transfer_from is not None:
        source = load_any(options.transfer_from, device=options.opening.device, trust=options.opening.trust)
    changes: dict[str, dict[str, Any]] = {RESTARTED: {"restarts": options.restarts}}
    if options.steps is not None:
        if options.steps < 1:
            raise UserError(f"--steps {options.steps} is too small: it must be at least 1.")
        for name, attack in ATTACKS.items():
            if "steps" in attack.hyperparameters:
                changes.setdefault(name, {})["steps"] = options.steps
    return AttackSettings(options.target, options.part, options.whole_pixels, 0, source, changes)


def _run_folder(options: Attack) -> Path | None:
    """Return the folder for the rows of a run; None for other policies."""
    if options.what is None:
        if options.opening.policy is None:
            raise UserError("Say which policy is attacked: a run folder, zoo:NAME, a zip, or --policy file.py:Class.")
        return None
    if options.opening.policy is not None or options.out is not None or not is_run(options.what):
        return None
    return folder_of_results(options.what)


def _seeds(options: Attack) -> tuple[int, int]:
    """Return the seed recorded in rows, which is a run's own, and the seed of the episodes."""
    if options.what is not None and options.opening.policy is None and is_run(options.what):
        own = read_config(folder_of_run(options.what), options.opening.method).training.seed
        return own, own if options.seed is None else options.seed
    return options.seed or 0, options.seed or 0


def _film(
    subject: Subjected, rows: Sequence[Row], settings: AttackSettings, play: Play, console: Console
) -> AttackedEpisode | None:
    """Film the first episode of the strongest cell."""
    worst = strongest(rows)
    if worst is None:
        return None
    bars = Bars(console)
    with bars.shown():
        cell = Cell(worst["attack"], worst["epsilon"])
        film = filmed(subject.policy, subject.task, cell, settings, play, FILM_STEPS, bars)
    return AttackedEpisode(cell.attack, cell.epsilon, film.clean, film.seen, tuple(_lines(film)), _curves(film))


def _curves(film: Film) -> tuple[Chart, ...]:
    """Along the film: what the policy expects, with the attack and without, and gets; what it does, and how far the
    attack moves that.
    """
    values = {"of what it sees": film.thought, "of the clean picture": film.undisturbed}
    moved = (film.did != film.would).astype(float) if film.did.ndim == 1 else _distance(film)
    title = "another action (1) or the same (0)" if film.did.ndim == 1 else "distance between the two actions"
    rewards = film.rewards.astype(float)
    return (
        *together({name: (value_chart(readings),) for name, readings in values.items()}),
        chart("reward", rewards),
        chart("return so far", rewards.cumsum()),
        *action_charts(film.thought, film.actions.names, film.actions.first),
        chart(title, moved),
    )


def _distance(film: Film) -> np.ndarray:
    apart = (film.did - film.would).reshape(len(film.did), -1).astype(float)
    return np.linalg.norm(apart, axis=1)


def _lines(film: Film) -> Iterator[str]:
    total = 0.0
    for step, (did, would, reward) in enumerate(zip(film.did, film.would, film.rewards, strict=True)):
        total += float(reward)
        both = f"does {_action(did, film.actions)}, would do {_action(would, film.actions)}"
        yield f"step {step}: {both}; return so far {total:.3g}"


def _action(action: Any, actions: Actions) -> str:
    if getattr(action, "ndim", 0):
        return "(" + ", ".join(f"{number:.2f}" for number in action.ravel()) + ")"
    place = int(action) - actions.first
    return actions.names[place] if 0 <= place < len(actions.names) else str(int(action))


def _facts(options: Attack, subject: Subjected, settings: AttackSettings, play: Play) -> Iterator[tuple[str, str]]:
    policy = subject.policy
    yield "policy", policy.name
    if policy.source:
        yield "from", policy.source
    yield "sees", policy.pixels.description()
    yield "task", subject.task.name if play.mode == CLEAN else f"{subject.task.name}@{play.mode}"
    yield "acts", "by actions drawn from the policy" if play.sampled else "by its most likely actions"
    yield "target", f"{settings.target}; mad drives the policy as a whole"
    yield "changes", "all frames" if settings.part == "stack" else "the newest frame"
    yield "pixels", "whole numbers 0..255 after each attack" if settings.whole_pixels else "not rounded"
    if RESTARTED in (*options.attacks, *options.beside):
        yield f"restarts of {RESTARTED}", str(options.restarts)
    if settings.source is not None:
        yield "transfer from", source_text(settings) or ""
    yield "episodes", f"{play.episodes} for each attack and budget, whose seeds come from {play.seed}"


def _show(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print a table: budgets down, attacks across."""
    clean = clean_row(rows)
    beside = (clean or rows[0])["return_mean"]
    attacks = list(attacks_in(rows))
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=title)
    for place, column in enumerate(("of 255", *(attacks or [NONE]))):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    by_cell = {(row["attack"], row["epsilon"]): row for row in rows}
    for epsilon in dict.fromkeys(row["epsilon"] for row in rows):
        some = [by_cell.get((attack, epsilon)) if epsilon else clean for attack in attacks or [NONE]]
        table.add_row(
            f"{epsilon:g}", *("-" if row is None else amount_text(row["return_mean"], beside) for row in some)
        )
    console.print(table)
