"""Rows of a grid's runs: what was played last counts, and what was played otherwise never mixes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saccade.bench.apart import not_averaged
from saccade.bench.comparison import lines_of
from saccade.bench.grids import Arm, Grid
from saccade.bench.outcomes import Outcome, alike, outcomes_of
from saccade.bench.printed import frames_asked_text, frames_text

GRID = Grid("probe", "one arm", (Arm("a", "ppo"),), ("minigrid/Empty-5x5",), (0, 1))
RUN = "minigrid-Empty-5x5/a"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluation(env_steps: int, mode: str, mean: float, episodes: int = 5, **more: Any) -> dict[str, Any]:
    row = {"env_steps": env_steps, "task": "minigrid/Empty-5x5", "seed": 0, "mode": mode, "episodes": episodes}
    row |= {"episode_seed": 0, "return_mean": mean, "return_std": 1.0, "success_rate": 0.5, "sampled": False}
    return row | {"provenance": {"image_size": 40}} | more


def test_the_last_and_widest_evaluation_counts(tmp_path: Path) -> None:
    rows = [evaluation(10, "train", 1.0), evaluation(20, "train", 2.0), evaluation(20, "train", 3.0, episodes=50)]
    write(tmp_path / RUN / "0" / "evaluations.jsonl", rows)
    (returns,) = [outcome for outcome in outcomes_of(GRID, tmp_path) if outcome.measure == "return"]
    assert (returns.value, returns.env_steps, returns.count) == (3.0, 20, 50)
    assert (returns.setting, returns.arm, returns.seed, returns.run) == ("40 px", "a", 0, f"{RUN}/0")


def test_a_mode_that_was_not_played_to_the_end_again_is_left_out(tmp_path: Path) -> None:
    rows = [evaluation(20, "train", 1.0), evaluation(20, "noise", 0.0), evaluation(20, "train", 2.0, episodes=50)]
    write(tmp_path / RUN / "0" / "evaluations.jsonl", rows)
    assert {outcome.mode for outcome in outcomes_of(GRID, tmp_path)} == {"train"}, "5 and 50 episodes are not one row"


def test_scores_and_attacks_are_rows_too(tmp_path: Path) -> None:
    write(tmp_path / RUN / "0" / "evaluations.jsonl", [evaluation(20, "train", 1.0)])
    score = {"mode": "train", "method": "gradient", "metric": "area_under_roc", "mean": 0.75, "std": 0.1, "count": 16}
    write(tmp_path / RUN / "0" / "explain" / "scores.jsonl", [score, {**score, "metric": "nss", "mean": None}])
    attack = {"attack": "fgsm", "epsilon": 4, "return_mean": -1.0, "episodes": 3, "returns": [-1, -1, -1]}
    write(tmp_path / RUN / "0" / "attacks.jsonl", [{**attack, "return_mean": 9.0}, attack])
    told = {(outcome.measure, outcome.mode): outcome.value for outcome in outcomes_of(GRID, tmp_path)}
    assert told["area_under_roc:gradient", "train"] == 0.75
    assert told["return", "train+fgsm:4"] == -1.0, "what was attacked again stands for what was attacked before"
    assert ("nss:gradient", "train") not in told


def test_what_was_played_or_attacked_in_another_way_afterwards_takes_nobodys_place(tmp_path: Path) -> None:
    oracle = {"provenance": {"image_size": 40, "oracle_mask": "agent"}}
    write(
        tmp_path / RUN / "0" / "evaluations.jsonl",
        [evaluation(20, "train", 1.0), evaluation(20, "train", 9.0) | oracle, evaluation(20, "train", 2.0)],
    )
    attack = {"attack": "fgsm", "epsilon": 4, "episodes": 3, "target": "policy", "provenance": {"mujoco": "3.9"}}
    again = [("policy", -1.0), ("value", -5.0), ("policy", -2.0)]
    rows = [attack | {"target": target, "return_mean": mean} for target, mean in again]
    write(tmp_path / RUN / "0" / "attacks.jsonl", rows)
    returns = [outcome for outcome in outcomes_of(GRID, tmp_path) if outcome.measure == "return"]
    assert {outcome.setting: outcome.value for outcome in returns} == {
        "40 px": 2.0,
        "40 px, behind an oracle that shows agent": 9.0,
        "target policy": -2.0,
        "target value": -5.0,
    }
    assert {outcome.version for outcome in returns if outcome.attack is not None} == {"mujoco 3.9"}


@pytest.mark.parametrize(
    "other",
    [
        {"provenance": {"image_size": 84}},
        {"provenance": {"image_size": 40, "render_quality": "fast"}},
        {"provenance": {"image_size": 40, "colors": "generated"}},
        {"provenance": {"image_size": 40, "mujoco": "3.9"}},
        {"env_steps": 30},
        {"sampled": True},
        {"episodes": 50},
    ],
    ids=["size", "rendering", "data", "version", "steps", "drawn", "episodes"],
)
def test_what_was_measured_otherwise_never_mixes(tmp_path: Path, other: dict[str, Any]) -> None:
    write(tmp_path / RUN / "0" / "evaluations.jsonl", [evaluation(20, "train", 1.0)])
    write(tmp_path / RUN / "1" / "evaluations.jsonl", [evaluation(20, "train", 2.0) | other])
    outcomes = outcomes_of(GRID, tmp_path)
    kinds = alike(outcomes)["a", "minigrid/Empty-5x5", "return", "train"]
    assert [len(kind) for kind in kinds.values()] == [1, 1]
    (told,) = not_averaged(outcomes)
    assert told.startswith("Seeds that differ in ") and "are not averaged: a on minigrid/Empty-5x5, " in told


def test_what_was_measured_alike_is_one_kind(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / RUN / str(seed) / "evaluations.jsonl", [evaluation(20, "train", float(seed))])
    outcomes = outcomes_of(GRID, tmp_path)
    assert [len(kinds) for kinds in alike(outcomes).values()] == [1, 1]
    assert not_averaged(outcomes) == []


def test_runs_that_are_not_there_have_no_rows(tmp_path: Path) -> None:
    assert outcomes_of(GRID, tmp_path) == []


def test_maps_that_were_watched_in_the_last_evaluation_are_rows(tmp_path: Path) -> None:
    rows = [
        evaluation(10, "train", 1.0, maps={"policy_attribution": 0.6}),
        evaluation(20, "train", 1.0, maps={"policy_attribution": 0.9, "gradient": 0.8, "predicted_mask": None}),
        evaluation(20, "train", 2.0, episodes=50, maps=None),
    ]
    write(tmp_path / RUN / "0" / "evaluations.jsonl", rows)
    score = {"mode": "train", "method": "gradient", "metric": "area_under_roc", "mean": 0.75, "std": 0.1, "count": 16}
    write(tmp_path / RUN / "0" / "explain" / "scores.jsonl", [score])
    told = [(one.measure, one.value) for one in outcomes_of(GRID, tmp_path) if ":" in one.measure]
    assert told == [("area_under_roc:gradient", 0.75), ("area_under_roc:policy_attribution", 0.9)]


def test_frames_on_which_a_score_has_no_value_do_not_part_seeds(tmp_path: Path) -> None:
    score = {"mode": "train", "method": "grad_cam", "metric": "area_under_roc", "mean": 0.75, "std": 0.1}
    for seed, undefined in enumerate((0, 3)):
        write(tmp_path / RUN / str(seed) / "evaluations.jsonl", [evaluation(20, "train", 1.0)])
        row = {**score, "count": 16 - undefined, "undefined": undefined}
        write(tmp_path / RUN / str(seed) / "explain" / "scores.jsonl", [row])
    outcomes = [outcome for outcome in outcomes_of(GRID, tmp_path) if outcome.measure == "area_under_roc:grad_cam"]
    assert [outcome.count for outcome in outcomes] == [16, 16]
    assert not not_averaged(outcomes)


def scores(folder: Path, seed: int, count: int, asked: int | None = 64, **more: Any) -> None:
    """What ``saccade score`` leaves of a run whose episode ended after ``count`` frames; ``asked`` is in old files."""
    write(folder / RUN / str(seed) / "evaluations.jsonl", [evaluation(20, "train", 1.0)])
    row = {"mode": "train", "method": "gradient", "metric": "area_under_roc", "mean": 0.75, "std": 0.1, "count": count}
    costs = {**row, "metric": "milliseconds_per_frame", "count": 1}
    explained = folder / RUN / str(seed) / "explain"
    write(explained / "scores.jsonl", [{**row, **more}, costs])
    if asked is not None:
        (explained / "explanation.json").write_text(json.dumps({"settings": {"frames": asked}}))


def test_an_episode_that_ends_before_all_frames_parts_no_seeds(tmp_path: Path) -> None:
    for seed, count in enumerate((11, 64)):
        scores(tmp_path, seed, count)
    outcomes = outcomes_of(GRID, tmp_path)
    assert not_averaged(outcomes) == []
    lines = {line.measure: line for line in lines_of(outcomes)}
    score, cost = lines["area_under_roc:gradient"], lines["milliseconds_per_frame:gradient"]
    assert (score.kind.count, score.frames, frames_text(score)) == (64, (11, 64), "11 to 64")
    assert frames_asked_text([score]) == "64 frames were asked for; an episode that ends sooner gives fewer."
    assert (cost.kind.count, frames_text(cost), frames_asked_text([cost])) == (1, "1", "")


@pytest.mark.parametrize("said", [{"frames": 16}, {"states": 16}], ids=["frames", "states"])
def test_scores_that_were_asked_of_other_frames_are_not_averaged(tmp_path: Path, said: dict[str, int]) -> None:
    scores(tmp_path, 0, 11)
    scores(tmp_path, 1, 11, **said)  # the row's own word counts, whatever lies beside it
    (told,) = not_averaged(outcomes_of(GRID, tmp_path))
    assert told == (
        "Seeds that differ in frames asked for (64 or 16) are not averaged: a on minigrid/Empty-5x5, area under roc of "
        "gradient in train"
    )


def test_rows_that_do_not_say_how_many_frames_were_asked_for_are_told_by_those_there_are(tmp_path: Path) -> None:
    for seed, count in enumerate((11, 64)):
        scores(tmp_path, seed, count, asked=None)
    (told,) = not_averaged(outcomes_of(GRID, tmp_path))
    assert "frames asked for (11 or 64)" in told


def test_a_reason_is_one_sentence_whatever_it_keeps_apart() -> None:
    measures = [f"{metric}:{method}" for metric in "abcdefgh" for method in ("gradient", "grad_cam")]
    outcomes = [
        Outcome(arm, task, seed, measure, mode, 1.0, 100, version=f"saccade {1 + (arm != 'dqn') * seed}", count=seed)
        for arm in ("ppo", "sac", "dqn")
        for task in ("one", "two")
        for seed in (0, 1)
        for measure in ("return", *measures)
        for mode in (("noise", "train") if measure == "return" else ("train",))
    ]
    returns, of_scores, few_returns, few_scores = not_averaged(outcomes)
    assert returns == (
        "Seeds that differ in version (saccade 1 or saccade 2) and episodes (0 or 1) are not averaged: ppo and sac on "
        "one and two, return in train and noise"
    )
    assert of_scores.endswith("ppo and sac on one and two, a, b, c, d, e and 3 more of grad cam and gradient in train")
    assert few_returns.startswith("Seeds that differ in episodes (0 or 1) are not averaged: dqn on one and two, ")
    assert few_scores.startswith("Seeds that differ in frames asked for (0 or 1)")
