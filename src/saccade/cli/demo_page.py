"""The page that ``saccade demo`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saccade.bench.results import backgrounds_of, cell, changes_of, modes_of, newest_results, setting_of, worst_gap
from saccade.policies.policy import Policy
from saccade.viewer.figures import learning_curves, mode_returns, returns_by_mode, training_curve
from saccade.viewer.page import Code, Gallery, Heading, Picture, Section, Table, Text, write_page
from saccade.viewer.pictures import data_uri, frame_of, overlay, png

Row = Mapping[str, Any]

BRIGHTEST = 0.99  # quantile of a map that is drawn at full brightness: a few extreme pixels would hide the rest


def write_demo_page(
    path: Path,
    task: str,
    policies: Mapping[str, Policy],
    rows: Sequence[Row],
    metrics: Mapping[str, Sequence[Row]],
    hardest: str,
    states: np.ndarray,
) -> None:
    """Write table, curves and pictures as one self-contained file.

    rows: of evaluations.jsonl, for every policy and mode; metrics: of metrics.jsonl, by method; states: observations
    ``[number, channel, height, width]`` of the mode ``hardest`` to draw what each policy looks at.
    """
    chance = next(row["return_mean"] for row in rows if row["method"] == "random" and row["mode"] == "train")
    steps = " and ".join(f"{policy.env_steps} agent steps of {method.upper()}" for method, policy in policies.items())
    sections: list[Section] = [
        Text(
            f"SAC and SGQN (small networks) learned {task} from pixels, side by side on one core each: {steps}, whose "
            "updates cost two and a half times as much. Both then played the benchmark's "
            "modes, in which colours or the video behind the robot were never seen in training."
        ),
        Heading("What each method returns in each mode"),
        _table(rows),
        Picture(
            returns_by_mode(mode_returns(rows)),
            "Mean return and standard deviation of each policy in each mode",
            "Large marks are means over episodes, lines their standard deviations, small marks the episodes. A method "
            "that generalizes keeps its marks at the height they have under train.",
        ),
        Heading("How they learned"),
        Picture(
            learning_curves(
                [training_curve(method, values) for method, values in metrics.items()],
                levels={"random policy": chance},
            ),
            "Training return over agent steps of both methods",
            "Return of each training episode against agent steps, smoothed over five episodes. The dashed line is a "
            "policy that acts at random.",
        ),
        Heading(f"What they look at under {hardest}"),
        _looks(policies, states),
        Heading("Where these numbers come from"),
        Text(_provenance(rows)),
        Code("saccade demo\nsaccade train sgqn dmc/walker_walk   # the paper's setting, for a GPU"),
    ]
    write_page(path, f"Saccade demo: {task}", sections)


def _table(rows: Sequence[Row]) -> Table:
    results = newest_results(rows)
    modes = modes_of(results)
    return Table(
        ("method", *modes, "largest gap"),
        tuple(
            (
                result.method,
                *(cell(result.rows.get(mode)) for mode in modes),
                None if worst_gap(result) is None else round(worst_gap(result) or 0.0),
            )
            for result in results
        ),
        f"Return of an episode, mean ± standard deviation over {len(rows[0]['returns'])} episodes, the same for all. "
        "The largest gap is what the worst mode loses of the return under train; with a low return it is no merit. "
        + " ".join(f"{sentence}." for sentence in changes_of(results)),
    )


def _looks(policies: Mapping[str, Policy], states: np.ndarray) -> Gallery:
    rows = [("what the agent sees", tuple(_uri(frame_of(obs)) for obs in states))]
    for method, policy in policies.items():
        rows.append((f"{method}: what its Q depends on", _overlays(states, policy.map("q_attribution", states))))
        if "predicted_mask" in policy.maps:
            mask = policy.map("predicted_mask", states)
            rows.append((f"{method}: the mask it predicts", _overlays(states, mask, limits=(0.0, 1.0))))
    return Gallery(
        tuple(rows),
        (),
        "Six moments of one episode that SGQN plays. Bright pixels matter: to Q1 of the greedy action by guided "
        "backpropagation (white: the strongest hundredth of each picture), and in SGQN's own predicted mask "
        "(probability 0 to 1). A policy that knows where to look is bright on the robot and dark on the video.",
    )


def _overlays(states: np.ndarray, maps: np.ndarray, limits: tuple[float, float] | None = None) -> tuple[str, ...]:
    return tuple(
        _uri(overlay(frame_of(obs), newest, limits=limits or (0.0, float(np.quantile(newest, BRIGHTEST)))))
        for obs, newest in zip(states, maps[:, -1], strict=True)
    )


def _uri(picture: np.ndarray) -> str:
    return data_uri(png(picture))


def _provenance(rows: Sequence[Row]) -> str:
    provenance = rows[0]["provenance"]
    versions = ", ".join(f"{name} {provenance[name]}" for name in ("dm_control", "mujoco") if name in provenance)
    backgrounds = "; ".join(backgrounds_of(rows))
    return (
        f"One seed, {setting_of(provenance)}, {versions}. Backgrounds: {backgrounds}. Such short runs of small "
        "networks do not compare with published results; the commands below make ones that do."
    )
