"""Compare a policy's maps with the gaze of people who played its game (Nikulin et al., 2019), trial by trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from saccade.data.atari_head.folder import GazeFolder, Trial, checked_game
from saccade.envs.tasks.atari.frames import SIDE
from saccade.envs.tasks.atari.games import ACTIONS, GAMES
from saccade.explain.channels import as_observations
from saccade.explain.episodes import Episode
from saccade.explain.explanation import Explanation, Moments, Report, silent
from saccade.explain.maps import (
    ALL,
    DEFAULT_SETTINGS,
    Find,
    MethodSettings,
    find_maps,
    finders,
    magnitude,
    noise_of,
    seconds_alone,
)
from saccade.explain.people import OTHERS, baselines_for, scores_of
from saccade.explain.pictures import find_pictures
from saccade.explain.preferences import Actions, preferences
from saccade.explain.rows import Row, row_of
from saccade.explain.tasks import Task
from saccade.explain.trials import (
    JOINS,
    STACK,
    Join,
    Pictures,
    Watched,
    looked_at_in,
    looks_of,
    read_watched,
)
from saccade.policies.evaluate import num_parameters
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import GREY
from saccade.policies.policy import Policy
from saccade.types import UserError

ALL_TRIALS = "all trials"
"""The mode that rows of means over trials carry."""

MAPS_AT_ONCE = 256  # signed maps in memory at a time
SHOWN, SHOWN_OF_ALL, SHOWN_AT_LEAST = 40, 120, 4  # moments on the page: per trial, in all, at least per trial


@final
@dataclass(frozen=True)
class GazeSettings:
    """Which gaze is used, and how many moments.

    Attributes:
        trials: their numbers; empty for all of the game.
        join: how gaze is matched to pictures, see ``trials.JOINS``.
        frames: observations of each trial that are scored, evenly spread; 0 for all, as in FLS.
    """

    trials: tuple[int, ...] = ()
    join: Join = "frame_id"
    frames: int = 100


DEFAULT_GAZE = GazeSettings()


def mode_of(trial: Trial) -> str:
    """Return what a trial's rows carry in place of a mode."""
    return f"trial-{trial.number}"


def game_of(policy: Policy, named: str | None = None) -> str:
    """Return the game that a policy plays: the one named, or else its run's. Raises UserError if it is unknown."""
    if named is None and policy.config is not None:
        named = policy.config.env.task
    if named is None:
        raise UserError(f"{policy.source} does not say which game it plays: name it with --game, such as Breakout.")
    return checked_game(named)


def seeing_atari(policy: Policy) -> Policy:
    """Return the policy with its observations declared to be grey frames.

    Raises:
        UserError: it takes observations that cannot be made from a trial.
    """
    pixels = policy.pixels
    grey = not pixels.said or pixels.parts == (GREY,)
    if pixels.channels_first != (STACK, SIDE, SIDE) or not grey:
        raise UserError(
            f"{policy.name} sees {pixels.description()}, but people's games are made into {STACK} grey frames of "
            f"{SIDE}x{SIDE} pixels, which policies for Atari see."
        )
    return dataclasses.replace(policy, pixels=pixels.with_channels(GREY))


def explain_gaze(
    policy: Policy,
    folder: GazeFolder,
    game: str,
    *,
    methods: Sequence[str] | str = ALL,
    gaze: GazeSettings = DEFAULT_GAZE,
    settings: MethodSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> tuple[Explanation, list[Row], tuple[str, ...]]:
    """Compute maps of people's games and score them against gaze; also return, in words, what the files lack.

    The explanation holds some moments of each trial, for looking at; the rows cover all that ``gaze.frames`` asks for.

    Args:
        game: spelled as in ``atari_head.folder.GAMES``; see ``game_of``.

    Raises:
        UserError: the policy takes other observations, there is no such trial, a file is damaged, or a method cannot be
            right.
    """
    _check(gaze, settings)
    policy = seeing_atari(policy)
    trials = folder.of_game(game, gaze.trials)
    found, left_out = finders(
        policy, (methods,) if isinstance(methods, str) else tuple(methods), settings, noise_of(policy)
    )
    seen = [_read(trial, gaze, len(trials), report) for trial in trials]
    looked, notes = _everybody(folder.of_game(game), trials, report)
    rows, count = list[Row](), num_parameters(policy.network)
    episodes: dict[str, Episode] = {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    pictures: dict[str, dict[str, np.ndarray]] = {}
    costs: dict[str, tuple[float, float]] = {}
    for watched, chosen, shown, screens in seen:
        mode = mode_of(watched.trial)
        magnitudes, maps[mode], spent = _maps(policy, found, watched, chosen, shown, settings, report)
        costs = costs or spent
        episodes[mode] = _episode(policy, game, watched, chosen[shown], screens)
        pictures[mode] = find_pictures(policy, episodes[mode].obs, settings.max_batch)
        scored = baselines_for(watched.trial, looked) | {
            name: on_own_scale(found) for name, found in magnitudes.items()
        }
        for place, (name, values) in enumerate(scored.items()):
            report(f"{mode}: against gaze", place, len(scored))
            more = {"trial": watched.trial.number, "join": gaze.join, "game": game, "parameters": count}
            rows += [
                row_of(mode, name, metric, one, **more) for metric, one in scores_of(watched, chosen, values).items()
            ]
        notes += tuple(f"{mode}: {note}" for note in watched.notes)
    numbers = [trial.number for trial in trials]
    task = _task(game, folder, gaze, numbers, list(episodes))
    moments = Moments(frames=gaze.frames, seed=settings.seed)
    options = {**asdict(settings), "game": game, "join": gaze.join, "trials": numbers, "frames": gaze.frames}
    options |= {"seed": settings.seed, "channels": list(policy.pixels.parts)}
    by_name = {find.name: find for find in found}
    explanation = Explanation(
        policy, task, by_name, episodes, maps, pictures, costs, left_out, moments, settings, options
    )
    return explanation, _with_origin(explanation, [*rows, *_means(rows, numbers)]), notes


def on_own_scale(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return maps ``[observations, h, w]`` of a trial divided by the largest value of all; unchanged if that is 0."""
    greatest = float(maps.max())
    return maps / greatest if greatest > 0 else maps


def _check(gaze: GazeSettings, settings: MethodSettings) -> None:
    if gaze.join not in JOINS:
        raise UserError(f"There is no join {gaze.join!r}: choose from {', '.join(JOINS)}.")
    if gaze.frames < 0:
        raise UserError(f"--gaze-frames {gaze.frames} is too small: use 1 or more, or 0 for all.")
    if settings.max_batch < 1:
        raise UserError(f"--max-batch {settings.max_batch} is too small: it must be at least 1.")


Seen = tuple[Watched, NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
"""A trial, its scored observations, the places of the shown ones among those, and their screens."""


def _read(trial: Trial, gaze: GazeSettings, num_trials: int, report: Report) -> Seen:
    """Read all that is needed from a trial's files, so that damage shows before anything is computed."""
    report(f"{mode_of(trial)}: reading", 0, 1)
    pictures = Pictures(trial, partial(report, f"{mode_of(trial)}: reading"))
    watched = read_watched(trial, pictures, gaze.join)
    chosen = _spread(len(watched), gaze.frames or len(watched))
    most = min(SHOWN, max(SHOWN_AT_LEAST, SHOWN_OF_ALL // num_trials))
    shown = _spread(len(chosen), most)
    return watched, chosen, shown, pictures.screens(chosen[shown])


def _spread(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def _everybody(
    of_game: Sequence[Trial], chosen: Sequence[Trial], report: Report
) -> tuple[dict[int, NDArray[np.float64]], tuple[str, ...]]:
    """Where people looked in each trial of the game, and notes on other trials that cannot be read."""
    looked, notes = {}, []
    for place, trial in enumerate(of_game):
        report("gaze of the other trials", place, len(of_game))
        try:
            looked[trial.number] = looked_at_in(looks_of(trial))
        except UserError as error:
            if trial in chosen:
                raise
            notes.append(f"trial {trial.number} is left out of {OTHERS}: {error}")
    return looked, tuple(notes)


def _maps(
    policy: Policy,
    found: Sequence[Find],
    watched: Watched,
    chosen: NDArray[np.int64],
    shown: NDArray[np.int64],
    settings: MethodSettings,
    report: Report,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, np.ndarray], dict[str, tuple[float, float]]]:
    """By method: magnitudes ``[chosen, h, w]``, signed maps of the shown ones, and seconds per frame."""
    magnitudes: dict[str, NDArray[np.float32]] = {}
    signed: dict[str, np.ndarray] = {}
    costs: dict[str, tuple[float, float]] = {}
    for find in found:
        parts, kept, seconds = [], [], 0.0
        for first in range(0, len(chosen), MAPS_AT_ONCE):
            obs = _given(policy, watched, chosen[first : first + MAPS_AT_ONCE])
            progress = partial(_progress, report, f"{mode_of(watched.trial)}: {find.name}", first, len(chosen))
            values, each = find_maps(policy, find, obs, settings.max_batch, progress)
            parts.append(magnitude(values))
            kept.append(values[shown[(shown >= first) & (shown < first + len(obs))] - first])
            seconds += each * len(obs)
        magnitudes[find.name], signed[find.name] = np.concatenate(parts), np.concatenate(kept)
        costs[find.name] = (seconds / len(chosen), seconds_alone(policy, find, _given(policy, watched, chosen[:1])))
    return magnitudes, signed, costs


def _progress(report: Report, what: str, before: int, total: int, done: int, _: int) -> None:
    report(what, before + done, total)


def _given(policy: Policy, watched: Watched, chosen: NDArray[np.int64]) -> np.ndarray:
    """Observations as the policy takes them, in its channel order and range."""
    return as_observations(policy.pixels, watched.obs(chosen).astype(np.float32) / BYTE)


def _actions(policy: Policy, game: str, obs: np.ndarray) -> Actions:
    """The names of the policy's actions: the game's own, or all those of a joystick."""
    count = {values.shape[1] for values in preferences(policy, obs[:1], 1).values()}
    choices = (GAMES[game].played_with(every) for every in (False, True))
    named = next((one for one in choices if {len(one)} == count), ())
    return Actions(0, tuple(ACTIONS[action] for action in named))


def _episode(
    policy: Policy, game: str, watched: Watched, moments: NDArray[np.int64], screens: NDArray[np.uint8]
) -> Episode:
    """What is shown of a trial; the actions are those of the policy."""
    obs = _given(policy, watched, moments)
    return Episode(
        mode=mode_of(watched.trial),
        seed=0,
        obs=obs,
        step=moments,
        action=policy.act(obs),
        reward=np.full(len(moments), np.nan),
        clean_obs=None,
        changed_pixels=None,
        task_mask=None,
        length=len(watched),
        total=float("nan"),
        pixels=policy.pixels,
        provenance={},
        actions=_actions(policy, game, obs),
        screen=screens,
        looked_at=watched.fixations(moments[:, None]).astype(np.uint16),
    )


def _means(rows: Sequence[Row], numbers: Sequence[int]) -> list[Row]:
    """For each method and metric the mean over trials of the means over their frames; none if there is one trial."""
    if len(numbers) < 2:
        return []
    together: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        together.setdefault((row["method"], row["metric"]), []).append(row)
    made = []
    for group in together.values():
        means = [row["mean"] for row in group if row["mean"] is not None]
        made.append(
            {key: value for key, value in group[0].items() if key != "trial"}
            | {
                "mode": ALL_TRIALS,
                "trials": list(numbers),
                "mean": float(np.mean(means)) if means else None,
                "std": float(np.std(means)) if means else None,
                "count": sum(row["count"] for row in group),
                "undefined": sum(row["undefined"] for row in group),
            }
        )
    return made


def _with_origin(explanation: Explanation, rows: Sequence[Row]) -> list[Row]:
    policy = explanation.policy
    origin = {
        "identity": explanation.identity,
        "policy": policy.name,
        "env_steps": policy.env_steps,
        "task": explanation.task.name,
    }
    return [origin | row for row in rows]


def _task(game: str, folder: GazeFolder, gaze: GazeSettings, numbers: Sequence[int], modes: Sequence[str]) -> Task:
    """A task that stands in for the environment, of which there is none."""
    noun = "trial" if len(numbers) == 1 else "trials"
    name = f"{game} as people played it ({noun} {', '.join(map(str, numbers))} in {folder.root}, gaze by {gaze.join})"
    return Task(name, _nowhere, tuple(modes), knows_truth=False)


def _nowhere(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
    raise UserError("People's games have no environment to play in.")
