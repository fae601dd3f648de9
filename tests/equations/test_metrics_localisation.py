"""Scores against the truth: by hand, by comparing all pairs of pixels, and by trying every order of tied ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saccade.metrics.localisation import (
    area_under_roc,
    important_sum,
    mass_inside,
    pointing_game,
    precision_at_mask_area,
    task_identification,
    task_identification_variance,
    unimportant_sum,
)
from saccade.types import UserError

INSIDE, OUTSIDE, IGNORED = 1, 0, -1
EVERY = [pointing_game, area_under_roc, precision_at_mask_area, mass_inside, important_sum, unimportant_sum]


def frame(values: list[float], labels: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """One line of pixels, whether each is inside, and whether it is ignored."""
    label = torch.tensor(labels)[None, None]
    return torch.tensor(values, dtype=torch.float64)[None, None], label == INSIDE, label == IGNORED


labelled_pixels = st.lists(
    st.tuples(st.integers(-2, 2), st.sampled_from([INSIDE, OUTSIDE, IGNORED])), min_size=2, max_size=7
).filter(
    lambda pixels: (
        {INSIDE, OUTSIDE} <= {label for _, label in pixels}
        and len({value for value, label in pixels if label != IGNORED}) > 1
    )
)


def test_pointing_game_by_hand() -> None:
    assert pointing_game(*frame([1, 5, 2], [OUTSIDE, INSIDE, OUTSIDE])).item() == 1
    assert pointing_game(*frame([6, 5, 2], [OUTSIDE, INSIDE, OUTSIDE])).item() == 0
    # Three pixels tie for the largest and one of them is inside.
    assert pointing_game(*frame([5, 5, 5, 1], [OUTSIDE, INSIDE, OUTSIDE, INSIDE])).item() == pytest.approx(1 / 3)
    # The largest of all is ignored.
    assert pointing_game(*frame([9, 5, 2], [IGNORED, INSIDE, OUTSIDE])).item() == 1


def test_area_under_roc_by_hand() -> None:
    # Inside 3 and 1, outside 2 and 1: 3 beats both, 1 loses one and ties one. (2 + 0.5) / 4.
    assert area_under_roc(*frame([3, 1, 2, 1], [INSIDE, INSIDE, OUTSIDE, OUTSIDE])).item() == 0.625


@given(labelled_pixels)
@settings(max_examples=150, deadline=None)
def test_area_under_roc_compares_all_pairs(pixels: list[tuple[int, int]]) -> None:
    values, labels = [list(column) for column in zip(*pixels, strict=True)]
    inside = [value for value, label in pixels if label == INSIDE]
    outside = [value for value, label in pixels if label == OUTSIDE]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in inside for b in outside]
    found = area_under_roc(*frame(values, labels)).item()
    assert found == pytest.approx(sum(wins) / len(wins), abs=1e-12)
    turned = area_under_roc(*frame([-value for value in values], labels)).item()
    assert found + turned == pytest.approx(1.0, abs=1e-12)


@given(labelled_pixels)
@settings(max_examples=100, deadline=None)
def test_precision_is_the_mean_over_every_order_of_ties(pixels: list[tuple[int, int]]) -> None:
    values, labels = [list(column) for column in zip(*pixels, strict=True)]
    counted = [pixel for pixel in pixels if pixel[1] != IGNORED]
    k = sum(label == INSIDE for _, label in counted)
    orders = [  # every permutation, sorted stably: every order of ties, each equally often
        sorted(order, key=lambda pixel: -pixel[0]) for order in itertools.permutations(counted)
    ]
    expected = np.mean([[label == INSIDE for _, label in order[:k]] for order in orders])
    assert precision_at_mask_area(*frame(values, labels)).item() == pytest.approx(expected, abs=1e-12)


def test_mass_inside_by_hand() -> None:
    # Positive mass 2 + 3 inside, 5 outside; -7 has none and 100 is ignored.
    pixels = frame([2, 3, 5, -7, 100], [INSIDE, INSIDE, OUTSIDE, OUTSIDE, IGNORED])
    assert mass_inside(*pixels).item() == pytest.approx(0.5)


def test_sums_by_hand() -> None:
    pixels = frame([2, 4, 1, 1, 8], [INSIDE, INSIDE, OUTSIDE, OUTSIDE, IGNORED])
    # Divided by 4, the largest that counts: inside 0.5 + 1, outside 0.25 + 0.25.
    assert important_sum(*pixels).item() == 1.5
    assert unimportant_sum(*pixels).item() == 0.5
    # Divided by 8, as in the paper: half of that.
    assert important_sum(*pixels, normalise_by="all").item() == 0.75
    assert unimportant_sum(*pixels, normalise_by="all").item() == 0.25
    with pytest.raises(UserError, match="normaliser 'max'"):
        important_sum(*pixels, normalise_by="max")  # type: ignore[arg-type]


def test_a_map_that_lies_on_ignored_pixels_alone_has_no_sum_but_in_the_papers_way() -> None:
    pixels = frame([0, 0, 8], [INSIDE, OUTSIDE, IGNORED])
    assert important_sum(*pixels).isnan().all()
    assert important_sum(*pixels, normalise_by="all").item() == 0


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.__name__)
def test_undefined_frames_are_nan_and_others_are_not(metric) -> None:
    saliency = torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.zeros(5, 4, 4, dtype=torch.bool)
    truth[:, 1, 1] = True
    truth[0], truth[1] = False, True
    saliency[2] = 0.0
    saliency[3] = 0.1  # sums of it are not exact
    assert metric(saliency, truth).isnan().tolist() == [True, True, True, True, False]
    ignore = torch.ones_like(truth)
    assert metric(saliency, truth, ignore).isnan().all()


def test_without_ignore_is_with_nothing_ignored() -> None:
    saliency, truth, ignore = frame([1, 5, 2, 5], [INSIDE, OUTSIDE, OUTSIDE, INSIDE])
    for metric in EVERY:
        assert torch.equal(metric(saliency, truth), metric(saliency, truth, ignore))


# ------------------------------------------------------------------------------------ task identification


def stack(maps: list[list[float]], truths: list[list[int]]) -> tuple[Tensor, Tensor]:
    return torch.tensor(maps, dtype=torch.float64)[None, :, None], torch.tensor(truths)[None, :, None] == INSIDE


def test_task_identification_by_hand() -> None:
    # Two frames of 4 pixels, 2 + 2 of 8 inside: quantile 0.5, of 1 2 3 4 it is 2.5, so each frame keeps 3 and 4.
    maps, truths = stack([[4, 3, 2, 1], [4, 3, 2, 1]], [[1, 1, 0, 0], [0, 0, 1, 1]])
    # Both hit in the first frame, none in the second: 2 / sqrt(4 * 4); frames 100 and 0, variance 50^2.
    assert task_identification(maps, truths).item() == pytest.approx(50.0)
    assert task_identification_variance(maps, truths).item() == pytest.approx(2500.0)
    # One map for the stack stands for each frame.
    assert task_identification(maps[:, :1], truths).item() == pytest.approx(50.0)


def naive_identification(maps: np.ndarray, truths: np.ndarray) -> tuple[float, float]:
    """The score of one stack and its variance over frames, with NumPy's interpolated quantile."""
    quantile = 1 - truths.sum() / truths.size
    masks = [(saliency >= np.quantile(saliency, quantile)) & (saliency > saliency.min()) for saliency in maps]
    hits = [(mask & truth).sum() for mask, truth in zip(masks, truths, strict=True)]
    each = [
        100 * hit / math.sqrt(truth.sum() * mask.sum()) for hit, mask, truth in zip(hits, masks, truths, strict=True)
    ]
    whole = 100 * sum(hits) / math.sqrt(truths.sum() * sum(mask.sum() for mask in masks))
    return whole, float(np.var(each))


def test_a_map_that_is_zero_off_the_task_identifies_it_in_each_frame() -> None:
    # 1 and 3 of 8 pixels inside: quantile 0.5 is 0 in the first frame, and its zeros are still not salient.
    maps, truths = stack([[9, 0, 0, 0], [9, 9, 9, 0]], [[1, 0, 0, 0], [1, 1, 1, 0]])
    assert task_identification(maps, truths).item() == pytest.approx(100)
    assert task_identification_variance(maps, truths).item() == pytest.approx(0)


@pytest.mark.parametrize("kind", ["continuous", "ties", "mostly_zero"])
@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.9])
def test_task_identification_equals_loops(kind: str, share: float) -> None:
    rng = np.random.default_rng(3)
    maps = rng.random((4, 3, 9, 9))
    if kind == "ties":
        maps = np.floor(maps * 5)
    elif kind == "mostly_zero":
        maps = np.where(maps > 0.8, maps, 0.0)
    truths = rng.random(maps.shape) < share
    truths[:, :, 0, 0] = True  # no frame without the task
    expected = [naive_identification(*pair) for pair in zip(maps, truths, strict=True)]
    given_maps, given_truths = torch.from_numpy(maps), torch.from_numpy(truths)
    scores, variances = (np.array(column) for column in zip(*expected, strict=True))
    assert np.allclose(task_identification(given_maps, given_truths).numpy(), scores, rtol=1e-12)
    assert np.allclose(task_identification_variance(given_maps, given_truths).numpy(), variances, rtol=1e-9)


def test_ignored_pixels_are_as_if_they_were_cut_off() -> None:
    generator = torch.Generator().manual_seed(1)
    maps, truths = torch.rand(2, 3, 6, 6, generator=generator), torch.rand(2, 3, 6, 6, generator=generator) < 0.3
    ignore = torch.zeros_like(truths)
    ignore[..., 4:] = True
    cut = maps[..., :4], truths[..., :4]
    assert torch.allclose(task_identification(maps, truths, ignore), task_identification(*cut))
    assert torch.allclose(task_identification_variance(maps, truths, ignore), task_identification_variance(*cut))


def test_task_identification_is_undefined_without_task_or_without_order() -> None:
    maps = torch.rand(4, 2, 5, 5, generator=torch.Generator().manual_seed(2))
    truths = torch.zeros(4, 2, 5, 5, dtype=torch.bool)
    truths[:, :, 2, 2] = True
    truths[0], truths[1] = False, True
    maps[2] = 1.0
    assert task_identification(maps, truths).isnan().tolist() == [True, True, True, False]
    assert task_identification_variance(maps, truths).isnan().tolist() == [True, True, True, False]
    # One frame of two: the stack has a score, but the frames' scores cannot be compared.
    one_constant, one_empty = maps[3:].clone(), truths[3:].clone()
    one_constant[:, 0] = 1.0
    one_empty[:, 0] = False
    for stacks in ((one_constant, truths[3:]), (maps[3:], one_empty)):
        assert not task_identification(*stacks).isnan().any()
        assert task_identification_variance(*stacks).isnan().all()
    assert task_identification_variance(maps[:, :1], truths[:, :1]).isnan().all()  # one frame does not vary
