"""Masks: the 0/1 thresholds of saliency maps, and observations seen through them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def largest_per_frame(attribution: Tensor, colours: int = 3) -> Tensor:
    """Reduce an attribution ``[batch, frames * colours, height, width]`` to ``[batch, frames, height, width]``.

    Largest absolute value over the colours of each frame (SGQN's published code).
    """
    batch, channels, height, width = attribution.shape
    # With each channel's pixels adjacent in memory the largest of three numbers is found twice as fast.
    return attribution.abs().contiguous().view(batch, channels // colours, colours, height, width).amax(2)


def quantile_mask(saliency: Tensor, quantile: float) -> Tensor:
    """Return True where a map is at or above its own quantile.

    saliency ``[batch, frames, height, width]`` -> bool of the same shape; each frame of each sample has its
    own threshold. Equal to ``saliency >= torch.quantile(...)`` with its ties, but by selecting
    the k-th largest value instead of sorting all: a map that is zero in more than ``quantile`` of its
    pixels has threshold 0 and a mask that is true everywhere.
    """
    flat = saliency.flatten(2)
    count = flat.shape[-1]
    # The smallest order statistic not below the interpolated quantile; 1e-6 tolerates rounding of q (n - 1).
    keep = count - math.ceil(quantile * (count - 1) - 1e-6)
    return saliency >= kth_largest(flat, keep)[..., None, None]


@torch.library.custom_op("saccade::kth_largest", mutates_args=())
def kth_largest(values: Tensor, k: int) -> Tensor:
    """Return the k-th largest number of each row ``[..., count]`` -> ``[...]``, k from 1 to count. Not differentiable.

    On a CPU it uses NumPy's selection, several times as fast as ``torch.topk``, which other devices use.
    """
    return torch.topk(values, k, dim=-1, sorted=False).values.amin(-1)


@kth_largest.register_kernel("cpu")
def _(values: Tensor, k: int) -> Tensor:
    place = values.shape[-1] - k
    if values.dtype == torch.bfloat16:
        ordered = _in_order(values.detach().contiguous().view(torch.int16).numpy())
        found = np.partition(ordered, place, axis=-1)[..., place]
        return torch.from_numpy(np.asarray(_in_order(found))).view(torch.bfloat16)  # of one row it is no array yet
    exact = values.detach() if values.dtype in (torch.float32, torch.float64) else values.detach().float()
    return torch.from_numpy(np.partition(exact.numpy(), place, axis=-1)[..., place].copy()).to(values.dtype)


def _in_order(bits: NDArray[np.int16]) -> NDArray[np.int16]:
    """Map the bits of 16-bit floats to integers in the same order, or back again."""
    return bits ^ ((bits >> 15) & np.int16(0x7FFF))


@kth_largest.register_fake
def _(values: Tensor, k: int) -> Tensor:
    return values.new_empty(values.shape[:-1])


def per_channel(mask: Tensor, colours: int = 3) -> Tensor:
    """Repeat a per-frame mask ``[batch, frames, height, width]`` for the colours of each frame."""
    return mask[:, :, None].expand(-1, -1, colours, -1, -1).flatten(1, 2)  # a view, where there is one frame


def fill_outside(obs: Tensor, mask: Tensor, fill: Tensor | float, colours: int = 3) -> Tensor:
    """Keep the pixels of a per-frame mask; write ``fill`` (0..255, broadcast) into the others.

    obs ``[batch, frames * colours, height, width]``; mask bool ``[batch, frames, height, width]``.
    """
    return torch.where(per_channel(mask, colours), obs, fill)
