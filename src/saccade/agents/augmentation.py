"""Strong augmentations: what a method does to an observation so that its distractions change and its meaning stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Generator, Tensor

from saccade.agents.agent import Prepare, with_drawn
from saccade.pixels.augmentations import draw_convolutions, random_convolution, random_overlay
from saccade.types import Batch, UserError

Images = Callable[[int, int, Generator], Tensor]
"""``(count, size, generator) -> [count, 3, size, size]`` in 0..255: pictures to blend into observations.

Every ``make_<method>`` takes such a source; those that do not overlay ignore it.
"""

Augment = Callable[[Tensor, Generator], Tensor]
"""``(obs [batch, frames * 3, height, width] in 0..255, generator) -> augmented obs``; draws its own random numbers."""


@dataclass(frozen=True)
class Augmentation:
    """Which strong augmentation a method uses, and its numbers; any method may use any of them."""

    augmentation: Literal["overlay", "random_convolution"] = "overlay"
    """The strong augmentation: a picture blended in, or a random convolution of the colours."""
    overlay_opacity: float = 0.5
    """Share of the picture that is blended in."""

    @property
    def overlays(self) -> bool:
        """Whether it needs pictures."""
        return self.augmentation == "overlay"


def make_augment(config: Augmentation, images: Images | None) -> Augment:
    """The augmentation that a configuration names. Raises UserError where it needs pictures and there are none."""
    if config.augmentation == "random_convolution":
        return convolution
    return overlay(images, config.overlay_opacity)


def overlay(images: Images | None, opacity: float) -> Augment:
    """Random overlay as an augmentation that draws its own pictures."""
    if images is None:
        raise UserError("This method blends pictures into observations and was given none: pass a bank of images.")

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        return random_overlay(obs, images(len(obs), obs.shape[-1], generator), opacity)

    return augment


def convolution(obs: Tensor, generator: Generator) -> Tensor:
    """Random convolution as an augmentation that draws its own kernels."""
    return random_convolution(obs, draw_convolutions(len(obs), generator))


def draw_augmented(augment: Augment) -> Prepare:
    """Adds the drawn tensor ``augmented_obs``: a strongly augmented copy of obs."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        return with_drawn(batch, augmented_obs=augment(batch.obs, generator))

    return prepare
