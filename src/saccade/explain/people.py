"""Scores of maps against where people looked, frame by frame as FLS computes them (Nikulin et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saccade.data.atari_head.archive import HEIGHT, WIDTH
from saccade.data.atari_head.folder import Trial
from saccade.explain.measuring import CENTRE, UNIFORM
from saccade.explain.trials import Watched
from saccade.metrics import METRICS
from saccade.metrics.gaze import blurred
from saccade.metrics.sanity import centre_prior, uniform_map

OTHERS = "baseline: other trials"
"""Where people look in this game regardless of what is shown: the gaze of its other trials, blurred."""

PEOPLE = tuple(name for name, metric in METRICS.items() if metric.question == "people")
AT_ONCE = 64  # observations scored together


def people_scores(saliency: Tensor, fixations: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Return every metric of the question ``people`` as in FLS, float64 ``[batch]``; NaN where a map is not finite.

    Args:
        saliency: ``[batch, height, width]`` of the frame that people saw; ``fixations`` and ``others`` have the same
            shape and count gaze samples while it was shown, and while others were.
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
    """Resize maps ``[batch, h, w]`` to the size of the screen, in float64: bilinear, with half-pixel centres."""
    return F.interpolate(torch.as_tensor(maps).double()[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def baselines_for(trial: Trial, looked: Mapping[int, NDArray[np.float64]]) -> dict[str, Tensor]:
    """Return maps ``[height, width]`` that know nothing about the policy or about what is shown."""
    made = {UNIFORM: uniform_map((HEIGHT, WIDTH)), CENTRE: centre_prior(HEIGHT, WIDTH)}
    others = [counts for number, counts in looked.items() if number != trial.number]
    if others:
        made[OTHERS] = blurred(torch.as_tensor(np.sum(others, axis=0))[None])[0]
    return made


def scores_of(watched: Watched, chosen: NDArray[np.int64], maps: Tensor | NDArray[np.float32]) -> dict[str, Tensor]:
    """Return every score of the question ``people``, ``[chosen]``; ``maps`` are as many, or one for all."""
    parts: dict[str, list[Tensor]] = {name: [] for name in PEOPLE}
    for first in range(0, len(chosen), AT_ONCE):
        some = chosen[first : first + AT_ONCE]
        if isinstance(maps, Tensor):
            saliency = maps.double().expand(len(some), -1, -1)
        else:
            saliency = on_screen(maps[first : first + AT_ONCE], (HEIGHT, WIDTH))
        fixations = torch.as_tensor(watched.fixations(some[:, None]))
        for name, values in people_scores(saliency, fixations, torch.as_tensor(watched.elsewhere(some))).items():
            parts[name].append(values)
    return {name: torch.cat(values) for name, values in parts.items()}
