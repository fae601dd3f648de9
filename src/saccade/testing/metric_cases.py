"""Inputs to check a metric with: maps that must be best, middling (chance) and worst."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from saccade.metrics import Metric
from saccade.metrics.gaze import blurred
from saccade.types import Score, UserError

BATCH, FRAMES, HEIGHT, WIDTH = 24, 3, 30, 26
PER_FRAME = "frame_"  # prefix of inputs with a map for each frame
Inputs = dict[str, Any]


class Cases(NamedTuple):
    """Inputs by name on which a metric must be best, middling and worst; each has a row for every sample."""

    best: Inputs
    middle: Inputs
    worst: Inputs


def cases_for(metric: Metric) -> Cases:
    """Return inputs for a metric of truth, people or faithfulness. Raises UserError for another question."""
    match metric.question:
        case "truth":
            return against_truth(*((FRAMES,) if metric.takes[0].startswith(PER_FRAME) else ()))
        case "people":
            return against_gaze()
        case "faithfulness":
            return against_the_policy()
    raise UserError(
        f"No inputs are known for a metric of {metric.question}: give cases=Cases(best, middle, worst), each with "
        f"{', '.join(metric.takes)}."
    )


def noise(*shape: int, seed: int) -> Tensor:
    """Return uniform noise ``[batch, *shape]``."""
    return torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(seed))


def rectangles(*axes: int, seed: int) -> Tensor:
    """Return bool ``[batch, *axes, height, width]``: a rectangle in each frame, of different size and place."""
    corner = noise(*axes, 4, seed=seed)
    rows, columns = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    top, left = corner[..., 0] * 15, corner[..., 1] * 12
    bottom, right = top + 4 + corner[..., 2] * 8, left + 4 + corner[..., 3] * 8
    top, left, bottom, right = (side[..., None, None] for side in (top, left, bottom, right))
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


def against_truth(*axes: int) -> Cases:
    """Return the truth itself, noise, and its opposite; ``axes`` are those of the frames, if each has a map."""
    prefix = PER_FRAME if axes else ""
    truth = rectangles(*axes, seed=0)
    ignore = rectangles(*axes, seed=1) & ~truth
    perfect = truth.float()

    def inputs(saliency: Tensor) -> Inputs:
        return {f"{prefix}saliency": saliency, f"{prefix}truth": truth, f"{prefix}ignore": ignore}

    return Cases(inputs(perfect), inputs(noise(*axes, HEIGHT, WIDTH, seed=2)), inputs(1 - perfect))


def against_gaze() -> Cases:
    """Return where people looked, noise, and everywhere else; at other times they look elsewhere."""
    fixations = torch.zeros(BATCH, HEIGHT, WIDTH)
    fixations[:, 8:11, 8:11] = (noise(3, 3, seed=3) * 4).round()
    fixations[:, 8, 8] += 1
    elsewhere, perfect = fixations.flip(1), blurred(fixations)

    def inputs(saliency: Tensor) -> Inputs:
        return {"saliency": saliency, "fixations": fixations, "other_fixations": elsewhere}

    worst = perfect.amax((1, 2), keepdim=True) * 1.01 - perfect
    return Cases(inputs(perfect), inputs(noise(HEIGHT, WIDTH, seed=4)), inputs(worst))


class _Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(noise(HEIGHT, WIDTH, seed=5)[0])

    def forward(self, obs: Tensor) -> Tensor:
        return (obs[:, 0] * self.weight).flatten(1).sum(-1)


def _half_square(network: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    return 0.5 * (network(obs) - clean).square()


def against_the_policy() -> Cases:
    """Return how hiding each pixel changes a linear policy, noise, and the opposite."""
    network, obs = _Linear(), noise(1, HEIGHT, WIDTH, seed=6) + 0.5
    score = Score(network, _half_square, (network(obs).detach(),), distance=True)
    perfect = (network.weight * obs[:, 0]).detach()

    def inputs(saliency: Tensor) -> Inputs:
        return {"saliency": saliency, "score": score, "obs": obs, "fill": 0.0}

    return Cases(inputs(perfect), inputs(noise(HEIGHT, WIDTH, seed=7)), inputs(2 - perfect))
