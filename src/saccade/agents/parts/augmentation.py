"""Strong augmentations: changes of an observation that leave its meaning as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from saccade.agents.agent import Prepare, with_drawn
from saccade.agents.configs import Augmentation
from saccade.pixels.augmentations import (
    draw_convolutions,
    draw_velocities,
    random_convolution,
    random_overlay,
    shifted_overlay,
)
from saccade.pixels.frequency import draw_ring, mask_spectrum
from saccade.types import UserError

COLOURS = 3  # of the frames that augmentations change

Images = Callable[[int, int, Generator], Tensor]
"""``(count, size, generator) -> [count, 3, size, size]`` in 0..255: pictures to blend into observations.

Every ``make_<method>`` takes such a source; those that do not overlay ignore it.
"""

Augment = Callable[[Tensor, Generator], Tensor]
"""``(obs [batch, frames * 3, height, width] in 0..255, generator) -> augmented obs``; draws its own random numbers."""


def make_augment(config: Augmentation, images: Images | None) -> Augment:
    """Return the augmentation that a configuration names. Raises UserError if it needs pictures and there are none."""
    if config.augmentation == "random_convolution":
        return convolution
    if config.augmentation == "spectrum":
        return spectrum(config.spectrum_probability, config.spectrum_frequency, config.spectrum_width)
    if images is None:
        raise UserError("This method blends pictures into observations but was given none: pass a bank of images.")
    if config.augmentation == "shifted_overlay":
        return moving_overlay(images, config.overlay_opacity, config.overlay_velocity)
    return overlay(images, config.overlay_opacity)


def overlay(images: Images, opacity: float) -> Augment:
    """Return random overlay as an augmentation that draws its own pictures."""

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        return random_overlay(obs, images(len(obs), obs.shape[-1], generator), opacity)

    return augment


def moving_overlay(images: Images, opacity: float, fastest: int) -> Augment:
    """Return shifted overlay as an augmentation that draws its own pictures, large enough to move at full speed."""

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        room = obs.shape[-1] + 2 * fastest * (obs.shape[1] // 3)
        pictures = images(len(obs), room, generator)
        return shifted_overlay(obs, pictures, draw_velocities(len(obs), fastest, generator), opacity)

    return augment


def spectrum(probability: float, frequency: float, width: float) -> Augment:
    """Return frequency masking as an augmentation that draws its own ring, for a whole batch at once."""

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        low, high = draw_ring(frequency, width, generator)
        chosen, obs = torch.rand((), generator=generator, device=generator.device) < probability, obs.float()
        # An empty ring changes nothing, but for rounding errors.
        return torch.where(chosen & (high > low), mask_spectrum(obs, low, high), obs)

    return augment


def convolution(obs: Tensor, generator: Generator) -> Tensor:
    """Apply random convolution: an augmentation that draws its own kernels."""
    return random_convolution(obs.float(), draw_convolutions(len(obs), generator))


def in_colours(augment: Augment, colours: int) -> Augment:
    """Return an augmentation of colour frames for frames of one channel, taken as grey; the result is averaged."""
    if colours == COLOURS:
        return augment

    def augment_grey(obs: Tensor, generator: Generator) -> Tensor:
        coloured = augment(obs.repeat_interleave(COLOURS, dim=1), generator)
        return coloured.unflatten(1, (-1, COLOURS)).mean(2)

    return augment_grey


def draw_augmented(augment: Augment) -> Prepare[Any]:
    """Add the drawn tensor ``augmented_obs``: a strongly augmented copy of obs."""

    def prepare(batch: Any, generator: Generator) -> Any:
        return with_drawn(batch, augmented_obs=augment(batch.obs, generator))

    return prepare
