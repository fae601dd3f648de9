"""SmoothGrad (Smilkov et al., 2017) and VarGrad (Adebayo et al., 2018): mean and variance of gradients under noise."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.saliency.batches import batch_size, in_fast_layout, rows_of, slices
from saccade.saliency.checks import check_gradient_explains, check_least, check_obs
from saccade.saliency.gradient import derivative
from saccade.saliency.guided_backpropagation import guided as guided_score
from saccade.saliency.guided_backpropagation import guided_derivative
from saccade.types import Score


def smooth_gradient(
    score: Score,
    obs: Tensor,
    *,
    guided: bool = False,
    noise: float = 0.15,
    samples: int = 20,
    magnitude: bool = False,
    seed: int = 0,
    max_batch: int = 256,
) -> Tensor:
    """Return the mean gradient of ``samples`` noisy copies of each observation, in the shape of ``obs``.

    Args:
        guided: use guided backpropagation instead of the plain gradient, as DIGR compares with.
        noise: standard deviation of the added normal noise, in units of each observation's brightest minus darkest
            value. Noisy pixels may leave the pixel range.
        magnitude: average absolute gradients, for display; else signed ones.
        seed: of the noise, which is the same for every observation and on every device.

    Raises:
        UserError: what ``gradient`` refuses (if guided, ``guided_backpropagation``), negative noise, samples below 1.
    """
    check_least("samples", samples, 1)
    mean, _ = _moments(score, obs, guided, noise, samples, magnitude, seed, max_batch)
    return mean


def variance_of_gradients(
    score: Score,
    obs: Tensor,
    *,
    guided: bool = False,
    noise: float = 0.15,
    samples: int = 20,
    seed: int = 0,
    max_batch: int = 256,
) -> Tensor:
    """Return E[g^2] - E[g]^2 of the gradients that ``smooth_gradient`` averages, 0 or more, in the shape of ``obs``.

    Raises:
        UserError: what ``smooth_gradient`` refuses, or samples below 2.
    """
    check_least("samples", samples, 2)
    # A small difference of large squares needs double precision.
    mean, mean_square = _moments(score, obs, guided, noise, samples, False, seed, max_batch, dtype=torch.float64)
    return (mean_square - mean.square()).clamp(min=0).to(obs.dtype)


def _moments(
    score: Score,
    obs: Tensor,
    guided: bool,
    noise: float,
    samples: int,
    magnitude: bool,
    seed: int,
    max_batch: int,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Means of the noisy gradients and, if a ``dtype`` to add up in is given, of their squares."""
    check_obs(obs, max_batch)
    check_gradient_explains(score)
    check_least("noise", noise, 0)
    run = in_fast_layout(guided_derivative if guided else derivative)
    seen = guided_score(score) if guided else score
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((samples, *obs.shape[1:]), generator=generator).to(obs)
    total = torch.zeros_like(obs, dtype=dtype or obs.dtype)
    total_square = torch.zeros_like(total)
    at_once = batch_size(obs, max_batch)
    for group in slices(len(obs), at_once):
        part = obs[group]
        spread = noise * (part.amax((1, 2, 3)) - part.amin((1, 2, 3)))
        for copies in slices(samples, max(1, at_once // len(part))):
            count = copies.stop - copies.start
            noisy = part[:, None] + spread[:, None, None, None, None] * drawn[copies]
            found = run(rows_of(seen, group, obs, count), noisy.flatten(0, 1)).unflatten(0, (len(part), count))
            found = found.abs() if magnitude else found
            total[group] += found.sum(1, dtype=total.dtype)
            if dtype is not None:
                total_square[group] += found.to(dtype).square().sum(1)
    return total / samples, total_square / samples
