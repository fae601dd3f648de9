"""A policy whose outputs depend on one object alone: each method points at it, and a prior for the centre does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score
from saccade.saliency import METHODS
from saccade.saliency.reduction import one_map, per_frame

SIDE, OBJECT, REACH = 42, 8, 5
CORNERS = ((4, 26), (30, 6), (27, 29))  # upper left corners of the object; of the distractor those of another sample
RED, BLUE = (230.0, 20.0, 20.0), (20.0, 20.0, 230.0)


class Redness(nn.Module):
    """How much more red than green and blue there is, beyond what noise and a grey floor could make up.

    ``[batch, 3, h, w]`` -> logits ``[batch, 3]`` of which the first alone varies.
    """

    def __init__(self) -> None:
        super().__init__()
        self.detector = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.ReLU())
        with torch.no_grad():
            self.detector[0].weight[:] = torch.tensor([2.0, -1.0, -1.0])[:, None, None] / (9 * 255)
            self.detector[0].bias[:] = -0.35

    def forward(self, obs: Tensor) -> Tensor:
        red = self.detector(obs).sum((1, 2, 3)) / OBJECT**2
        return torch.stack([2 * red, torch.ones_like(red), torch.zeros_like(red)], 1)


def policy() -> Policy:
    return Policy(
        name="redness",
        network=Redness(),
        outputs={"logits": lambda network, obs: network(obs), "value": lambda network, obs: network(obs)[:, 0]},
        pixels=Pixels((3, SIDE, SIDE), "uint8", 255.0, "channels_first", 3),
        discrete=True,
        device=torch.device("cpu"),
    )


def scenes() -> np.ndarray:
    obs = np.random.default_rng(0).integers(90, 130, (len(CORNERS), 3, SIDE, SIDE), dtype=np.uint8)
    for index in range(len(CORNERS)):
        for (y, x), colour in ((CORNERS[index], RED), (CORNERS[index - 1], BLUE)):
            obs[index, :, y : y + OBJECT, x : x + OBJECT] = np.array(colour)[:, None, None]
    return obs


def points_at_the_object(saliency: Tensor) -> list[bool]:
    """Whether each map's largest value lies in the object, or within reach of it."""
    found = []
    for one, corner in zip(saliency, CORNERS, strict=True):
        place = divmod(int(one.argmax()), SIDE)
        found.append(all(-REACH <= at - start < OBJECT + REACH for at, start in zip(place, corner, strict=True)))
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_method_points_at_the_object(name: str) -> None:
    chosen, method = policy(), METHODS[name]
    obs = chosen.tensor(scenes())
    assert (chosen.greedy(obs) == 0).all()
    score = make_score(chosen, method.score or "logit", obs)
    saliency = one_map(per_frame(method(score, obs), 3, frames=1, sign="positive"))
    assert all(points_at_the_object(saliency))
    # Not at a picture as a whole: most of the map's weight is near the object, or RISE's is above its average there.
    near = torch.zeros(len(obs), SIDE, SIDE, dtype=torch.bool)
    for mask, (y, x) in zip(near, CORNERS, strict=True):
        mask[max(0, y - 2 * REACH) : y + OBJECT + 2 * REACH, max(0, x - 2 * REACH) : x + OBJECT + 2 * REACH] = True
    assert ((saliency * near).sum((1, 2)) > 0.6 * saliency.sum((1, 2))).all()


def test_a_prior_for_the_centre_and_a_uniform_map_do_not() -> None:
    distance = (torch.arange(SIDE) - (SIDE - 1) / 2).abs()
    prior = torch.exp(-(distance[:, None] ** 2 + distance**2) / 50).expand(len(CORNERS), -1, -1)
    assert not any(points_at_the_object(prior))
    assert not any(points_at_the_object(torch.ones_like(prior)))
