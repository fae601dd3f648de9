"""MI-FGSM: small steps along a sum of all gradients on the way (Dong et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.attacks.ascent import ascended, beginning
from saccade.attacks.box import Box
from saccade.attacks.noise import Noise
from saccade.types import Score


def mi_fgsm(score: Score, box: Box, noise: Noise, *, steps: int = 10, momentum: float = 1.0) -> Tensor:
    """Take ``m = momentum * m + g / mean|g|``, ``x = P(x + budget / steps * sign m)``, starting from the clean picture.

    The paper divides by the sum of ``|g|``, which is the same attack: ``m`` differs by a constant factor.
    """
    memory = torch.zeros_like(box.clean)

    def remembered(gradient: Tensor, step: int) -> Tensor:
        nonlocal memory
        size = gradient.abs().mean((1, 2, 3), keepdim=True)
        memory = momentum * memory + gradient / size.clamp(min=torch.finfo(size.dtype).tiny)
        return memory

    size = box.radius / steps
    # Deviation: a distance starts one random step away, because its gradient is zero at the clean picture.
    start = beginning(score, box, noise, size)
    return ascended(score, box, start, steps=steps, size=size, direction=remembered)
