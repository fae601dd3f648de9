"""The page that ``saccade demo`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, final

import numpy as np

from saccade.bench.results import backgrounds_of, changes_of, modes_of, newest_results, setting_of
from saccade.explain.preferences import preferences
from saccade.explain.reading import values_of
from saccade.policies.policy import Policy
from saccade.viewer import figures
from saccade.viewer.explanation import brightest
from saccade.viewer.film import Film, Films, panel
from saccade.viewer.page import Code, Found, Gallery, Heading, Picture, Section, Table, Text, write_page
from saccade.viewer.pictures import data_uri, frame_of, overlay, png
from saccade.viewer.timeline import Chart, chart, chart_of_parts, together

Row = Mapping[str, Any]
CLEAN, RANDOM = "train", "random"
MOMENT = 0.3  # fraction of an episode at which the modes are shown side by side
FILM_FRAMES = 60  # at most
AT_ONCE = 64  # observations that a network is given at once
NAMES = {"sac": "SAC", "sgqn": "SGQN", RANDOM: "acting at random"}
COLUMNS = {**NAMES, RANDOM: "random"}


@final
@dataclass(frozen=True)
class Played:
    """An episode that a method played.

    Attributes:
        obs: uint8 ``[time + 1, channel, height, width]``: the last is what the last action led to.
        actions: ``[time, dims]``, as ``rewards``, ``[time]``.
    """

    obs: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


Episodes = Mapping[str, Mapping[str, Played]]
"""By method and mode."""


@dataclass(frozen=True)
class DemoRun:
    """What a demo did, besides its rows.

    Attributes:
        wanted_steps: agent steps that each method was given.
        minutes: how long the methods trained, side by side.
        command: the command that makes this page again.
        run: folder of SGQN's run, for further commands.
    """

    task: str
    wanted_steps: Mapping[str, int]
    minutes: float
    command: str
    run: Path


def write_demo_page(
    path: Path,
    demo: DemoRun,
    policies: Mapping[str, Policy],
    rows: Sequence[Row],
    metrics: Mapping[str, Sequence[Row]],
    episodes: Episodes,
) -> None:
    """Write table, bars, curves, pictures and films as one self-contained file.

    rows: of evaluations.jsonl, for every policy and mode; metrics: of metrics.jsonl, by method.
    """
    modes = list(next(iter(episodes.values())))
    sections: list[Section] = [
        Found(" ".join(sentences(rows))),
        _bars(rows),
        *_tables(rows),
        Heading("What they look at"),
        _moments(policies, episodes),
        _films(policies, episodes, modes[-1]),
        Heading("How they learned"),
        Text(_equal_time(demo, policies)),
        *_curves(rows, metrics),
        Heading("Three things to try next"),
        Code(
            f"saccade explain {demo.run} --modes {CLEAN} {modes[-1]}\n"
            f"saccade evaluate {demo.run} --episodes 50 --video\n"
            f"saccade train sgqn dmc/walker_walk   # the paper's setting, for a GPU"
        ),
        Heading("Where these numbers come from"),
        Text(_provenance(rows)),
        Code(demo.command),
    ]
    write_page(path, f"Saccade demo: {demo.task}", sections)


def sentences(rows: Sequence[Row]) -> list[str]:
    """Return the results in sentences: where each method was trained, and in surroundings it has not seen."""
    lines = []
    for method, by_mode in _by_method(rows).items():
        clean, others = by_mode[CLEAN], [value for mode, value in by_mode.items() if mode != CLEAN]
        lines.append(
            f"{NAMES.get(method, method)}: {_amount(clean, rows)} where it was trained"
            f" and {_amount(fmean(others), rows)} on average in surroundings it has not seen."
            if method != RANDOM
            else f"Acting at random: {_amount(clean, rows)}."
        )
    return lines


def _amount(value: float, rows: Sequence[Row]) -> str:
    return f"{100 * value:.0f} % of the episodes succeed" if _knows_success(rows) else f"a return of {value:.0f}"


def _knows_success(rows: Sequence[Row]) -> bool:
    return all(row.get("success_rate") is not None for row in rows)


def _by_method(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """By method and mode, the success rate if the task defines success, else the mean return."""
    key = "success_rate" if _knows_success(rows) else "return_mean"
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["mode"]] = float(row[key])
    return found


def _tables(rows: Sequence[Row]) -> list[Table]:
    """Tables with modes as rows and methods as columns, to fit on a phone: successes, if defined, and returns."""
    results = newest_results(rows)
    columns = ("mode", *(COLUMNS.get(result.method, result.method) for result in results))
    episodes = f"{len(rows[0]['returns'])} episodes per cell, the same for all; they were trained in {CLEAN}."
    tables = []
    if _knows_success(rows):
        shares = tuple(
            (mode, *(f"{100 * result.rows[mode]['success_rate']:.0f} %" for result in results))
            for mode in modes_of(results)
        )
        tables.append(Table(columns, shares, f"Episodes that succeed: {episodes}"))
    returns = tuple((mode, *(_return(result.rows[mode]) for result in results)) for mode in modes_of(results))
    changes = " ".join(f"{sentence}." for sentence in changes_of(results))
    tables.append(Table(columns, returns, f"Return, mean ± standard deviation: {episodes} {changes}".strip()))
    return tables


def _share(row: Row) -> str:
    return f"{100 * row['success_rate']:.0f} %"


def _return(row: Row) -> str:
    return f"{row['return_mean']:.0f} ± {row['return_std']:.0f}"


def _bars(rows: Sequence[Row]) -> Picture:
    named = {NAMES.get(method, method): by_mode for method, by_mode in _by_method(rows).items()}
    if _knows_success(rows):
        chart = figures.shares_by_mode(named, y_label="episodes that succeed, %")
        return Picture(
            chart,
            "Share of the episodes that succeed, of each policy in each mode",
            "A policy that generalizes has bars as high as in train.",
        )
    return Picture(
        figures.returns_by_mode(figures.mode_returns(rows)),
        "Mean return and standard deviation of each policy in each mode",
        "Large marks are means over episodes, lines their standard deviations, small marks the episodes. A policy that "
        "generalizes has marks as high as in train.",
    )


def _curves(rows: Sequence[Row], metrics: Mapping[str, Sequence[Row]]) -> list[Picture]:
    """The same returns over minutes, which were equal for both, and over agent steps."""
    chance = next(row["return_mean"] for row in rows if row["method"] == RANDOM and row["mode"] == CLEAN)
    pictures = []
    for minutes, x_label in ((True, "minutes"), (False, "agent steps")):
        curves = [
            figures.training_curve(NAMES.get(method, method), values, minutes=minutes)
            for method, values in metrics.items()
        ]
        pictures.append(
            Picture(
                figures.learning_curves(curves, levels={"acting at random": chance}, x_label=x_label),
                f"Training return over {x_label}",
                f"Return of each training episode over {x_label}, smoothed over five episodes.",
            )
        )
    return pictures


def _equal_time(demo: DemoRun, policies: Mapping[str, Policy]) -> str:
    steps = " and ".join(f"{policy.env_steps:,} of {NAMES[method]}" for method, policy in policies.items())
    cut = [
        f"{NAMES[method]} had made all {demo.wanted_steps[method]:,}"
        for method, policy in policies.items()
        if policy.env_steps < demo.wanted_steps[method]
    ]
    ended = f" Time was up before {' and '.join(cut)}." if cut else ""
    return (
        f"The two learned for about the same time, side by side on one core each, {demo.minutes:.1f} minutes in all, "
        "but not "
        f"for the same number of agent steps: {steps}, since an update of SGQN costs twice as much as SAC's.{ended} "
        "The first "
        "chart compares them at equal time, the second at equal steps."
    )


def _moments(policies: Mapping[str, Policy], episodes: Episodes) -> Gallery:
    """One column per mode, at the same step of episodes that begin alike."""
    rows = []
    for method, by_mode in episodes.items():
        obs = np.stack([played.obs[int(MOMENT * len(played.actions))] for played in by_mode.values()])
        rows.append((f"what {NAMES[method]} sees", tuple(data_uri(png(frame_of(one))) for one in obs)))
        for label, drawn in _looks(policies[method], obs).items():
            rows.append((f"{NAMES[method]}: {label}", tuple(data_uri(png(picture)) for picture in drawn)))
    return Gallery(
        tuple(rows),
        tuple(next(iter(episodes.values()))),
        "One column per mode: the same step of episodes that begin alike. Bright pixels matter: to Q1 of the action "
        "that "
        "is taken, by guided backpropagation, and in SGQN's own predicted mask. A policy that knows where to look is "
        "bright on what it acts with and on, and dark elsewhere, in every mode. A map that is zero everywhere is "
        "crossed out.",
    )


def _films(policies: Mapping[str, Policy], episodes: Episodes, hardest: str) -> Films:
    films = {}
    for mode in (CLEAN, hardest):
        played = {method: by_mode[mode] for method, by_mode in episodes.items()}
        length = min(len(one.obs) for one in played.values())
        chosen = np.unique(np.linspace(0, length - 1, FILM_FRAMES).astype(int))
        panels = []
        for method, one in played.items():
            obs = one.obs[chosen]
            frames = np.stack([frame_of(each) for each in obs])
            panels.append(panel(f"{NAMES[method]} sees", f"What {NAMES[method]} sees in {mode}", frames))
            for label, drawn in _looks(policies[method], obs).items():
                panels.append(panel(label, f"{NAMES[method]} in {mode}: {label}", drawn))
        films[mode] = Film(
            tuple(panels),
            tuple(f"step {step}" for step in range(length)),
            *_frame_size(episodes),
            f"An episode of each method in {mode}: what it sees, and what its action depends on.",
            curves=_curves_of(policies, played, length),
            drawn=() if len(chosen) == length else tuple(chosen.tolist()),
        )
    return Films(films, "The slider moves both modes. Value is the return that a policy expects from here on.")


def _curves_of(policies: Mapping[str, Policy], played: Mapping[str, Played], length: int) -> tuple[Chart, ...]:
    """What each method expects along its episode, and gets for its actions, the first ``length`` moments of it."""
    found = {}
    for method, episode in played.items():
        obs, policy = episode.obs[:length], policies[method]
        values = values_of(policy, obs, preferences(policy, obs, AT_ONCE), AT_ONCE)
        rewards = np.append(episode.rewards, np.nan)[:length]  # no action is taken at the end of the episode
        actions = np.append(episode.actions, np.full_like(episode.actions[:1], np.nan), axis=0)[:length]
        charts = [chart("reward", rewards), chart_of_parts(actions)]
        found[NAMES[method]] = charts if values is None else [chart("value", values), *charts]
    return together(found)


def _frame_size(episodes: Episodes) -> tuple[int, int]:
    """Height and width of a frame."""
    first = next(iter(next(iter(episodes.values())).values())).obs
    return first.shape[-2], first.shape[-1]


def _looks(policy: Policy, obs: np.ndarray) -> dict[str, np.ndarray]:
    """By name of what is shown: uint8 ``[moments, height, width, 3]``, the newest frame under a map."""
    frames = np.stack([frame_of(one) for one in obs])
    attribution = policy.map("q_attribution", obs)[:, -1]
    drawn = {"what its Q depends on": overlay(frames, attribution, limits=(0.0, brightest(attribution)))}
    if "predicted_mask" in policy.maps:
        mask = policy.map("predicted_mask", obs)[:, -1]
        drawn["the mask it predicts"] = overlay(frames, mask, limits=(0.0, 1.0))
    return drawn


def _provenance(rows: Sequence[Row]) -> str:
    provenance = rows[0]["provenance"]
    versions = ", ".join(f"{name} {provenance[name]}" for name in ("dm_control", "mujoco") if name in provenance)
    backgrounds = "; ".join(backgrounds_of(rows))
    return (
        f"One seed, {setting_of(provenance)}, {versions}. Surroundings: {backgrounds}. Such short runs of small "
        "networks do not compare with published results; `saccade train` without --preset makes ones that do."
    )
