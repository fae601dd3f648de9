"""Deletion and insertion on a linear policy, where every point of the curves is known by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.metrics.faithfulness import Curve, deletion, deletion_area, insertion, insertion_area, kept_pixels
from saccade.types import Score, UserError

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
WEIGHTS = torch.tensor([[4.0, 3.0], [2.0, 1.0]])


class Linear(nn.Module):
    """Sum of weight times pixel; remembers the sizes of the batches that it was given."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.sizes: list[int] = []

    def forward(self, obs: Tensor) -> Tensor:
        self.sizes.append(len(obs))
        return (obs * self.weight).flatten(1).sum(-1)


def distance(weight: Tensor, obs: Tensor) -> Score:
    """Half the squared change of the linear policy's output."""
    network = Linear(weight)
    with torch.no_grad():
        clean = network(obs)

    def half_square(network: nn.Module, pixels: Tensor, clean: Tensor) -> Tensor:
        return 0.5 * (network(pixels) - clean).square()

    return Score(network, half_square, (clean,), distance=True)


def test_curves_by_hand() -> None:
    # The output is 10. Hiding 4, 3, 2, 1 in this order changes it by 4, 7, 9, 10: half squares 8 24.5 40.5 50, over 50.
    obs = torch.ones(1, 1, 2, 2)
    score = distance(WEIGHTS, obs)
    hidden = deletion(score, obs, WEIGHTS[None], fill=0.0, fractions=QUARTERS)
    assert hidden.fraction == QUARTERS
    assert hidden.divergence[0].tolist() == pytest.approx([0, 0.16, 0.49, 0.81, 1])
    # Trapezoids of width 0.25: 0.25 * (0.16 + 0.49 + 0.81 + 1 / 2).
    assert hidden.area.item() == pytest.approx(0.49)
    # Showing them in this order leaves 10, 6, 3, 1, 0.
    shown = insertion(score, obs, WEIGHTS[None], fill=0.0, fractions=QUARTERS)
    assert shown.divergence[0].tolist() == pytest.approx([1, 0.36, 0.09, 0.01, 0])
    assert shown.area.item() == pytest.approx(0.24)
    # The worst order, 1 2 3 4, is the mirror image.
    worst = deletion(score, obs, -WEIGHTS[None], fill=0.0, fractions=QUARTERS)
    assert worst.divergence[0].tolist() == pytest.approx([0, 0.01, 0.09, 0.36, 1])


def test_curves_need_not_begin_at_nothing_or_end_at_all() -> None:
    obs = torch.ones(1, 1, 2, 2)
    score = distance(WEIGHTS, obs)
    middle = deletion(score, obs, WEIGHTS[None], fill=0.0, fractions=(0.25, 0.75))
    assert middle.divergence[0].tolist() == pytest.approx([0.16, 0.81])  # still relative to the wholly filled one
    assert middle.area.item() == pytest.approx((0.16 + 0.81) / 2)


def test_all_channels_of_a_pixel_go_together_and_fill_is_what_shows() -> None:
    obs = torch.arange(8.0).view(1, 2, 2, 2)
    saliency = torch.tensor([[[0.0, 3.0], [1.0, 2.0]]])
    fill = torch.full((2, 1, 1), -1.0)
    kept = kept_pixels(obs, saliency, 0.5, fill)
    assert kept[0].tolist() == [[[-1, 1], [-1, 3]], [[-1, 5], [-1, 7]]]
    assert torch.equal(kept_pixels(obs, saliency, 1.0, fill), obs)
    assert (kept_pixels(obs, saliency, 0, 9) == 9).all()


def test_each_sample_may_keep_its_own_fraction() -> None:
    obs = torch.rand(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    saliency, fractions = obs[:, 0], torch.tensor([0.0, 0.3, 1.0])
    together = kept_pixels(obs, saliency, fractions, obs.mean())
    for index, fraction in enumerate(fractions.tolist()):
        one = slice(index, index + 1)
        assert torch.equal(together[one], kept_pixels(obs[one], saliency[one], fraction, obs.mean()))


@pytest.mark.parametrize("max_batch", [1, 3, 7, 1000])
def test_results_do_not_depend_on_the_batch_and_samples_do_not_mix(max_batch: int) -> None:
    generator = torch.Generator().manual_seed(1)
    obs, saliency = torch.rand(5, 3, 4, 4, generator=generator), torch.rand(5, 4, 4, generator=generator)
    weight, fill = torch.rand(3, 4, 4, generator=generator), torch.rand(5, 3, 4, 4, generator=generator)
    score = distance(weight, obs)
    for measure in (deletion, insertion):
        network = score.network
        assert isinstance(network, Linear)
        network.sizes.clear()
        found = measure(score, obs, saliency, fill=fill, max_batch=max_batch).divergence
        assert max(network.sizes) <= max_batch
        for index in range(len(obs)):
            one = slice(index, index + 1)
            alone = measure(score.rows(torch.tensor([index])), obs[one], saliency[one], fill=fill[one])
            assert torch.allclose(found[one], alone.divergence, rtol=1e-3, atol=1e-6)


def test_a_constant_map_hides_pixels_in_random_order_the_same_each_time() -> None:
    obs = torch.ones(1, 1, 10, 10)
    kept = kept_pixels(obs, torch.zeros(1, 10, 10), 0.5, 0.0)
    assert kept.sum() == 50
    assert torch.equal(kept, kept_pixels(obs, torch.ones(1, 10, 10), 0.5, 0.0))
    rows = kept[0, 0].sum(1)
    assert rows.min() > 0 and rows[:5].sum() < 40, "it went through the rows from the top"


def test_a_policy_that_the_fill_does_not_change_has_no_curve() -> None:
    obs = torch.ones(2, 1, 2, 2)
    obs[1] = 0.0
    curve = deletion(distance(WEIGHTS, obs), obs, WEIGHTS.expand(2, 2, 2), fill=0.0, fractions=QUARTERS)
    assert curve.divergence.isnan().all(-1).tolist() == [False, True]
    assert curve.area.isnan().tolist() == [False, True]


def test_areas_are_those_of_the_curves() -> None:
    obs = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(2))
    given = distance(WEIGHTS, obs), obs, WEIGHTS.expand(2, 2, 2)
    assert torch.equal(deletion_area(*given, 0.0), deletion(*given, fill=0.0).area)
    assert torch.equal(insertion_area(*given, 0.0), insertion(*given, fill=0.0).area)
    assert isinstance(deletion(*given, fill=0.0), Curve)


def test_no_gradient_is_left() -> None:
    obs = torch.ones(1, 1, 2, 2, requires_grad=True)
    score = distance(WEIGHTS, obs)
    curve = deletion(score, obs, WEIGHTS[None], fill=0.0)
    assert not curve.divergence.requires_grad and obs.grad is None


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no distance": ({"score": Score(Linear(WEIGHTS), lambda network, obs: network(obs))}, "give a score that is a dis"),
    "score's shape": (
        {"score": Score(Linear(WEIGHTS), lambda network, obs: obs.sum(1), distance=True)},
        "must give one each",
    ),
    "NaN in the network": (
        {"score": Score(Linear(WEIGHTS * torch.nan), lambda network, obs: network(obs), distance=True)},
        "look for NaN in the network's weights",
    ),
    "NaN in the map": ({"saliency": WEIGHTS[None] * torch.nan}, "saliency map has NaN"),
    "another size": ({"saliency": torch.ones(1, 3, 3)}, "the saliency map"),
    "bytes": ({"obs": torch.ones(1, 1, 2, 2, dtype=torch.uint8)}, "they must be float"),
    "fill's shape": ({"fill": torch.ones(3)}, "must be finite and broadcast"),
    "fill's axes": ({"fill": torch.ones(1, 1, 1, 1, 1)}, "must be finite and broadcast"),
    "NaN fill": ({"fill": float("nan")}, "must be finite"),
    "falling": ({"fractions": (0.5, 0.25)}, "must be at least two numbers, increasing"),
    "too much": ({"fractions": (0.5, 1.25)}, "increasing, in 0..1"),
    "one": ({"fractions": (0.5,)}, "at least two"),
    "no batch": ({"max_batch": 0}, "max_batch is 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told(case: str) -> None:
    changed, sentence = BAD[case]
    obs = torch.ones(1, 1, 2, 2)
    given = {"score": distance(WEIGHTS, obs), "obs": obs, "saliency": WEIGHTS[None], "fill": 0.0, **changed}
    with pytest.raises(UserError, match=sentence):
        deletion(given.pop("score"), given.pop("obs"), given.pop("saliency"), **given)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), torch.tensor([0.5, 0.5])])
def test_a_fraction_that_cannot_be_kept_is_told(fraction: Any) -> None:
    with pytest.raises(UserError, match="fraction of pixels to keep"):
        kept_pixels(torch.ones(1, 1, 2, 2), WEIGHTS[None], fraction, 0.0)
