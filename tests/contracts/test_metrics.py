"""What every metric promises: its direction and range, frames on their own, scale means nothing, ignored is ignored."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.metrics import METRICS, Metric
from saccade.metrics.gaze import blurred
from saccade.metrics.sanity import centre_prior
from saccade.types import Score, UserError

BATCH, FRAMES, HEIGHT, WIDTH = 24, 3, 30, 26
MAPS = ("saliency", "frame_saliency", "randomised_saliency", "clean_saliency", "distracted_saliency")

Inputs = dict[str, Any]

every_metric = pytest.mark.parametrize("name", METRICS)


def random(*shape: int, seed: int) -> Tensor:
    return torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(seed))


def blobs(*axes: int, seed: int) -> Tensor:
    """Bool ``[batch, *axes, height, width]``: a rectangle in each frame, of another size and place."""
    corner = random(*axes, 4, seed=seed)
    rows, columns = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    top, left = corner[..., 0] * 15, corner[..., 1] * 12
    bottom, right = top + 4 + corner[..., 2] * 8, left + 4 + corner[..., 3] * 8
    top, left, bottom, right = (side[..., None, None] for side in (top, left, bottom, right))
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


def against_truth(axes: tuple[int, ...], prefix: str) -> tuple[Inputs, Inputs, Inputs]:
    truth = blobs(*axes, seed=0)
    ignore = blobs(*axes, seed=1) & ~truth
    perfect = truth.float()
    maps = perfect, random(*axes, HEIGHT, WIDTH, seed=2), 1 - perfect
    return tuple({f"{prefix}saliency": m, f"{prefix}truth": truth, f"{prefix}ignore": ignore} for m in maps)  # type: ignore[return-value]


def identified_unevenly() -> tuple[Inputs, Inputs, Inputs]:
    """Alike in all frames, at random, and all of the task in one frame but none in the others."""
    best, middle, _ = against_truth((FRAMES,), "frame_")
    uneven = 1 - best["frame_saliency"]
    uneven[:, 0] = best["frame_saliency"][:, 0]
    return best, middle, {**best, "frame_saliency": uneven}


def against_gaze() -> tuple[Inputs, Inputs, Inputs]:
    fixations = torch.zeros(BATCH, HEIGHT, WIDTH)
    fixations[:, 8:11, 8:11] = (random(3, 3, seed=3) * 4).round()
    fixations[:, 8, 8] += 1
    elsewhere = fixations.flip(1)
    perfect = blurred(fixations)
    maps = perfect, random(HEIGHT, WIDTH, seed=4), perfect.amax((1, 2), keepdim=True) * 1.01 - perfect
    return tuple({"saliency": m, "fixations": fixations, "other_fixations": elsewhere} for m in maps)  # type: ignore[return-value]


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(random(HEIGHT, WIDTH, seed=5)[0])

    def forward(self, obs: Tensor) -> Tensor:
        return (obs[:, 0] * self.weight).flatten(1).sum(-1)


def half_square(network: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    return 0.5 * (network(obs) - clean).square()


def against_the_policy() -> tuple[Inputs, Inputs, Inputs]:
    network, obs = Linear(), random(1, HEIGHT, WIDTH, seed=6) + 0.5
    score = Score(network, half_square, (network(obs).detach(),), distance=True)
    perfect = (network.weight * obs[:, 0]).detach()  # what hiding each pixel changes
    maps = perfect, random(HEIGHT, WIDTH, seed=7), 2 - perfect
    return tuple({"saliency": m, "score": score, "obs": obs, "fill": 0.0} for m in maps)  # type: ignore[return-value]


def uncorrelated_with(maps: Tensor) -> Tensor:
    """Large at both ends of the order of pixels and small in the middle: a rank correlation of exactly 0."""
    rank = maps.flatten(1).argsort(-1).argsort(-1).double()
    return (rank - (rank.shape[1] - 1) / 2).square().view_as(maps)


def cases_of(name: str) -> tuple[Inputs, Inputs, Inputs]:
    """Inputs on which the metric must be best, middling (chance) and worst."""
    metric = METRICS[name]
    noise = random(HEIGHT, WIDTH, seed=8)
    centre = centre_prior(HEIGHT, WIDTH).expand(BATCH, -1, -1)
    point = torch.zeros_like(noise)
    point[:, 3, 3] = 1.0
    own: dict[str, Callable[[], tuple[Inputs, Inputs, Inputs]]] = {
        "task_identification": lambda: against_truth((FRAMES,), "frame_"),
        "task_identification_variance": identified_unevenly,
        "randomisation": lambda: tuple(  # type: ignore[return-value]
            {"saliency": noise, "randomised_saliency": m}
            for m in (uncorrelated_with(noise), random(HEIGHT, WIDTH, seed=9), noise.square())
        ),
        "centre_correlation": lambda: ({"saliency": 1 - centre}, {"saliency": noise}, {"saliency": centre}),
        "uniform_overlap": lambda: ({"saliency": point}, {"saliency": noise}, {"saliency": torch.ones_like(noise)}),
        "map_drift": lambda: tuple(  # type: ignore[return-value]
            {"clean_saliency": point + point.flip(1) / 2, "distracted_saliency": m}
            for m in (point + point.flip(1) / 2, point, point.flip(2))
        ),
        "action_drift": lambda: tuple(  # type: ignore[return-value]
            {"clean_action": noise[:, 0], "distracted_action": noise[:, 0] + step} for step in (0.0, 0.1, 1.0)
        ),
    }
    questions = {
        "truth": lambda: against_truth((), ""),
        "people": against_gaze,
        "faithfulness": against_the_policy,
    }
    return own[name]() if name in own else questions[metric.question]()


def found(metric: Metric, inputs: Inputs) -> Tensor:
    return metric.function(*(inputs[name] for name in metric.takes))


def row_of(name: str, value: Any, index: int) -> Any:
    if isinstance(value, Tensor):
        return value[index : index + 1]
    return value.rows(torch.tensor([index])) if isinstance(value, Score) else value


@every_metric
def test_gives_a_finite_float64_for_each_frame_and_changes_nothing(name: str) -> None:
    for inputs in cases_of(name):
        tensors = [value for value in inputs.values() if isinstance(value, Tensor)]
        before = [value.clone() for value in tensors]
        values = found(METRICS[name], inputs)
        assert values.shape == (BATCH,) and values.dtype == torch.float64
        assert values.isfinite().all() and not values.requires_grad
        assert all(torch.equal(*pair) for pair in zip(before, tensors, strict=True))


@every_metric
def test_declared_direction_is_true(name: str) -> None:
    metric = METRICS[name]
    best, middle, worst = (found(metric, inputs).mean().item() for inputs in cases_of(name))
    if metric.direction == "higher":
        assert best > middle > worst
    else:
        assert best < middle < worst


@every_metric
def test_no_random_map_is_better_than_the_best(name: str) -> None:
    metric = METRICS[name]
    best, middle, _ = (found(metric, inputs) for inputs in cases_of(name))
    assert ((best >= middle) if metric.direction == "higher" else (best <= middle)).all()


@every_metric
def test_values_are_in_the_declared_range(name: str) -> None:
    metric = METRICS[name]
    lowest = -math.inf if metric.lowest is None else metric.lowest
    highest = math.inf if metric.highest is None else metric.highest
    for inputs in cases_of(name):
        values = found(metric, inputs)
        assert (values >= lowest).all() and (values <= highest).all()


BOUNDS_REACHED = {
    "pointing_game": (1, 0), "area_under_roc": (1, 0), "precision_at_mask_area": (1, 0), "mass_inside": (1, 0),
    "unimportant_sum": (0, None), "task_identification": (100, 0), "task_identification_variance": (0, None),
    "kl_divergence": (0, None), "correlation_coefficient": (1, -1), "similarity": (1, None),
    "shuffled_auc": (1, 0), "randomisation": (0, 1), "centre_correlation": (-1, 1), "uniform_overlap": (None, 1),
    "map_drift": (0, 1), "action_drift": (0, None),
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
def test_frames_are_scored_on_their_own(name: str) -> None:
    metric, inputs = METRICS[name], cases_of(name)[1]
    together = found(metric, inputs)
    for index in (0, BATCH - 1):
        alone = found(metric, {key: row_of(key, value, index) for key, value in inputs.items()})
        assert alone.item() == pytest.approx(together[index].item(), rel=1e-4)


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
    changed = {**inputs, saliency: torch.where(inputs[ignore], 50 * random(1, 1, 1, seed=11)[0], inputs[saliency])}
    assert inputs[ignore].any((-2, -1)).any()
    assert torch.equal(found(metric, changed), found(metric, inputs))
    counted = found(metric, {**changed, ignore: None})
    assert not torch.equal(counted, found(metric, inputs)), "what is not ignored must count"
    # And the truth there does not count either.
    truth = saliency.replace("saliency", "truth")
    swapped = {**inputs, truth: inputs[truth] ^ inputs[ignore]}
    assert torch.equal(found(metric, swapped), found(metric, inputs))


DEFINED_ON_CONSTANT_MAPS = {"kl_divergence", "similarity", "uniform_overlap", "deletion", "insertion", "action_drift"}
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
