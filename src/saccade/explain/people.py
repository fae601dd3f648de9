"""Scores of maps against where people looked, frame by frame as FLS computes them (Nikulin et al., 2019)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saccade.metrics import METRICS

PEOPLE = tuple(name for name, metric in METRICS.items() if metric.question == "people")


def people_scores(saliency: Tensor, fixations: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Every metric of the question ``people``, float64 ``[batch]``; NaN too where a map is not finite, as in FLS.

    Args:
        saliency: ``[batch, height, width]`` of the frame that people saw; ``fixations`` and ``others`` alike: counts of
            gaze samples while it was shown, and while others were.
    """
    finite = saliency.isfinite().flatten(1).all(1)
    given = {
        "saliency": torch.where(finite[:, None, None], saliency, 0.0),
        "fixations": fixations,
        "other_fixations": others,
    }
    found = {name: METRICS[name].function(*(given[argument] for argument in METRICS[name].takes)) for name in PEOPLE}
    return {name: torch.where(finite, values, torch.nan) for name, values in found.items()}


def on_screen(maps: NDArray[np.float32], size: tuple[int, int]) -> Tensor:
    """Maps ``[batch, h, w]`` as large as the screen, in float64: bilinear, with half-pixel centres."""
    return F.interpolate(torch.as_tensor(maps).double()[:, None], size, mode="bilinear", align_corners=False)[:, 0]
