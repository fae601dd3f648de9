"""Faithfulness: does the policy use what a map shows? Its output is compared as the most salient pixels go or remain.

Pixels are ranked by ``saliency [batch, height, width]``, all channels of a pixel together; equal values come in an
order drawn once, so that a constant map means random pixels and not the first rows of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from saccade.metrics.checks import checked_map
from saccade.metrics.measures import undefined_unless
from saccade.types import Score, UserError

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
ORDER_OF_TIES = 0  # the seed that orders them


@final
@dataclass(frozen=True)
class Curve:
    """How far a policy's output moves from that at the whole observation, as more of its pixels are hidden or shown.

    Attributes:
        fraction: of the pixels, the most salient ones first, that were hidden or shown.
        divergence: float64 ``[batch, fraction]``: 0 at the observation itself; if normalised, 1 at the wholly filled
            one, and NaN if the policy's output is the same there.
    """

    fraction: tuple[float, ...]
    divergence: Tensor

    @property
    def area(self) -> Tensor:
        """Return the mean height of each curve, by trapezoids: ``[batch]``."""
        at = torch.tensor(self.fraction, dtype=torch.float64, device=self.divergence.device)
        return torch.trapezoid(self.divergence, at) / (self.fraction[-1] - self.fraction[0])


def deletion(
    score: Score,
    obs: Tensor,
    saliency: Tensor,
    *,
    fill: Tensor | float,
    fractions: Sequence[float] = FRACTIONS,
    max_batch: int = 256,
    normalise: bool = True,
) -> Curve:
    """Hide the most salient pixels: a faithful map changes the policy early, so a larger area is better.

    The deletion metric of RISE (Petsiuk et al., 2018) follows the probability of a class, so that less is
    better there; here it is the policy's divergence, which all kinds of policies have.

    Args:
        score: their score, with ``distance=True`` (``kl``, ``action_distance``, ``value_distance``).
        obs: float ``[batch, channel, height, width]``.
        saliency: ``[batch, height, width]``.
        fill: what hidden pixels show: a number or anything that broadcasts to ``obs``, such as its blurred version.
        fractions: increasing, in 0..1.
        max_batch: most observations that go through the network at once; results do not depend on it.
        normalise: divide each curve by the divergence of the wholly filled observation, which can be small by chance;
            without it curves of several maps can be divided by a common scale.

    Raises:
        UserError: the score is no distance, shapes do not fit, or the network or the map is not finite.
    """
    return _curve(score, obs, saliency, fill, fractions, max_batch, hide_top=True, normalise=normalise)


def insertion(
    score: Score,
    obs: Tensor,
    saliency: Tensor,
    *,
    fill: Tensor | float,
    fractions: Sequence[float] = FRACTIONS,
    max_batch: int = 256,
    normalise: bool = True,
) -> Curve:
    """Show only the most salient pixels: a faithful map soon restores the policy's output, so a smaller area is better.

    Arguments, source and the difference from it are as for ``deletion``.
    """
    return _curve(score, obs, saliency, fill, fractions, max_batch, hide_top=False, normalise=normalise)


def deletion_area(score: Score, obs: Tensor, saliency: Tensor, fill: Tensor | float) -> Tensor:
    """Return the area under ``deletion``: float64 ``[batch]``, from 0 (the policy never changes); higher is better."""
    return deletion(score, obs, saliency, fill=fill).area


def insertion_area(score: Score, obs: Tensor, saliency: Tensor, fill: Tensor | float) -> Tensor:
    """Return the area under ``insertion``: float64 ``[batch]``, from 0 (restored at once); lower is better."""
    return insertion(score, obs, saliency, fill=fill).area


def kept_pixels(obs: Tensor, saliency: Tensor, fraction: Tensor | float, fill: Tensor | float) -> Tensor:
    """Return observations with only the most salient fraction of the pixels left; the others show ``fill``.

    ``fraction`` is a number in 0..1, or one per sample ``[batch]``; the rest is as for ``deletion``.
    """
    rank = _ranks(saliency, obs)
    share = torch.as_tensor(fraction, dtype=torch.float64, device=obs.device)
    if share.shape not in ((), (len(obs),)) or not bool(((share >= 0) & (share <= 1)).all()):
        raise UserError(
            f"The fraction of pixels to keep is {fraction}: it must be in 0..1, one number or one per sample."
        )
    shown = rank < _num_pixels(share, rank).reshape(-1, 1, 1, 1)
    return torch.where(shown, obs, _filling(fill, obs))


@torch.no_grad()
def _curve(
    score: Score,
    obs: Tensor,
    saliency: Tensor,
    fill: Tensor | float,
    fractions: Sequence[float],
    max_batch: int,
    *,
    hide_top: bool,
    normalise: bool,
) -> Curve:
    if not score.distance:
        raise UserError(
            "Insertion and deletion measure how far the policy moves: give a score that is a distance, "
            "such as kl, action_distance or value_distance."
        )
    _check_fractions(fractions)
    # Deviation: RISE follows the probability of a class; a policy's divergence also exists for continuous actions.
    if max_batch < 1:
        raise UserError(f"max_batch is {max_batch}: it must be at least 1.")
    rank, filling = _ranks(saliency, obs), _filling(fill, obs)
    at = torch.tensor(fractions, dtype=torch.float64, device=obs.device)
    counts = _num_pixels(at, rank)
    # The last entry measures the wholly filled observation, whatever the fractions are.
    counts = torch.cat([counts, counts.new_tensor([rank[0].numel() if hide_top else 0])])
    flat = torch.arange(len(obs) * len(counts), device=obs.device)
    parts = []
    for chunk in flat.split(max_batch):
        sample, place = chunk // len(counts), chunk % len(counts)
        top = rank[sample] < counts[place].view(-1, 1, 1, 1)
        seen = torch.where(top != hide_top, obs[sample], filling[sample])
        parts.append(_divergence(score.rows(sample), seen))
    height = torch.cat(parts).view(len(obs), len(counts))
    whole, shown = height[:, -1:], height[:, :-1]
    divergence = undefined_unless(whole > 0, shown / whole) if normalise else shown
    return Curve(tuple(float(fraction) for fraction in fractions), divergence)


def _divergence(score: Score, obs: Tensor) -> Tensor:
    found = score(obs).double()
    if found.shape != (len(obs),):
        raise UserError(
            f"The score gave shape {tuple(found.shape)} for {len(obs)} observations: it must give one each."
        )
    if not bool(found.isfinite().all()):
        raise UserError("The policy's divergence is NaN or infinite: look for NaN in the network's weights.")
    return found.clamp(min=0.0)  # rounding may leave a KL slightly below zero


def _check_fractions(fractions: Sequence[float]) -> None:
    rising = all(less < more for less, more in pairwise(fractions))
    if len(fractions) < 2 or fractions[0] < 0 or fractions[-1] > 1 or not rising:
        raise UserError(f"The fractions {tuple(fractions)} must be at least two numbers, increasing, in 0..1.")


def _ranks(saliency: Tensor, obs: Tensor) -> Tensor:
    """Long ``[batch, 1, height, width]``: 0 for the most salient pixel of a sample, 1 for the next, and so on."""
    values = checked_map(saliency)
    if obs.ndim != 4 or not obs.is_floating_point() or (len(obs), *obs.shape[2:]) != tuple(values.shape):
        raise UserError(
            f"The observation is {obs.dtype} of shape {tuple(obs.shape)}, the saliency map "
            f"{tuple(values.shape)}: they must be float [batch, channel, height, width] and [batch, height, width]."
        )
    flat = values.flatten(1)
    generator = torch.Generator().manual_seed(ORDER_OF_TIES)
    shuffled = torch.randperm(flat.shape[1], generator=generator).to(flat.device)
    order = shuffled[flat[:, shuffled].sort(stable=True, dim=-1, descending=True).indices]
    place = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, place).view(values.shape)[:, None]


def _num_pixels(fraction: Tensor, rank: Tensor) -> Tensor:
    return (fraction * rank[0].numel()).round().long()


def _filling(fill: Tensor | float, obs: Tensor) -> Tensor:
    """``fill`` in the shape of the observations."""
    values = torch.as_tensor(fill, dtype=obs.dtype, device=obs.device)
    fits = values.ndim <= obs.ndim and all(
        side in (1, whole) for side, whole in zip(values.shape[::-1], obs.shape[::-1], strict=False)
    )
    if not fits or not bool(values.isfinite().all()):
        raise UserError(
            f"The fill of hidden pixels has shape {tuple(values.shape)}: it must be finite and broadcast to the "
            f"observations' {tuple(obs.shape)}."
        )
    return values.expand_as(obs)
