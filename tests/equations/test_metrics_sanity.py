"""Sanity, stability and summaries: by hand, and Spearman's correlation against loops that count."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from saccade.metrics import summary_of
from saccade.metrics.sanity import (
    centre_correlation,
    centre_prior,
    randomisation_curve,
    rank_correlation,
    uniform_map,
    uniform_overlap,
)
from saccade.metrics.stability import action_drift, map_drift, policy_drift
from saccade.types import UserError


def line(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, None]


def naive_spearman(first: list[int], second: list[int]) -> float:
    """Pearson's correlation of ranks, a rank being how many are smaller and half of those that are the same."""

    def ranks(values: list[int]) -> list[float]:
        magnitudes = [abs(value) for value in values]
        return [sum(b < a for b in magnitudes) + (sum(b == a for b in magnitudes) + 1) / 2 for a in magnitudes]

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12))
@settings(max_examples=150, deadline=None)
def test_rank_correlation_equals_loops(pixels: list[tuple[int, int]]) -> None:
    first, second = [list(column) for column in zip(*pixels, strict=True)]
    found = rank_correlation(line(first), line(second)).item()
    if len({abs(value) for value in first}) == 1 or len({abs(value) for value in second}) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(naive_spearman(first, second), abs=1e-12)


def test_rank_correlation_by_hand() -> None:
    # Magnitudes in the same order, whatever the signs and the distances: 1.
    assert rank_correlation(line([1, -2, 100]), line([-0.1, 0.2, 0.3])).item() == pytest.approx(1)
    # Ranks 1 2 3 against 3 1 2: 1 - 6 (4 + 1 + 1) / (3 * 8).
    assert rank_correlation(line([1, 2, 3]), line([3, 1, 2])).item() == pytest.approx(-0.5)
    stacks = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert rank_correlation(stacks, stacks).tolist() == pytest.approx([1, 1])


def test_randomisation_curve_compares_with_each_view() -> None:
    network = nn.Conv2d(1, 1, 3)
    nn.init.constant_(network.weight, 1.0)
    reversed_network = copy.deepcopy(network)
    with torch.no_grad():
        network.weight.copy_(torch.arange(1.0, 10).view(1, 1, 3, 3))
        reversed_network.weight.copy_(10 - network.weight)

    def weights(network: nn.Module, obs: Tensor) -> Tensor:
        assert isinstance(network, nn.Conv2d)
        return network.weight[:, 0].expand(len(obs), -1, -1)

    views = iter([("itself", copy.deepcopy(network)), ("reversed", reversed_network)])
    curve = randomisation_curve(weights, network, torch.zeros(2, 1, 3, 3), views)
    assert [name for name, _ in curve] == ["itself", "reversed"]
    assert [values.tolist() for _, values in curve] == [pytest.approx([1, 1])] * 2
    assert rank_correlation(weights(network, torch.zeros(1)), weights(reversed_network, torch.zeros(1))) == -1


def test_centre_prior_by_hand() -> None:
    # Sides 4 and 2, sigma 0.5 of each: 2 and 1 pixels. Half a pixel off the middle both ways, and 1.5 pixels in height.
    prior = centre_prior(4, 2, sigma=0.5)
    across = math.exp(-(0.5**2) / 2)
    inner, outer = math.exp(-(0.25**2) / 2), math.exp(-(0.75**2) / 2)
    expected = [[height * across] * 2 for height in (outer, inner, inner, outer)]
    assert torch.allclose(prior, torch.tensor(expected, dtype=torch.float64))
    assert centre_prior(5, 5)[2, 2] == 1
    assert centre_correlation(centre_prior(5, 6)[None]).item() == pytest.approx(1)
    with pytest.raises(UserError, match="sigma is 0"):
        centre_prior(4, 4, sigma=0)


def test_uniform_overlap_by_hand() -> None:
    # Shares 1/2 1/2 0 0 of a uniform 1/4 each: 1/4 + 1/4.
    assert uniform_overlap(line([3, 3, 0, -5])).item() == pytest.approx(0.5)
    assert uniform_overlap(uniform_map((1, 3, 3))).item() == pytest.approx(1)
    assert uniform_overlap(line([0, -1])).isnan().all()


def test_map_drift_by_hand() -> None:
    assert map_drift(line([1, 3]), line([2, 6])).item() == pytest.approx(0)
    assert map_drift(line([1, 0]), line([0, 5])).item() == pytest.approx(1)
    # Shares 1/4 3/4 and 1/2 1/2: a quarter has moved.
    assert map_drift(line([1, 3]), line([3, 2.9999999])).item() == pytest.approx(0.25, abs=1e-6)
    # Maps that say nothing are not stable: constant, or without positive mass.
    for nothing in ([2.0, 2.0], [0.0, 0.0], [-1.0, -2.0]):
        assert map_drift(line(nothing), line([1, 3])).isnan().all()
        assert map_drift(line([1, 3]), line(nothing)).isnan().all()


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=3, max_size=10))
@settings(max_examples=100, deadline=None)
def test_map_drift_is_a_distance(pixels: list[tuple[float, float, float]]) -> None:
    a, b, c = (line(list(column)) for column in zip(*pixels, strict=True))
    there, back = map_drift(a, b).item(), map_drift(b, a).item()
    if math.isnan(there):
        assert math.isnan(back)
        return
    assert there == pytest.approx(back, abs=1e-12) and 0 <= there <= 1
    around = map_drift(a, c).item() + map_drift(c, b).item()
    assert math.isnan(around) or there <= around + 1e-9


def test_action_drift_by_hand() -> None:
    clean, distracted = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.3, 0.4], [1.0, 1.0]])
    assert action_drift(clean, distracted).tolist() == pytest.approx([0.5, 0])
    assert action_drift(torch.tensor([1, 2, 3]), torch.tensor([1, 3, 3])).tolist() == [0, 1, 0]


def test_drifts_that_cannot_be_are_told() -> None:
    with pytest.raises(UserError, match="of the same states"):
        map_drift(torch.rand(2, 3, 3), torch.rand(1, 3, 3))
    with pytest.raises(UserError, match="distracted saliency map has NaN"):
        map_drift(torch.rand(1, 3, 3), torch.full((1, 3, 3), math.nan))
    with pytest.raises(UserError, match="cannot be compared"):
        rank_correlation(torch.rand(2, 3, 3), torch.rand(2, 3, 4))
    with pytest.raises(UserError, match="whole numbers"):
        action_drift(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(UserError, match="whole numbers"):
        action_drift(torch.zeros(2), torch.zeros(2))
    with pytest.raises(UserError, match="action is NaN"):
        action_drift(torch.zeros(2, 3), torch.full((2, 3), math.nan))


def test_summary_leaves_out_and_counts_what_is_undefined() -> None:
    # 1 and 3: mean 2, deviation 1; one frame is undefined.
    summary = summary_of(torch.tensor([1.0, math.nan, 3.0]))
    assert (summary.mean, summary.std, summary.count, summary.undefined) == (2, 1, 2, 1)
    assert summary_of(torch.tensor([5.0])).std == 0


@pytest.mark.parametrize("num_frames", [0, 4])
def test_summary_of_nothing_defined_is_nan_with_count_0(num_frames: int) -> None:
    summary = summary_of(torch.full((num_frames,), math.nan))
    assert math.isnan(summary.mean) and math.isnan(summary.std)
    assert (summary.count, summary.undefined) == (0, num_frames)


def test_policy_drift_is_the_naive_divergence() -> None:
    generator = torch.Generator().manual_seed(5)
    clean, seen = 3 * torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    for found, before, after in zip(policy_drift(clean, seen), clean.tolist(), seen.tolist(), strict=True):
        shares = [[math.exp(one) / sum(map(math.exp, row)) for one in row] for row in (before, after)]
        assert found == pytest.approx(sum(p * math.log(p / q) for p, q in zip(*shares, strict=True)), rel=1e-12)
    # By hand: even odds against 3 to 1 are 0.5 ln(0.5/0.75) + 0.5 ln(0.5/0.25) = 0.1438.
    odds = policy_drift(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log())
    assert odds.item() == pytest.approx(0.5 * math.log(4 / 3), rel=1e-6)


def test_policy_drift_of_gaussians_is_the_integral() -> None:
    clean = torch.tensor([[[0.3, -1.0], [-0.2, 0.4]]], dtype=torch.float64)
    seen = torch.tensor([[[1.1, -0.5], [0.3, -0.1]]], dtype=torch.float64)
    at = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    integral = 0.0
    for place in range(2):
        one, other = (
            torch.distributions.Normal(each[0, 0, place], each[0, 1, place].exp()).log_prob(at)
            for each in (clean, seen)
        )
        integral += torch.trapezoid(one.exp() * (one - other), at).item()
    assert policy_drift(clean, seen, "gaussian").item() == pytest.approx(integral, rel=1e-6)
    assert policy_drift(clean, clean, "gaussian").tolist() == [0.0]


def test_policy_drift_of_actions_is_their_squared_distance() -> None:
    clean, seen = torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([[1.0, -1.0], [0.5, 0.5]])
    assert policy_drift(clean, seen, "action").tolist() == [2.5, 0.0]  # (1 + 4) / 2
    with pytest.raises(UserError, match="both must be gaussian of a batch"):
        policy_drift(clean, seen, "gaussian")
    with pytest.raises(UserError, match="NaN or infinite"):
        policy_drift(clean, torch.full_like(seen, math.nan))
