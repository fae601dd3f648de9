"""``saccade score WHAT --truth-states N``: score maps against the simulator's truth, on states that policies share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saccade.cli import terminal
from saccade.cli.explaining import (
    Bars,
    check_writable,
    drawn,
    introduce,
    method_settings,
    options_of_episodes,
    out_folder,
    policy_and_task,
    say,
    task_and_modes,
)
from saccade.cli.options import Score, Truth
from saccade.cli.score_tables import TRUTH_SHOWN, print_tables
from saccade.envs.suites import suite_of
from saccade.explain.against_truth import TruthSettings, explain_truth, save_data_set, with_usual_score
from saccade.explain.rows import save_rows
from saccade.explain.tasks import CLEAN, Task
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.policies.teachers import open_teacher
from saccade.types import UserError
from saccade.viewer.report import write_report

LEGEND = (
    "important, unimportant: sum of the map over pixels that show the task, or that plainly do not matter, in "
    "pixels of its brightest value; AUC: probability that one of the first is more salient than one of the second; "
    "ms: per "
    "state, in a batch and alone. (-n): states without a score; ↑ ↓: which way is better."
)


def against_truth(options: Truth) -> bool:
    """Return whether scores on shared states were asked for."""
    return options.truth_states is not None


def refuse_truth_options(options: Truth) -> None:
    """Raise UserError for an option of shared states if there are none."""
    if options.truth_player is not None:
        raise UserError("--truth-player chooses the states that maps are scored on: give --truth-states N too.")


def score_against_truth(options: Score, words: list[str]) -> int:
    """Run the command; return the exit code."""
    _refuse_others(options)
    policy, task = policy_and_task(options.subject)
    if task is None or task.config is None:
        name = options.subject.obs or (task.name if task else "")
        raise UserError(f"{name} says nothing about its pixels: --truth-states is for Saccade's own tasks.")
    settings = with_usual_score(policy, method_settings(options.maps))
    player = player_of(policy, task, options)
    folder = out_folder(options.subject, policy, "truth")
    console = terminal.console()
    bars = Bars(console)
    _, modes = task_and_modes(options.subject.opening.task, options.subject.modes)
    truth = TruthSettings(options.truth.truth_states or 0, options.maps.seed)
    tables: list[dict[str, Any]] = []
    with bars.shown():
        introduce(policy, settings, console)
        check_writable(folder)
        for mode in modes or (CLEAN,):
            explanation, rows, played = explain_truth(
                policy, player, task, mode, methods=options.maps.methods, truth=truth, settings=settings, report=bars
            )
            drawn(explanation, folder, options.subject, ["score", *words], console, bars)
            path = save_rows(folder, rows)
            data = save_data_set(folder, mode, played)
            tables += rows
        page = write_report(folder)
    print_tables(tables, modes or (CLEAN,), console, TRUTH_SHOWN)
    say(console, LEGEND)
    say(console, f"All scores are in {path}, the states and their truth in {data.parent}. Open {page}")
    return 0


def player_of(policy: Policy, task: Task, options: Score) -> Policy:
    """Return the policy that reaches the states: the named one, else a student's teacher, else the policy itself.

    Raises:
        UserError: the named one, or the teacher, cannot be opened or cannot play the task.
    """
    assert task.config is not None
    named, run = options.truth.truth_player, policy.config
    spaces = suite_of(task.config.task).spaces(task.config)
    if named is not None:
        player = load_any(named, device=options.subject.opening.device, trust=options.subject.opening.trust)
        if player.pixels.channels_first != spaces.obs_shape:
            raise UserError(
                f"--truth-player {named} sees {player.pixels.description()}, but {task.name} shows other pictures."
            )
        return player
    if run is not None and run.teaching is not None:
        return open_teacher(replace(run, env=task.config), spaces, policy.device)
    return policy


def _refuse_others(options: Score) -> None:
    """Raise UserError for options that ask for episodes, of which there are none."""
    foreign = ["obs"] if options.subject.obs is not None else []
    foreign += options_of_episodes(options)
    if foreign:
        raise UserError(
            f"--{foreign[0].replace('_', '-')} belongs to an episode that is explained, but --truth-states takes "
            "states from many: leave it out."
        )
