"""What a method is given from outside: pictures to blend, a policy to learn from, saliency to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from saccade.agents.parts.augmentation import Images
from saccade.types import UserError


@final
@dataclass(frozen=True)
class Teacher:
    """A policy that a student learns from, as plain functions of observations.

    Attributes:
        name: its name in messages.
        outputs: ``obs [batch, channels, height, width]`` in 0..255 -> logits ``[batch, actions]``, or the mean and the
            logarithm of the standard deviation ``[batch, 2, dims]`` of a Gaussian, before any squashing.
        squashed: whether it squashes samples of its Gaussian by tanh.
    """

    name: str
    outputs: Callable[[Tensor], Tensor]
    squashed: bool = False


@final
@dataclass(frozen=True)
class SaliencyData:
    """States, and a saliency map of each, which a student's gradient should match.

    Attributes:
        states: uint8 ``[n, channels, height, width]``, on the device that learns.
        maps: float32 ``[n, height, width]`` in 0..1, whose largest value is 1; larger is more salient.
    """

    states: Tensor
    maps: Tensor


@final
@dataclass(frozen=True)
class Given:
    """Everything that a method may be given; most methods use none of it.

    Attributes:
        images: draws pictures to blend into observations.
        teacher: the policy to learn from; an agent that only acts needs none.
        saliency: of the teacher, or from a better source.
    """

    images: Images | None = None
    teacher: Teacher | None = None
    saliency: SaliencyData | None = None

    def needed_teacher(self) -> Teacher:
        """Return the teacher. Raises UserError if there is none."""
        if self.teacher is None:
            raise UserError("This method learns from a teacher, but was given none: name one with --teacher.")
        return self.teacher


NOTHING = Given()
