"""The scores of one map: insertion and deletion counted pixel by pixel, and against the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("minigrid")

from saccade.explain.looking import Pane, Question
from saccade.explain.scored import AGAINST_TRUTH, metrics_of, scored
from saccade.explain.session import Session
from saccade.explain.tasks import task_of
from saccade.metrics import METRICS
from saccade.metrics.faithfulness import FRACTIONS
from saccade.pixels.blur import gaussian_blur
from saccade.policies.load import load_any
from saccade.policies.scores import make_score


def test_scores_are_those_of_their_definitions() -> None:
    policy = load_any("zoo:ppo-red-fetch-green", device="cpu")
    session = Session([policy], task_of(policy, None))
    answer = session.look(Pane(), Question())
    session.close()
    height, width = answer.picture.shape[:2]
    saliency = np.random.default_rng(3).random((height, width)).astype(np.float32)
    truth = np.zeros((height, width), bool)
    truth[10:20, 30:45] = True
    obs = policy.tensor(answer.obs[None])
    hidden, score = gaussian_blur(obs, 10.0), make_score(policy, "kl", obs)

    def curves(values: np.ndarray) -> tuple[list[float], list[float]]:
        """How far the policy moves as the most salient pixels are hidden, and as they alone are shown."""
        order = np.argsort(-values.ravel(), kind="stable")
        found: tuple[list[float], list[float]] = ([], [])
        for share in FRACTIONS:
            top = np.zeros(values.size, bool)
            top[order[: round(share * values.size)]] = True
            at = torch.from_numpy(top.reshape(values.shape))
            for doing, seen in zip(found, (torch.where(at, hidden, obs), torch.where(at, obs, hidden)), strict=True):
                doing.append(max(score(seen).item(), 0.0))
        return found

    noise = torch.rand((1, height, width), generator=torch.Generator().manual_seed(5))[0].numpy()
    own, random = curves(saliency), curves(noise)
    largest = max(max(one) for pair in (own, random) for one in pair)
    told = {one.metric: one for one in scored(policy, answer.obs, saliency, truth, metrics_of(True), seed=5)}
    for place, name in enumerate(("deletion", "insertion")):
        wanted, chance = (np.trapezoid(pair[place], FRACTIONS) / largest for pair in (own, random))
        assert told[name].value == pytest.approx(wanted, rel=1e-4)
        assert told[name].by_chance == pytest.approx(chance, rel=1e-4)
    assert told["mass_inside"].value == pytest.approx(saliency[truth].sum() / saliency.sum(), rel=1e-5)
    assert {"pointing_game", "area_under_roc", "mass_inside"} <= set(AGAINST_TRUTH) < set(METRICS)
    assert [one.metric for one in scored(policy, answer.obs, saliency, None, metrics_of(True))] == [
        "deletion",
        "insertion",
    ]


def test_a_policy_that_sees_nothing_has_no_faithfulness() -> None:
    """It does the same whatever is hidden: the areas are undefined, and not a division by zero."""
    policy = load_any("zoo:ppo-red-fetch-green", device="cpu")
    with torch.no_grad():
        for weight in policy.network.parameters():
            weight.zero_()
    obs = np.zeros(policy.pixels.shape, policy.pixels.dtype)
    found = scored(policy, obs, np.ones(policy.pixels.channels_first[1:], np.float32), None, ("deletion",))
    assert found[0].value is None and found[0].by_chance is None and found[0].direction == "higher"
