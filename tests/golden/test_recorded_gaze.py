"""Atari-HEAD, recorded: two trials in both layouts, what a policy sees of them, where people looked, and the scores.

``SACCADE_GOLDEN`` names the folder of recordings, which has these in ``fls``.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saccade.data.atari_head.folder import find_gaze
from saccade.explain.gaze import on_own_scale
from saccade.explain.people import on_screen, people_scores
from saccade.explain.trials import JOINS, Join, Pictures, Watched, read_watched
from saccade.nets.attention import Field, spread

FOLDER = Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "fls"
TRIALS = {901: "Breakout", 902: "MsPacman"}
RECORDED_NAME = {"frame_id": "frame_id", "published": "legacy"}
SPREADS = 5  # standard deviations that other random numbers may lie away

pytestmark = pytest.mark.skipif(
    not (FOLDER / "gaze_metrics.npz").is_file(), reason=f"no recordings of gaze in {FOLDER}"
)
every_trial = pytest.mark.parametrize("trial", TRIALS)
every_join = pytest.mark.parametrize("join", JOINS)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    with np.load(FOLDER / "gaze_metrics.npz") as arrays:
        return dict(arrays)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


def watched(layout: str, trial: int, join: Join = "frame_id") -> Watched:
    (found,) = find_gaze(FOLDER / f"atari_head_{layout}").of_game(TRIALS[trial], [trial])
    return read_watched(found, Pictures(found), join)


def everything(seen: Watched) -> np.ndarray:
    return np.arange(len(seen))


@every_trial
@pytest.mark.parametrize("layout", ["v2", "v4"])
def test_what_the_policy_sees(recorded: dict[str, Any], layout: str, trial: int) -> None:
    seen = watched(layout, trial)
    np.testing.assert_array_equal(seen.obs(everything(seen)), recorded[f"trial{trial}/obs"])
    np.testing.assert_array_equal(everything(seen) * 4, recorded[f"trial{trial}/image_index"])
    again = watched(layout, trial)  # from the cache
    np.testing.assert_array_equal(again.planes, seen.planes)
    assert Pictures(seen.trial).screens(np.array([2, 0])).shape == (2, 210, 160, 3)


@every_join
@every_trial
def test_where_people_looked(recorded: dict[str, Any], trial: int, join: Join) -> None:
    seen = watched("v2", trial, join)
    fixations = seen.fixations(everything(seen)[:, None])
    np.testing.assert_array_equal(fixations, recorded[f"trial{trial}/{RECORDED_NAME[join]}/fixations"])


@every_join
@every_trial
def test_the_scores(recorded: dict[str, Any], trial: int, join: Join) -> None:
    seen, name = watched("v4", trial, join), partial("trial{}/{}/{}".format, trial, RECORDED_NAME[join])
    saliency = torch.as_tensor(recorded[f"trial{trial}/saliency"]).double()
    fixations = torch.as_tensor(seen.fixations(everything(seen)[:, None]))
    drawn = recorded[name("sauc_other_index")]
    others = torch.as_tensor(seen.fixations([row[row >= 0] for row in drawn]))
    found = people_scores(saliency, fixations, others)
    for ours, theirs in (("nss", "nss"), ("kl_divergence", "kl")):
        np.testing.assert_allclose(found[ours], recorded[name(theirs)], rtol=0, atol=1e-9, equal_nan=True)
    given = recorded[name("sauc_given_other")]
    np.testing.assert_allclose(found["shuffled_auc"], given, rtol=0, atol=1e-9, equal_nan=True)


@every_join
@every_trial
def test_shuffled_areas_with_our_random_numbers(recorded: dict[str, Any], trial: int, join: Join) -> None:
    """With others of our own drawing: what is recorded is the mean over all that could have been drawn."""
    seen, name = watched("v2", trial, join), partial("trial{}/{}/{}".format, trial, RECORDED_NAME[join])
    saliency = torch.as_tensor(recorded[f"trial{trial}/saliency"]).double()
    fixations = torch.as_tensor(seen.fixations(everything(seen)[:, None]))
    found = people_scores(saliency, fixations, torch.as_tensor(seen.elsewhere(everything(seen))))[
        "shuffled_auc"
    ].numpy()
    expected, deviation = recorded[name("sauc_expected")], recorded[name("sauc_expected_sd")]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert (np.abs(found - expected) <= SPREADS * deviation + 1e-9)[~np.isnan(found)].all()


@every_trial
def test_attention_on_the_screen(recorded: dict[str, Any], trial: int) -> None:
    """From the network's attention to the map that is scored, where the recording has not put another one."""
    of_network = ~recorded[f"trial{trial}/saliency_overridden"]
    drawn = spread(torch.as_tensor(recorded[f"trial{trial}/attention"])[:, None], Field(36, 8, 0), (84, 84))[:, 0]
    assert float(drawn.max()) == pytest.approx(float(recorded[f"trial{trial}/trajectory_max"]), rel=1e-6)
    found = on_screen(on_own_scale(drawn.float().numpy()), (210, 160))
    expected = recorded[f"trial{trial}/saliency"]
    np.testing.assert_allclose(found[of_network], expected[of_network], rtol=0, atol=1e-6)


def test_maps_on_the_screen(recorded: dict[str, Any]) -> None:
    arrays = np.load(FOLDER / "ppo_sparse_fls.npz")
    found = on_screen(arrays["saliency"][[0, 15]], (210, 160))
    np.testing.assert_allclose(found, arrays["saliency_210x160"], rtol=0, atol=1e-7)
