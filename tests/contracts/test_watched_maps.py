"""Maps that an agent carries, scored in its evaluations against the simulator's masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saccade.cli import main
from saccade.policies.watched_maps import WatchedStates
from saccade.viewer.experiment_curves import Watched, watched_maps
from saccade.viewer.page import Heading, Picture


def states(count: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Observations of four pixels, the first of which shows the task; each is as bright as its number."""
    obs = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)
    mask = np.array([[[True, False], [False, False]]])
    return obs, [{"task_mask": mask} for _ in range(count)]


def test_the_area_under_roc_by_hand() -> None:
    watched = WatchedStates(10, 0)
    watched.look(*states(4))
    right = torch.tensor([[2.0, 1.0], [0.0, 0.0]])
    second = torch.tensor([[1.0, 2.0], [0.0, 0.0]])  # above two of three
    both = {"right": right, "second": second}
    maps = watched.area_under_roc(lambda obs: {name: map_.expand(len(obs), 1, 2, 2) for name, map_ in both.items()})
    assert maps["right"] == 1.0
    assert maps["second"] == pytest.approx(2 / 3)


def test_a_map_that_is_the_same_everywhere_has_no_number() -> None:
    watched = WatchedStates(4, 0)
    watched.look(*states(4))
    assert watched.area_under_roc(lambda obs: {"flat": torch.ones(len(obs), 1, 2, 2)}) == {"flat": None}


def test_every_state_that_passes_is_as_likely_to_be_kept() -> None:
    kept = np.zeros(20)
    for seed in range(600):
        watched = WatchedStates(5, seed)
        watched.look(*states(20))
        seen: list[torch.Tensor] = []
        watched.area_under_roc(lambda obs, seen=seen: seen.append(obs[:, 0, 0, 0]) or {})  # type: ignore[misc]
        kept[seen[0].numpy()] += 1
    assert kept.sum() == 3000
    assert np.abs(kept / 600 - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 600), "each is kept in a quarter of the cases"


def watched(steps: list[float], arm: str = "sgqn") -> Watched:
    return Watched(arm, "dmc/walker_walk", "train", "mask", steps, [0.5] * len(steps))


@pytest.mark.parametrize(
    "runs",
    [[], [watched([0.0])], [watched([0.0, 100.0]), watched([200.0, 300.0])]],
    ids=["none", "one place", "no place in common: the map of the second was flat while the first was trained"],
)
def test_runs_without_a_stretch_in_common_have_no_chart(runs: list[Watched]) -> None:
    assert list(watched_maps(runs)) == []


def test_other_methods_keep_their_charts() -> None:
    apart = [watched([0.0, 100.0]), watched([200.0, 300.0])]
    heading, chart = watched_maps([*apart, watched([0.0, 100.0, 200.0], "sac")])
    assert isinstance(heading, Heading) and isinstance(chart, Picture)
    assert "area under ROC of mask in dmc/walker_walk, train" in chart.alt


def train(folder: Path, method: str, task: str, *words: str) -> int:
    short = ["--preset", "small", "--steps", "256", "--envs", "2", "--workers", "0", "--evaluate-every", "128"]
    short += ["--rollout-steps", "64", "--minibatches", "2", "--evaluation-episodes", "1", "--evaluation-maps", "8"]
    return main(["train", method, task, *short, "--out", str(folder), "--device", "cpu", *words])


def test_a_run_scores_the_maps_that_its_agent_carries_at_every_evaluation(tmp_path: Path) -> None:
    pytest.importorskip("minigrid")
    assert train(tmp_path / "run", "sg_ppo", "minigrid/red_fetch_green", "--evaluation-modes", "train", "palette") == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()]
    assert {(row["env_steps"], row["mode"]) for row in rows} >= {(0, "train"), (256, "train"), (256, "palette")}
    for row in rows:
        assert set(row["maps"]) == {"policy_attribution", "predicted_mask"}
        assert all(0 <= value <= 1 for value in row["maps"].values())


@pytest.mark.parametrize(
    ("method", "task", "sentence"),
    [
        ("ppo", "minigrid/red_fetch_green", "ppo has none"),
        ("sg_ppo", "atari/Breakout", "cannot say which pixels matter"),
    ],
)
def test_nothing_to_score_is_one_sentence(
    tmp_path: Path, method: str, task: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip({"minigrid": "minigrid", "atari": "ale_py"}[task.split("/")[0]])
    assert train(tmp_path / "run", method, task) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
