"""Occlusion (Zeiler and Fergus, 2014)."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, slices
from saccade.saliency.checks import check_frames, check_least, check_obs
from saccade.saliency.perturbation import losses, perturbed_scores
from saccade.types import Score, UserError


@torch.no_grad()
def occlusion(
    score: Score,
    obs: Tensor,
    *,
    window: int = 8,
    stride: int = 4,
    fill: float = 0.0,
    frames: int = 1,
    max_batch: int = 256,
) -> Tensor:
    """Return the drop of the score when a square is filled, averaged over those at a pixel: ``[batch, frames, h, w]``.

    Args:
        window: side of the squares in pixels; the last of a row or column may extend past the edge.
        stride: pixels between squares, at most ``window``.
        fill: the value written into them.
        frames: 1 fills all channels together; n each of the stack's n frames alone, giving n maps.

    Raises:
        UserError: a number out of range, frames that do not divide the channels, a score that does not depend on the
            observation or is not one number per sample.
    """
    check_obs(obs, max_batch)
    check_least("window", window, 1)
    check_least("stride", stride, 1)
    check_frames(frames, obs)
    height, width = obs.shape[2:]
    if window > min(height, width):
        raise UserError(f"window {window} is larger than the picture of {width}x{height} pixels: use a smaller one.")
    if stride > window:
        raise UserError(f"stride {stride} leaves pixels between windows of {window}: use {window} or less.")
    inside_rows, inside_columns = (_inside(side, window, stride).to(obs) for side in (height, width))
    points = torch.cartesian_prod(*(torch.arange(len(inside)) for inside in (inside_rows, inside_columns))).to(
        obs.device
    )

    def masks(piece: slice) -> Tensor:
        row, column = points[piece].unbind(1)
        return inside_rows[row][:, :, None] * inside_columns[column][:, None, :]

    blocks = (masks(piece) for piece in slices(len(points), batch_size(obs, max_batch)))
    filled = torch.full_like(obs[:1], fill)
    perturbed = [found for _, found in perturbed_scores(score, obs, filled, blocks, frames=frames, max_batch=max_batch)]
    lost = losses(score, obs, torch.cat(perturbed, -1), max_batch).unflatten(
        -1, (len(inside_rows), len(inside_columns))
    )
    # Each pixel's sum over the windows that contain it is a matrix product, since windows are rows times columns.
    return (inside_rows.T @ lost @ inside_columns) / torch.outer(inside_rows.sum(0), inside_columns.sum(0))


def _inside(side: int, window: int, stride: int) -> Tensor:
    """``[positions, side]``: 1 where the window at a position contains a pixel; the windows cover the whole side."""
    start = torch.arange(0, side - window + stride, stride)[:, None]
    pixel = torch.arange(side)
    return ((pixel >= start) & (pixel < start + window)).float()
