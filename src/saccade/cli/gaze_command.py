"""``saccade score WHAT --gaze FOLDER``: maps against the gaze of people who played the policy's game."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from saccade.cli import terminal
from saccade.cli.explaining import (
    Bars,
    changed,
    check_writable,
    drawn,
    introduce,
    method_settings,
    options_of_episodes,
    out_folder,
    say,
)
from saccade.cli.options import People, Score, Subject
from saccade.cli.score_tables import print_tables
from saccade.cli.suite_options import given
from saccade.data.atari_head.folder import GAMES, checked_game, find_gaze
from saccade.envs.tasks.atari.frames import SIDE
from saccade.explain.gaze import ALL_TRIALS, GazeSettings, explain_gaze, game_of, seeing_atari
from saccade.explain.rows import save_rows
from saccade.explain.trials import STACK
from saccade.policies.load import load_any
from saccade.policies.normalisation import normalisation
from saccade.policies.policy import Policy
from saccade.types import UserError
from saccade.viewer.report import write_report

LEGEND = (
    "NSS: standardised saliency where people looked, 0 is chance; KL: nats from where they looked to the map; sAUC: "
    "probability of more saliency where they look now than at other times, AUC-J: than elsewhere; CC: correlation; "
    "SIM: "
    "overlap of the two. (-n): frames without a score; ↑ ↓: which way is better; *: the best, if it beats "
    "chance and the rows that do not use the network."
)
OF_ENVIRONMENTS = ("obs", "modes", "image_size", "frame_stack", "action_repeat")  # of Subject


def against_people(options: People) -> bool:
    """Return whether scores against gaze were asked for; options that only say how do not count."""
    return options.gaze is not None or options.game is not None or bool(options.trials)


def refuse_gaze_options(options: People) -> None:
    """Raise UserError for options about scoring against gaze, if there is none."""
    for name in ("gaze_join", "gaze_frames"):
        if name in changed(options):
            raise UserError(
                f"--{name.replace('_', '-')} says how maps are scored against gaze: give --gaze FOLDER too."
            )


def score_against_people(options: Score, words: list[str]) -> int:
    """Run the command; return the exit code."""
    _refuse_others(options)
    settings, people = method_settings(options.maps), options.people
    folder_of_gaze = find_gaze(people.gaze)
    policy, game = policy_and_game(options.subject, people)
    policy = seeing_atari(policy)
    folder_of_gaze.of_game(game, people.trials)
    folder = out_folder(options.subject, policy, "gaze")
    console = terminal.console()
    bars = Bars(console)
    with bars.shown():
        introduce(policy, settings, console)
        check_writable(folder)
        gaze = GazeSettings(people.trials, people.gaze_join, people.gaze_frames)
        explanation, rows, notes = explain_gaze(
            policy, folder_of_gaze, game, methods=options.maps.methods, gaze=gaze, settings=settings, report=bars
        )
        for note in notes:
            say(console, f"{note}.", style="yellow")
        drawn(explanation, folder, options.subject, ["score", *words], console, bars)
        path = save_rows(folder, rows)
        page = write_report(folder)
    modes = list(explanation.episodes)
    print_tables(rows, [ALL_TRIALS] if len(modes) > 1 else modes, console)
    say(console, LEGEND)
    say(console, f"All scores, of every trial, are in {path}. Open {page}")
    return 0


def policy_and_game(options: Subject, people: People) -> tuple[Policy, str]:
    """Return the policy, without any environment, and its game. Raises UserError."""
    opening = options.opening
    named = people.game or opening.task
    common: dict[str, Any] = {
        "layout": opening.layout,
        "colours": options.colours,
        "normalised": normalisation(opening.mean, opening.std),
        "device": opening.device,
        "trust": opening.trust,
    }
    if opening.policy is not None:
        if named is None:
            raise UserError(f"--policy {opening.policy} needs --game: the network is built for the game's actions.")
        game = checked_game(named)
        last = opening.layout == "channels_last"
        shape = (SIDE, SIDE, STACK) if last else (STACK, SIDE, SIDE)
        policy = load_any(
            options.what,
            policy=opening.policy,
            checkpoint=opening.checkpoint,
            observation_space=gymnasium.spaces.Box(0, 255, shape, np.uint8),
            action_space=gymnasium.spaces.Discrete(GAMES[game]),
            output=opening.output,
            **common,
        )
    else:
        if options.what is None:
            raise UserError(
                "Say which policy: a run folder, a zip of Stable-Baselines3, or --policy with --checkpoint."
            )
        policy = load_any(options.what, method=opening.method, **common)
        game = game_of(policy, named)
    return (policy if opening.channels is None else _with_channels(policy, opening.channels)), game


def _with_channels(policy: Policy, channels: str) -> Policy:
    return replace(policy, pixels=policy.pixels.with_channels(channels))


def _refuse_others(options: Score) -> None:
    """Raise UserError for options that ask for episodes, of which there are none."""
    foreign = [name for name in OF_ENVIRONMENTS if getattr(options.subject, name) not in (None, ())]
    foreign += list(given(options.subject.opening.options))
    foreign += options_of_episodes(options)
    if foreign:
        also = " --gaze-frames says how many moments." if "frames" in foreign else ""
        raise UserError(
            f"--{foreign[0].replace('_', '-')} belongs to episodes that a policy plays, but with --gaze people have "
            f"played: leave it out.{also}"
        )
