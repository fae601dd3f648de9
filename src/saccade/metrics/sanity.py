"""Sanity: does a map depend on the policy at all, or would random weights, or no network, give the same?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from saccade.metrics.checks import checked_map
from saccade.metrics.measures import correlation, is_constant, mean_ranks, overlap, shares, undefined_unless
from saccade.types import UserError

SIGMA = 0.25  # of the centre prior, as a fraction of each side


def rank_correlation(saliency: Tensor, other: Tensor) -> Tensor:
    """Return Spearman's correlation of the magnitudes of two maps over their pixels, -1..1; ties share their rank.

    Adebayo et al., 2018, use it to compare the map of a network with that of the same network with random weights:
    about 0 is good there, and near 1 means that the method shows the picture and not the policy.

    Args:
        saliency: ``[batch, height, width]``, or ``[batch, frame, height, width]`` to compare whole stacks.
        other: of the same shape.

    Returns:
        float64 ``[batch]``; NaN if either map is constant. Raises UserError for shapes that differ and for NaN.
    """
    axes = 4 if saliency.ndim == 4 else 3
    first = checked_map(saliency, axes=axes).flatten(1).abs()
    second = checked_map(other, name="other saliency map", axes=axes).flatten(1).abs()
    if saliency.shape != other.shape:
        raise UserError(f"Maps of shapes {tuple(saliency.shape)} and {tuple(other.shape)} cannot be compared.")
    defined = ~is_constant(first) & ~is_constant(second)
    return undefined_unless(defined, correlation(mean_ranks(first), mean_ranks(second)))


def likeness(saliency: Tensor, other: Tensor) -> Tensor:
    """Return the absolute ``rank_correlation``, from 0 (nothing in common) to 1 (the same order, or its reverse)."""
    return rank_correlation(saliency, other).abs()


def randomisation_curve(
    find: Callable[[nn.Module, Tensor], Tensor],
    network: nn.Module,
    obs: Tensor,
    views: Iterable[tuple[str, nn.Module]],
) -> list[tuple[str, Tensor]]:
    """Compare a map with those of the network's randomised views, layer after layer: ``[(layer, likeness [batch])]``.

    The cascading randomisation of Adebayo et al., 2018. Lower is better; see ``likeness``.

    Args:
        find: ``(network, obs) -> map [batch, height, width]`` or ``[batch, frame, height, width]``: the map of the
            policy with this network in its place. A score that is a distance must be made afresh for each network,
            because networks differ in their unperturbed output.
        views: pairs of a name and a network, such as ``saccade.nets.views.views.randomised`` yields.
    """
    original = find(network, obs)
    return [(name, likeness(original, find(view, obs))) for name, view in views]


def centre_correlation(saliency: Tensor) -> Tensor:
    """Return the rank correlation with a Gaussian at the centre, -1..1: near 1 the map only says "the centre".

    Lower is better, unless the task is at the centre. saliency ``[batch, height, width]``; NaN for a constant map.
    """
    checked_map(saliency)
    prior = centre_prior(saliency.shape[1], saliency.shape[2]).to(saliency.device)
    return rank_correlation(saliency, prior.expand_as(saliency))


def uniform_overlap(saliency: Tensor) -> Tensor:
    """Return the overlap of the map, normalised to sum 1, with a uniform one: near 0 if it is a point.

    A correlation with a constant map is not defined; this is the share of the positive mass that both have.
    saliency ``[batch, height, width]``; NaN if nothing is positive.
    """
    values = checked_map(saliency).flatten(1)
    return overlap(shares(values), torch.full_like(values, 1 / values.shape[1]))


def uniform_map(shape: tuple[int, ...]) -> Tensor:
    """Return a map that favours no pixel: ones, float64."""
    return torch.ones(shape, dtype=torch.float64)


def centre_prior(height: int, width: int, *, sigma: float = SIGMA) -> Tensor:
    """Return a Gaussian at the centre, ``[height, width]``, at most 1; ``sigma`` is a fraction of each side."""
    if not sigma > 0:
        raise UserError(f"sigma is {sigma}: the width of the centre prior must be a positive fraction of the side.")
    lines = []
    for side in (height, width):
        distance = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / (sigma * side)
        lines.append((-distance.square() / 2).exp())
    return lines[0][:, None] * lines[1]
