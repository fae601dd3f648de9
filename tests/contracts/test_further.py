"""Scores of as many frames as were asked for, though an episode ends after a few: the next episodes have the rest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import saccade
from saccade.cli import main
from saccade.data.documents import read_lines
from saccade.explain import Explanation, Moments, ScoreSettings, explain, score, with_further_episodes
from saccade.policies.policy import Policy

pytest.importorskip("minigrid", reason="MiniGrid is not installed")
pytestmark = pytest.mark.usefixtures("elsewhere")

ASKED = 40
CHEAP = ScoreSettings(sanity_frames=0)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return saccade.load("zoo:ppo-red-fetch-green", device="cpu")


def explained(policy: Policy, moments: Moments, modes: tuple[str, ...] = ("train",)) -> Explanation:
    return explain(policy, modes=modes, methods=("gradient", "guided_backpropagation"), moments=moments)


def test_frames_that_are_missing_come_from_the_episodes_of_the_next_seeds(policy: Policy) -> None:
    one = explained(policy, Moments(frames=ASKED, seed=3), ("train", "noise"))
    assert all(len(episode.obs) < ASKED for episode in one.episodes.values())
    several = with_further_episodes(one)
    for mode, first in one.episodes.items():
        found = several.episodes[mode]
        count, next_seed = len(first.obs), explained(policy, Moments(frames=ASKED, seed=4), (mode,))
        assert len(found.obs) == len(found.step) == len(found.action) == len(found.reward) == ASKED
        assert found.task_mask is not None and len(found.task_mask) == ASKED
        others = min(len(next_seed.episodes[mode].obs), ASKED - count)
        np.testing.assert_array_equal(found.obs[:count], first.obs)
        for name, maps in several.maps[mode].items():
            assert len(maps) == ASKED
            np.testing.assert_array_equal(maps[:count], one.maps[mode][name])
        if others < ASKED - count:  # the whole of the next episode is there
            np.testing.assert_array_equal(found.obs[count : count + others], next_seed.episodes[mode].obs)
        np.testing.assert_allclose(
            several.maps[mode]["gradient"][count],
            explain(
                policy, modes=(mode,), methods="gradient", moments=Moments(frames=ASKED, seed=4)
            ).maps[mode]["gradient"][0],
            rtol=1e-4, atol=1e-6,
        )  # fmt: skip
    clean = several.episodes["noise"].clean_obs
    assert clean is not None and clean.shape == several.episodes["noise"].obs.shape
    changed = several.episodes["noise"].changed_pixels
    assert changed is not None and changed > 0.5
    rows = [row for row in score(several, CHEAP) if row["metric"] == "mass_inside"]
    assert {(row["frames"], row["count"] + row["undefined"]) for row in rows} == {(ASKED, ASKED)}


def test_what_was_chosen_stays_alone(policy: Policy) -> None:
    for moments in (Moments(frames=ASKED, every=1), Moments(frames=ASKED, max_steps=2), Moments(frames=2)):
        one = explained(policy, moments)
        assert with_further_episodes(one).episodes["train"] is one.episodes["train"]


def test_what_one_episode_does_not_know_is_unknown_of_all(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    from saccade.explain import further

    one = explained(policy, Moments(frames=ASKED), ("noise",))
    record = further.record
    monkeypatch.setattr(
        further, "record", lambda *a, **k: dataclasses.replace(record(*a, **k), clean_obs=None, changed_pixels=None)
    )
    found = with_further_episodes(one).episodes["noise"]
    assert found.clean_obs is None and found.changed_pixels is None and found.task_mask is not None


def test_the_command_scores_them_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", "zoo:ppo-red-fetch-green", "--methods", "gradient", "--frames", str(ASKED), "--out"]
    assert main([*words, str(tmp_path / "out"), "--sanity-frames", "0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"scored are {ASKED} frames of several" in said
    rows = [line.row for line in read_lines(tmp_path / "out" / "scores.jsonl")]
    (row,) = [row for row in rows if row["metric"] == "area_under_roc" and row["method"] == "gradient"]
    assert (row["frames"], row["count"] + row["undefined"]) == (ASKED, ASKED)
    with np.load(tmp_path / "out" / "maps" / "train.npz", allow_pickle=False) as arrays:
        assert len(arrays["obs"]) < ASKED  # pages and films show the first episode
