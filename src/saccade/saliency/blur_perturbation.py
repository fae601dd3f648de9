"""Saliency by local blurring (Greydanus et al., 2018)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from saccade.pixels.blur import blur_matrix, gaussian_blur
from saccade.saliency.batches import perturbed_batch_size, slices
from saccade.saliency.checks import check_frames, check_least, check_obs, check_positive
from saccade.saliency.perturbation import losses, perturbed_scores
from saccade.types import Score


@torch.no_grad()
def blur_perturbation(
    score: Score,
    obs: Tensor,
    *,
    radius: float = 5.0,
    blur: float = 3.0,
    stride: int = 5,
    frames: int = 1,
    max_batch: int = 256,
) -> Tensor:
    """Return how much the score drops when blurring around each grid point: ``[batch, frames, h, w]``.

    I' = I (1 - M) + G(I) M (equation 1), once per grid point. With the scores ``action_distance`` and
    ``value_distance`` it is the paper's actor and critic saliency, with ``kl`` DIGR's, with ``sarfa`` SARFA; for other
    scores it is score(clean) - score(perturbed).

    Args:
        radius: standard deviation in pixels of the mask M, a blurred disc of radius 1 whose largest value is 1.
        blur: standard deviation in pixels of the blur G.
        stride: pixels between grid points; the first is in the corner.
        frames: 1 blurs all channels together; n each of the stack's n frames alone, giving n maps.

    Raises:
        UserError: a number out of range, frames that do not divide the channels, a score that does not depend on the
            observation or is not one number per sample.
    """
    check_obs(obs, max_batch)
    check_positive("radius", radius)
    check_positive("blur", blur)
    check_least("stride", stride, 1)
    check_frames(frames, obs)
    rows, columns = (torch.arange(0, side, stride) for side in obs.shape[2:])
    blurred = gaussian_blur(obs, blur)
    masks = _masks(rows, columns, obs, radius, perturbed_batch_size(obs, max_batch))
    perturbed = [found for _, found in perturbed_scores(score, obs, blurred, masks, frames=frames, max_batch=max_batch)]
    lost = losses(score, obs, torch.cat(perturbed, -1), max_batch).unflatten(-1, (len(rows), len(columns)))
    # Deviation: the original enlarges, as a picture, an array whose last row and column stay empty, which moves the
    # values off their points; here each stays at its point, and beyond the last point the values continue unchanged.
    return (
        _between(len(rows), stride, obs.shape[2]).to(obs)
        @ lost
        @ _between(len(columns), stride, obs.shape[3]).to(obs).T
    )


def _masks(rows: Tensor, columns: Tensor, obs: Tensor, radius: float, at_most: int) -> Iterator[Tensor]:
    """Masks of all grid points, row by row, in blocks ``[n, h, w]``.

    A disc of radius 1 is a pixel and its four neighbours. Blurred, it is a sum of two products of a row profile and
    a column profile, since the Gaussian itself is such a product.
    """
    vertical, horizontal = (_profiles(side, radius).to(obs) for side in obs.shape[2:])
    points = torch.cartesian_prod(rows, columns).to(obs.device)
    for piece in slices(len(points), at_most):
        row, column = points[piece].unbind(1)
        (centre_row, beside_row), (centre_column, beside_column) = vertical[:, row], horizontal[:, column]
        left = torch.stack([centre_row, beside_row], -1)
        right = torch.stack([centre_column + beside_column, centre_column], 1)
        masks = left @ right
        yield masks / masks.amax((1, 2), keepdim=True)


def _profiles(side: int, sigma: float) -> Tensor:
    """``[2, side, side]``: for each position the blurred impulse there, and the sum of those at its two neighbours."""
    centre = blur_matrix(side, sigma).T
    beside = torch.zeros_like(centre)
    beside[1:] += centre[:-1]
    beside[:-1] += centre[1:]
    return torch.stack([centre, beside])


def _between(points: int, stride: int, side: int) -> Tensor:
    """The matrix ``[side, points]`` that interpolates linearly between points ``stride`` pixels apart."""
    position = (torch.arange(side, dtype=torch.float64) / stride).clamp(max=points - 1)
    return (1 - (position[:, None] - torch.arange(points)).abs()).clamp(min=0)
