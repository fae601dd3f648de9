"""Localisation: does a map lie on the pixels that show the task, according to the simulator?

All but the two of SimGRL take ``saliency [batch, height, width]`` (higher = more salient), ``truth`` bool of the same
shape, and ``ignore`` bool or None: pixels that count neither as inside nor as outside. They return float64 ``[batch]``,
NaN for frames where they are undefined: no pixel inside, none outside, or a constant map. They raise UserError for
shapes that do not fit, masks that are not bool and maps that are not finite.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from saccade.metrics.checks import checked_map, checked_mask
from saccade.metrics.measures import area_under_curve, is_constant, undefined_unless, unit_scaled
from saccade.types import UserError

ROUNDING = 1e-6  # tolerated in the position of a quantile
PERCENT = 100.0

Frames = tuple[Tensor, Tensor, Tensor, Tensor]
"""Values, inside, counted, each ``[batch, pixels]``, and the frames where all is defined, ``[batch]``."""


def pointing_game(saliency: Tensor, truth: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Return 1 if the most salient pixel lies in the truth, else 0; for tied maxima, the fraction that does.

    Zhang et al., 2016 (excitation backprop), "the pointing game".
    """
    # Deviation: without their tolerance of 15 pixels around an object, which is a fifth of an 84-pixel observation.
    values, inside, counted, defined = _frames(saliency, truth, ignore)
    ranked = values.masked_fill(~counted, -math.inf)
    largest = ranked == ranked.amax(-1, keepdim=True)
    return undefined_unless(defined, (largest & inside).sum(-1).double() / largest.sum(-1))


def area_under_roc(saliency: Tensor, truth: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Return the probability that a pixel inside is more salient than one outside, 0..1; 0.5 is chance.

    1 is perfect; ties count half. DIGR's ROC-AUC on Red-Fetch-Green: important pixels are the truth, unimportant ones
    the rest, walls are ignored.
    """
    values, inside, counted, defined = _frames(saliency, truth, ignore)
    return undefined_unless(defined, area_under_curve(values, inside.double(), (counted & ~inside).double()))


def precision_at_mask_area(saliency: Tensor, truth: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Return the share of the k most salient pixels that lie inside, 0..1, where k is the truth's number of pixels.

    Precision and recall are the same number at this k: R-precision, the relevance rank accuracy of CLEVR-XAI (Arras et
    al., 2022). Pixels tied at the threshold count as if k were filled up with them at random, so that the order of
    scanning never matters.
    """
    values, inside, counted, defined = _frames(saliency, truth, ignore)
    ranked = values.masked_fill(~counted, -math.inf)
    area = inside.sum(-1, keepdim=True)
    threshold = ranked.sort(-1, descending=True).values.gather(-1, (area - 1).clamp(min=0))
    above, tied = ranked > threshold, ranked == threshold
    places_left = area[:, 0] - above.sum(-1)
    expected = places_left * (tied & inside).sum(-1).double() / tied.sum(-1)
    return undefined_unless(defined, ((above & inside).sum(-1) + expected) / area[:, 0])


def mass_inside(saliency: Tensor, truth: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Return the share of the positive saliency that lies inside, 0..1; also NaN if there is none.

    The relevance mass accuracy of CLEVR-XAI (Arras et al., 2022); the energy-based pointing game of Score-CAM.
    """
    values, inside, counted, defined = _frames(saliency, truth, ignore)
    positive = unit_scaled(values.clamp(min=0.0) * counted)
    return undefined_unless(defined, (positive * inside).sum(-1) / positive.sum(-1))


def important_sum(
    saliency: Tensor,
    truth: Tensor,
    ignore: Tensor | None = None,
    *,
    normalise_by: Literal["counted", "all"] = "counted",
) -> Tensor:
    """Return the sum of the map over the truth, in pixels: from 0 to the truth's number of pixels.

    DIGR's sum on Red-Fetch-Green: maps are divided by their largest value first. Only the positive part counts.

    Args:
        normalise_by: whether to divide by the largest value of the pixels that count, or, as in the paper, of all
            pixels: a map that is brightest on an ignored object then has smaller sums.
    """
    return _normalised_sum(saliency, truth, ignore, normalise_by, important=True)


def unimportant_sum(
    saliency: Tensor,
    truth: Tensor,
    ignore: Tensor | None = None,
    *,
    normalise_by: Literal["counted", "all"] = "counted",
) -> Tensor:
    """Return the sum of the map outside truth and ignored pixels, in pixels. See ``important_sum``; lower is better."""
    return _normalised_sum(saliency, truth, ignore, normalise_by, important=False)


def task_identification(frame_saliency: Tensor, frame_truth: Tensor, frame_ignore: Tensor | None = None) -> Tensor:
    """Return SimGRL's task-identification score, 0..100: how well a stack's most salient pixels match the task's.

    100 |truth ∩ mask| / sqrt(|truth| |mask|), summed over the frames of a stack, where the mask is the pixels of each
    frame at or above its own quantile 1 - |truth| / (frames * height * width): about as many pixels per frame as the
    task has on average. A pixel with the frame's smallest value is never in the mask. Song et al., 2024, and the
    authors' code.

    Args:
        frame_saliency: ``[batch, frame, height, width]``; one frame for a whole stack stands for each of them.
        frame_truth: bool ``[batch, frame, height, width]``.
        frame_ignore: bool of the same shape, or None.

    Returns:
        float64 ``[batch]``; NaN if the task has no pixel or all pixels, or if each frame's map is constant.
    """
    # Deviation: the quantile is not rounded to three decimals as in the authors' code (up to 3 pixels of 84x84).
    hits, truths, masks, constant = _identified(frame_saliency, frame_truth, frame_ignore)
    score = PERCENT * hits.sum(-1) / (truths.sum(-1) * masks.sum(-1)).sqrt()
    return undefined_unless(~constant.all(-1), score)


def task_identification_variance(
    frame_saliency: Tensor, frame_truth: Tensor, frame_ignore: Tensor | None = None
) -> Tensor:
    """Return SimGRL's (population) variance of the task-identification score over the frames of a stack, 0..2500.

    It is large for a policy that looks at the task in one frame and at the background in another. Arguments as for
    ``task_identification``. NaN for a single frame, and if the score of any frame is NaN: a constant map, no task.
    """
    hits, truths, masks, constant = _identified(frame_saliency, frame_truth, frame_ignore)
    scores = undefined_unless(~constant, PERCENT * hits / (truths * masks).sqrt())
    if scores.shape[-1] == 1:
        return torch.full_like(scores[:, 0], math.nan)
    return scores.var(-1, correction=0)


def _frames(saliency: Tensor, truth: Tensor, ignore: Tensor | None) -> Frames:
    values = checked_map(saliency)
    inside = checked_mask(truth, values, name="truth mask").flatten(1)
    counted = (
        torch.ones_like(inside) if ignore is None else ~checked_mask(ignore, values, name="ignore mask").flatten(1)
    )
    values, inside = values.flatten(1), inside & counted
    defined = inside.any(-1) & (counted & ~inside).any(-1) & ~is_constant(values, counted)
    return values, inside, counted, defined


def _normalised_sum(
    saliency: Tensor, truth: Tensor, ignore: Tensor | None, normalise_by: str, *, important: bool
) -> Tensor:
    # Deviation: by default ignored pixels do not take part in the normalisation either.
    values, inside, counted, defined = _frames(saliency, truth, ignore)
    if normalise_by not in ("counted", "all"):
        raise UserError(
            f"There is no normaliser {normalise_by!r}: maps are divided by their largest 'counted' or 'all'."
        )
    considered = counted
    if normalise_by == "all":
        considered = torch.ones_like(counted)
        defined = inside.any(-1) & (counted & ~inside).any(-1) & ~is_constant(values)
    largest = values.masked_fill(~considered, -math.inf).amax(-1, keepdim=True)
    where = inside if important else counted & ~inside
    total = (values.clamp(min=0.0) / largest * where).sum(-1)
    return undefined_unless(defined & (largest[:, 0] > 0), total)


def _identified(saliency: Tensor, truth: Tensor, ignore: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Areas of the overlap, of the truth and of the mask, and whether the map is constant: each ``[batch, frame]``."""
    values = checked_map(saliency, axes=4)
    if values.shape[1] == 1 and truth.ndim == 4:
        values = values.expand(-1, truth.shape[1], -1, -1)
    inside = checked_mask(truth, values, name="truth mask").flatten(2)
    counted = (
        torch.ones_like(inside) if ignore is None else ~checked_mask(ignore, values, name="ignore mask").flatten(2)
    )
    values, inside = values.flatten(2), inside & counted
    num_pixels, num_inside = counted.sum((1, 2)), inside.sum((1, 2))
    quantile = 1 - num_inside.double() / num_pixels
    # A value is at or above the interpolated quantile if it is at least the smallest order statistic above it.
    num_counted = counted.sum(-1)
    kept = num_counted - (quantile[:, None] * (num_counted - 1) - ROUNDING).ceil().long()
    ranked = values.masked_fill(~counted, -math.inf)
    threshold = ranked.sort(-1, descending=True).values.gather(-1, (kept - 1).clamp(min=0)[..., None])
    # Deviation: if most of a map is zero, so is the quantile, and the authors' mask is the whole frame; then even
    # the truth itself scores far below 100. Here, pixels of the lowest saliency are never in the mask.
    lowest = values.masked_fill(~counted, math.inf).amin(-1, keepdim=True)
    mask = (ranked >= threshold) & (ranked > lowest) & counted
    constant = is_constant(values.flatten(0, 1), counted.flatten(0, 1)).view(kept.shape)
    truths = undefined_unless((num_inside < num_pixels)[:, None], inside.sum(-1).double())
    return (mask & inside).sum(-1).double(), truths, mask.sum(-1).double(), constant
