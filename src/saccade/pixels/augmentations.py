"""The image augmentations of the benchmark's methods, as functions of given random numbers.

Observations are ``[batch, frames * 3, height, width]`` in 0..255, oldest frame first. Nothing here
draws: offsets, kernels and images are arguments, so that an update can be repeated, compiled and
compared with a recorded one. The ``draw_*`` functions make those arguments from a generator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def crop_at(obs: Tensor, offsets: Tensor, size: int) -> Tensor:
    """Cut one ``size`` x ``size`` window from each sample.

    offsets: integers ``[batch, 2]``, the window's top and left pixel, 0 .. height - size.
    All frames of a sample are cut at the same place. Any dtype.
    """
    windows = obs.unfold(2, size, 1).unfold(3, size, 1)  # a view: [batch, channel, top, left, size, size]
    rows = torch.arange(obs.shape[0], device=obs.device)
    return windows[rows, :, offsets[:, 0], offsets[:, 1]]


def shift_at(obs: Tensor, offsets: Tensor, pad: int) -> Tensor:
    """Apply the shift of DrQ (Yarats et al., 2021): replicate-pad, then crop the old size at ``offsets`` 0..2 pad."""
    if pad == 0:
        return obs
    height, width = obs.shape[-2:]
    top, left = (offsets - pad).unbind(1)
    # The pixel that each one comes from: beyond the border the nearest one inside, which is what padding repeats.
    rows = (top[:, None] + torch.arange(height, device=obs.device)).clamp(0, height - 1)
    columns = (left[:, None] + torch.arange(width, device=obs.device)).clamp(0, width - 1)
    first = torch.arange(0, len(obs) * height * width, height * width, device=obs.device)
    places = first[:, None, None] + rows[:, :, None] * width + columns[:, None, :]
    # A pixel's channels, adjacent in memory, are moved together, which is faster, and convolutions prefer them so.
    pixels = obs.permute(0, 2, 3, 1).flatten(0, 2)
    return pixels.index_select(0, places.flatten()).view(len(obs), height, width, -1).permute(0, 3, 1, 2)


def draw_offsets(batch_size: int, count: int, generator: Generator) -> Tensor:
    """Draw uniform window positions ``[batch_size, 2]`` in 0 .. count - 1."""
    return torch.randint(count, (batch_size, 2), generator=generator, device=generator.device)


def center_crop(obs: Tensor, size: int) -> Tensor:
    """Return the middle ``size`` x ``size`` window; the observation itself if it already has that size."""
    top, left = (obs.shape[-2] - size) // 2, (obs.shape[-1] - size) // 2
    if top == 0 and left == 0 and obs.shape[-1] == size:
        return obs
    return obs[..., top : top + size, left : left + size]


def rotate_by(obs: Tensor, degrees: Tensor) -> Tensor:
    """Rotate each sample about the picture's middle, all its frames alike; what was outside repeats the nearest border.

    obs: float 0..255; degrees: ``[batch]``, positive is anticlockwise. Bilinear between pixels.
    """
    angle = torch.deg2rad(degrees).to(obs.dtype)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    places = F.affine_grid(turn, list(obs.shape), align_corners=False)
    return F.grid_sample(obs, places, padding_mode="border", align_corners=False)


def random_overlay(obs: Tensor, images: Tensor, opacity: float = 0.5) -> Tensor:
    """Blend one image into all frames of each sample (SODA, Hansen and Wang, 2021).

    obs: float 0..255; images: float ``[batch, 3, height, width]`` in 0..255.
    """
    frames = obs.shape[1] // 3
    return torch.lerp(obs, images.to(obs.dtype).repeat(1, frames, 1, 1), opacity)


def shifted_overlay(obs: Tensor, images: Tensor, velocities: Tensor, opacity: float = 0.5) -> Tensor:
    """Blend a window that moves over one image into the frames of each sample (SimGRL, Song et al., 2024).

    The oldest frame gets the middle of the image, and every later one a window ``velocities`` pixels further on.

    obs: float 0..255; images: float ``[batch, 3, side, side]`` in 0..255, with room for the last window; velocities:
    integers ``[batch, 2]``, pixels per frame down and to the right.
    """
    size, frames = obs.shape[-1], obs.shape[1] // 3
    middle = (images.shape[-1] - size) // 2
    windows = [crop_at(images, middle + frame * velocities, size) for frame in range(frames)]
    return torch.lerp(obs, torch.cat(windows, dim=1).to(obs.dtype), opacity)


def draw_velocities(batch_size: int, fastest: int, generator: Generator) -> Tensor:
    """Draw uniform whole velocities ``[batch_size, 2]`` in -fastest..fastest."""
    return torch.randint(-fastest, fastest + 1, (batch_size, 2), generator=generator, device=generator.device)


def draw_convolutions(batch_size: int, generator: Generator) -> Tensor:
    """Draw standard normal kernels ``[batch_size, 3, 3, 3, 3]`` for ``random_convolution``."""
    return torch.randn((batch_size, 3, 3, 3, 3), generator=generator, device=generator.device)


def random_convolution(obs: Tensor, kernels: Tensor) -> Tensor:
    """Apply a random 3x3 colour convolution per sample, the same on its frames (SVEA, Hansen et al., 2021).

    As in the published code the result passes through a sigmoid and is scaled back to 0..255.
    obs: float 0..255; kernels: ``[batch, 3, 3, 3, 3]``.
    """
    batch, channels, height, width = obs.shape
    planes = F.pad(obs / 255.0, (1, 1, 1, 1), mode="replicate").unflatten(1, (channels // 3, 3))
    # A kernel per sample: as products of small matrices three times as fast as a convolution of as many groups.
    windows = planes.unfold(3, 3, 1).unfold(4, 3, 1)  # a view [batch, frame, colour, height, width, 3, 3]
    patches = windows.permute(0, 2, 5, 6, 1, 3, 4).reshape(batch, 27, -1)
    mixed = torch.bmm(kernels.reshape(batch, 3, 27), patches)
    mixed = mixed.view(batch, 3, channels // 3, height, width).transpose(1, 2).reshape(obs.shape)
    return torch.sigmoid(mixed) * 255.0
