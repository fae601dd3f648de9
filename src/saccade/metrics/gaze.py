"""Gaze metrics: does a map lie where people look? Those of Free-Lunch Saliency (FLS), and the usual ones of today.

All take ``saliency [batch, height, width]`` and ``fixations`` of the same shape: how many gaze samples fell on each
pixel of the frame (FLS: of all the frames that the network saw). They return float64 ``[batch]``, NaN for frames
where they are undefined, among them every frame without a gaze sample. They raise UserError for shapes that do not
fit, negative counts and maps that are not finite. Tolerances are relative to a map's largest magnitude, where FLS
has absolute ones, because gradients may be tiny everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saccade.metrics.checks import checked_fixations, checked_map
from saccade.metrics.measures import (
    SMALLEST_RANGE,
    area_under_curve,
    correlation,
    is_constant,
    overlap,
    shares,
    undefined_unless,
    unit_scaled,
)
from saccade.types import UserError

SIGMA = 5.0  # pixels of a 210x160 Atari frame; FLS uses 2 on 84x84 observations
NUM_OTHERS = 10
SEED = 42
CHANCE = {"nss": 0.0, "shuffled_auc": 0.5, "auc_judd": 0.5, "correlation_coefficient": 0.0}
"""The score of a map without information; a constant map, for which these are undefined, has no score of its own."""


def nss(saliency: Tensor, fixations: Tensor) -> Tensor:
    """Return the normalised scanpath saliency: mean standardised saliency at gaze samples; 0 is chance.

    FLS: standardised by the population's deviation, each gaze sample counting. NaN for a constant map.
    """
    values, gaze = _pair(saliency, fixations)
    values = unit_scaled(values)
    spread = values.std(-1, correction=0)
    at_gaze = (gaze * values).sum(-1) / gaze.sum(-1)
    return undefined_unless(spread > SMALLEST_RANGE, (at_gaze - values.mean(-1)) / spread)


def kl_divergence(saliency: Tensor, fixations: Tensor, *, sigma: float = SIGMA) -> Tensor:
    """Return KL(blurred fixations || saliency), both normalised to sum 1, in nats: 0 for the same distribution.

    As in FLS, no small constant is added, so it is NaN where the map is zero (or negative) on any pixel that blurred
    gaze reaches. Many sparse maps are undefined for that reason; a constant map is defined, and has the cost of looking
    nowhere in particular. The paper says "normalised to 0..1"; its code, like this one, normalises to sum 1.
    """
    values, _ = _pair(saliency, fixations)
    gaze = blurred(fixations, sigma).flatten(1)
    reached = gaze > 0
    defined = reached.any(-1) & ~(reached & (unit_scaled(values) <= SMALLEST_RANGE)).any(-1)
    log_ratio = torch.where(reached, shares(gaze).log() - shares(values).log(), 0.0)
    # Rounding may leave two equal distributions slightly below zero.
    return undefined_unless(defined, (shares(gaze) * log_ratio).sum(-1).clamp(min=0.0))


def shuffled_auc(
    saliency: Tensor,
    fixations: Tensor,
    other_fixations: Tensor,
    *,
    splits: int | None = None,
    seed: int = SEED,
) -> Tensor:
    """Return the probability that saliency is larger at a gaze sample than at one of other frames, 0..1: 0.5 is chance.

    FLS: positives are the saliency at each gaze sample; negatives, drawn with replacement, at gaze samples of other
    frames, so that looking at the centre, as people do in every frame, earns nothing. A pixel may be both. NaN
    for a constant map, and if the other frames have no gaze sample.

    Args:
        other_fixations: as ``fixations``; see ``fixations_elsewhere``.
        splits: FLS draws as many negatives as there are positives 100 times, and averages. None computes the
            expectation, which needs no draws.
        seed: of the draws; each frame has its own.
    """
    # Deviation: by default the expectation of FLS's mean, from which 100 splits differ only by sampling error.
    values, gaze = _pair(saliency, fixations)
    others = checked_fixations(other_fixations, saliency, name="map of other fixations").flatten(1)
    if splits is not None and splits < 1:
        raise UserError(f"splits is {splits}: it must be at least 1, or None for the expectation.")
    defined = ~is_constant(values) & (gaze.sum(-1) > 0) & (others.sum(-1) > 0)
    negatives = others if splits is None else _drawn(gaze, others, splits, seed)
    return undefined_unless(defined, area_under_curve(values, gaze, negatives))


def fixations_elsewhere(fixations: Tensor, *, num_others: int = NUM_OTHERS, seed: int = SEED) -> Tensor:
    """Return, for each frame of one recording, the summed fixations of other frames, drawn with replacement (FLS: 10).

    fixations ``[frame, height, width]`` -> float64 of the same shape, all zero if there is no other frame.
    """
    counts = checked_fixations(fixations)
    num_frames = len(counts)
    if num_frames < 2:
        return torch.zeros_like(counts)
    drawn = others_drawn(num_frames, num_others=num_others, seed=seed)
    return sum((counts[one] for one in drawn.to(counts.device)), torch.zeros_like(counts))


def others_drawn(num_frames: int, *, num_others: int = NUM_OTHERS, seed: int = SEED) -> Tensor:
    """Return which frames ``fixations_elsewhere`` adds up, ``[num_others, num_frames]``; empty if there is no other."""
    if num_frames < 2:
        return torch.empty((0, num_frames), dtype=torch.long)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(num_frames - 1, (num_others, num_frames), generator=generator)
    return drawn + (drawn >= torch.arange(num_frames))  # every frame but its own


def auc_judd(saliency: Tensor, fixations: Tensor) -> Tensor:
    """Return the probability that saliency is larger on a pixel that was looked at than on another: 0.5 is chance.

    Judd et al., 2009. Unlike in FLS's shuffled AUC, every other pixel of the same frame is a negative, so a map of the
    centre scores well, and a pixel counts once however often it was looked at. NaN for a constant map, and if no
    pixel, or every pixel, was looked at.
    """
    # Deviation: the whole area, ties counting half. The MATLAB code joins the points of the looked-at values by
    # straight lines and breaks ties at random, which gives chance more than 0.5 if there are few of them.
    values, gaze = _pair(saliency, fixations)
    looked_at = gaze > 0
    area = area_under_curve(values, looked_at.double(), (~looked_at).double())
    return undefined_unless(~is_constant(values), area)


def correlation_coefficient(saliency: Tensor, fixations: Tensor, *, sigma: float = SIGMA) -> Tensor:
    """Return CC: Pearson's correlation of the map with the blurred fixations, -1..1.

    Bylinskii et al., 2019. FLS does not have it: like KL it compares with blurred fixations, but it is
    symmetric and defined for sparse maps. NaN for a constant map.
    """
    values, gaze = _pair(saliency, fixations)
    return undefined_unless(gaze.sum(-1) > 0, correlation(values, blurred(fixations, sigma).flatten(1)))


def similarity(saliency: Tensor, fixations: Tensor, *, sigma: float = SIGMA) -> Tensor:
    """Return SIM: the overlap of map and blurred fixations, each normalised to sum 1, from 0 (none) to 1 (equal).

    Bylinskii et al., 2019. FLS does not have it: unlike KL it is bounded and defined for sparse maps.
    Only the positive part of the map counts; NaN if there is none.
    """
    values, _ = _pair(saliency, fixations)
    return overlap(shares(values), shares(blurred(fixations, sigma).flatten(1)))


def blurred(fixations: Tensor, sigma: float = SIGMA) -> Tensor:
    """Smooth fixations ``[batch, height, width]`` with a Gaussian of ``sigma`` pixels, as OpenCV does for float64.

    Its kernel has 8 sigma + 1 pixels, made odd (41 for sigma 5), and images are mirrored at the middle of
    their outermost pixels. Exactly zero where no gaze sample is within the kernel.
    """
    if not 0 < sigma < math.inf:
        raise UserError(f"sigma is {sigma}: the blur of fixations must be a positive number of pixels.")
    counts = checked_fixations(fixations)
    _, height, width = counts.shape
    return _blur_matrix(height, sigma, counts) @ counts @ _blur_matrix(width, sigma, counts).T


def _blur_matrix(length: int, sigma: float, like: Tensor) -> Tensor:
    """``[length, length]``: row i holds the weights that make pixel i of a blurred line."""
    radius = (round(8 * sigma + 1) | 1) // 2
    offset = torch.arange(-radius, radius + 1, device=like.device)
    kernel = (-offset.double().square() / (2 * sigma**2)).exp()
    period = max(2 * (length - 1), 1)
    # Positions of a line that is mirrored again and again: 0 1 2 1 0 1 2 1 0 ...
    seen = (torch.arange(length, device=like.device)[:, None] + offset) % period
    seen = torch.minimum(seen, period - seen) if length > 1 else torch.zeros_like(seen)
    weights = (kernel / kernel.sum()).expand(length, -1)
    return torch.zeros(length, length, dtype=torch.float64, device=like.device).scatter_add_(1, seen, weights)


def _pair(saliency: Tensor, fixations: Tensor) -> tuple[Tensor, Tensor]:
    values = checked_map(saliency)
    return values.flatten(1), checked_fixations(fixations, values).flatten(1)


def _drawn(gaze: Tensor, others: Tensor, splits: int, seed: int) -> Tensor:
    """How often each pixel is drawn as a negative in all splits together, ``[batch, pixels]``.

    All splits have the same size, so the mean of their areas is the area of all their negatives together.
    """
    counts = torch.zeros_like(others)
    for index, (looked_at, elsewhere) in enumerate(zip(gaze.cpu(), others.cpu(), strict=True)):
        num = round(float(looked_at.sum())) * splits
        if num and bool(elsewhere.sum() > 0):
            generator = torch.Generator().manual_seed(seed)
            pixels = torch.multinomial(elsewhere, num, replacement=True, generator=generator)
            counts[index] = torch.bincount(pixels, minlength=len(elsewhere)).to(counts)
    return counts
