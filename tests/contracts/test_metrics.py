"""What every metric promises: its direction and range, frames on their own, scale means nothing, ignored is ignored."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saccade.metrics import METRICS, Metric
from saccade.metrics.sanity import centre_prior
from saccade.testing import Cases, check_metric
from saccade.testing.metric_cases import (
    BATCH,
    FRAMES,
    HEIGHT,
    WIDTH,
    Inputs,
    against_truth,
    cases_for,
    noise,
)
from saccade.types import UserError

MAPS = ("saliency", "frame_saliency", "randomised_saliency", "clean_saliency", "distracted_saliency")

every_metric = pytest.mark.parametrize("name", METRICS)


def identified_unevenly() -> Cases:
    """Alike in all frames, at random, and all of the task in one frame but none in the others."""
    best, middle, _ = against_truth(FRAMES)
    uneven = 1 - best["frame_saliency"]
    uneven[:, 0] = best["frame_saliency"][:, 0]
    return Cases(best, middle, {**best, "frame_saliency": uneven})


def uncorrelated_with(maps: Tensor) -> Tensor:
    """Large at both ends of the order of pixels and small in the middle: a rank correlation of exactly 0."""
    rank = maps.flatten(1).argsort(-1).argsort(-1).double()
    return (rank - (rank.shape[1] - 1) / 2).square().view_as(maps)


def cases_of(name: str) -> Cases:
    """Inputs on which the metric must be best, middling (chance) and worst."""
    random = noise(HEIGHT, WIDTH, seed=8)
    centre = centre_prior(HEIGHT, WIDTH).expand(BATCH, -1, -1)
    point = torch.zeros_like(random)
    point[:, 3, 3] = 1.0
    two_points = point + point.flip(1) / 2
    randomised = (uncorrelated_with(random), noise(HEIGHT, WIDTH, seed=9), random.square())
    own: dict[str, Callable[[], Cases]] = {
        "task_identification_variance": identified_unevenly,
        "randomisation": lambda: Cases(*({"saliency": random, "randomised_saliency": m} for m in randomised)),
        "centre_correlation": lambda: Cases(*({"saliency": m} for m in (1 - centre, random, centre))),
        "uniform_overlap": lambda: Cases(*({"saliency": m} for m in (point, random, torch.ones_like(random)))),
        "map_drift": lambda: Cases(
            *({"clean_saliency": two_points, "distracted_saliency": m} for m in (two_points, point, point.flip(2)))
        ),
        "action_drift": lambda: Cases(
            *({"clean_action": random[:, 0], "distracted_action": random[:, 0] + step} for step in (0.0, 0.1, 1.0))
        ),
        "policy_drift": lambda: Cases(
            *({"clean_policy": random[:, 0], "distracted_policy": random[:, 0] * by} for by in (1.0, 2.0, 20.0))
        ),
    }
    return own[name]() if name in own else cases_for(METRICS[name])


def found(metric: Metric, inputs: Inputs) -> Tensor:
    return metric.function(*(inputs[name] for name in metric.takes))


@every_metric
def test_it_keeps_the_promises_of_a_metric(name: str) -> None:
    check_metric(METRICS[name], cases_of(name))


BOUNDS_REACHED = {
    "pointing_game": (1, 0), "area_under_roc": (1, 0), "precision_at_mask_area": (1, 0), "mass_inside": (1, 0),
    "unimportant_sum": (0, None), "task_identification": (100, 0), "task_identification_variance": (0, None),
    "kl_divergence": (0, None), "correlation_coefficient": (1, -1), "similarity": (1, None),
    "shuffled_auc": (1, 0), "randomisation": (0, 1), "centre_correlation": (-1, 1), "uniform_overlap": (None, 1),
    "map_drift": (0, 1), "action_drift": (0, None), "policy_drift": (0, None),
}  # fmt: skip
"""What the best and the worst inputs give, where it is an end of the range."""


@pytest.mark.parametrize("name", BOUNDS_REACHED)
def test_best_and_worst_reach_the_ends_of_the_range(name: str) -> None:
    best, _, worst = (found(METRICS[name], inputs) for inputs in cases_of(name))
    for values, bound in zip((best, worst), BOUNDS_REACHED[name], strict=True):
        assert bound is None or torch.allclose(values, torch.full_like(values, bound), atol=1e-6)


def test_chance_is_a_half() -> None:
    for name in ("area_under_roc", "auc_judd", "shuffled_auc"):
        middle = found(METRICS[name], cases_of(name)[1]).mean().item()
        assert middle == pytest.approx(0.5, abs=0.07)


@every_metric
@pytest.mark.parametrize("scale", [1e-25, 3.7, 1e20])
def test_the_scale_of_a_map_means_nothing(name: str, scale: float) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    scaled = {key: value.double() * scale if key in MAPS else value for key, value in inputs.items()}
    assert torch.allclose(found(metric, scaled), found(metric, inputs), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.question == "truth"])
def test_ignored_pixels_are_ignored(name: str) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    saliency, _, ignore = metric.takes
    changed = {**inputs, saliency: torch.where(inputs[ignore], 50 * noise(1, 1, 1, seed=11)[0], inputs[saliency])}
    assert inputs[ignore].any((-2, -1)).any()
    assert torch.equal(found(metric, changed), found(metric, inputs))
    counted = found(metric, {**changed, ignore: None})
    assert not torch.equal(counted, found(metric, inputs)), "what is not ignored must count"
    # And the truth there does not count either.
    truth = saliency.replace("saliency", "truth")
    swapped = {**inputs, truth: inputs[truth] ^ inputs[ignore]}
    assert torch.equal(found(metric, swapped), found(metric, inputs))


DEFINED_ON_CONSTANT_MAPS = {
    "kl_divergence", "similarity", "uniform_overlap", "deletion", "insertion", "action_drift", "policy_drift",
}  # fmt: skip
"""The uniform map is a distribution, and pixels in random order are an order."""


@every_metric
def test_a_constant_map_is_undefined_unless_it_says_otherwise(name: str) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    for constant in (0.1, 7.0):
        given = {key: torch.full_like(value, constant) if key in MAPS else value for key, value in inputs.items()}
        values = found(metric, given)
        assert (values.isfinite() if name in DEFINED_ON_CONSTANT_MAPS else values.isnan()).all()


@every_metric
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_map_that_is_not_finite_is_told(name: str, bad: float) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    for key in metric.takes:
        if key in MAPS or key.endswith("action"):
            broken = inputs[key].clone()
            broken[-1, ..., -1] = bad
            with pytest.raises(UserError, match="NaN"):
                found(metric, {**inputs, key: broken})


@every_metric
def test_shapes_that_do_not_fit_are_told(name: str) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    for key in metric.takes:
        if isinstance(inputs[key], Tensor) and len(metric.takes) > 1:
            with pytest.raises(UserError, match="shape"):
                found(metric, {**inputs, key: inputs[key][:-1]})
        if key in MAPS:
            with pytest.raises(UserError, match="shape"):
                found(metric, {**inputs, key: inputs[key][0, 0]})


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.question == "truth"])
def test_masks_that_are_not_bool_are_told(name: str) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    for key in metric.takes[1:]:
        with pytest.raises(UserError, match="must be bool"):
            found(metric, {**inputs, key: inputs[key].float()})


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.question == "people"])
def test_negative_fixations_are_told(name: str) -> None:
    inputs = cases_of(name)[1]
    with pytest.raises(UserError, match="negative count"):
        found(METRICS[name], {**inputs, "fixations": inputs["fixations"] - 1})


@every_metric
def test_every_line_of_the_table_is_whole(name: str) -> None:
    metric = METRICS[name]
    assert metric.summary and metric.source and metric.function.__doc__
    assert metric.lowest is None or metric.highest is None or metric.lowest < metric.highest
