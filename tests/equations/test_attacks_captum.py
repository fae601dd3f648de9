"""Captum defines FGSM and PGD as well: where the definitions agree, no pixel differs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saccade.attacks import ATTACKS
from saccade.attacks.box import box_around
from saccade.testing.saliency_cases import observations, small_network
from saccade.types import Score

robust = pytest.importorskip("captum.robust", reason="Captum is not installed")

BOUNDS = {"lower_bound": 0.0, "upper_bound": 1.0}


class Still:
    """A start at the clean picture."""

    def uniform(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like)

    signs = normal = uniform


def surprise(net: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
    return -net(obs).log_softmax(-1).gather(-1, action[:, None])[:, 0]


@pytest.fixture
def case() -> tuple[nn.Module, Tensor, Tensor]:
    net, obs = small_network(torch.float64), observations(dtype=torch.float64)
    return net, obs, net(obs).argmax(-1)


def agree(ours: Tensor, theirs: Tensor, gradient: Tensor) -> None:
    """Captum takes gradients up to 1e-6 for zero: pixels of such are left out."""
    solid = gradient.abs() > 1e-6
    assert float(solid.double().mean()) > 0.7
    torch.testing.assert_close(ours[solid], theirs[solid], rtol=0, atol=1e-9)


def test_fgsm(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, obs, action = case
    score = Score(net, surprise, (action,))
    seen = obs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(seen).sum(), seen)
    for budget in (1, 4, 8):
        theirs = robust.FGSM(net, nn.CrossEntropyLoss(reduction="none"), **BOUNDS)
        expected = theirs.perturb(obs.clone().requires_grad_(), budget / 255, action)
        agree(ATTACKS["fgsm"](score, obs, budget, high=1.0, whole_pixels=False), expected, gradient)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_pgd(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    net, obs, action = case
    score = Score(net, surprise, (action,))
    for budget in (1, 4, 8):
        theirs = robust.PGD(net, nn.CrossEntropyLoss(reduction="none"), **BOUNDS)
        radius = budget / 255
        expected = theirs.perturb(
            obs.clone().requires_grad_(), radius, radius / 4, 10, action, random_start=False, norm="Linf"
        )
        ours = ATTACKS["pgd"].find(score, box_around(obs, budget, high=1.0), Still(), steps=10, step_share=0.25)
        differ = (ours - expected).abs() > 1e-9
        # A gradient within 1e-6 of zero, which Captum leaves out, turns a pixel; few are.
        assert float(differ.double().mean()) < 0.02
        torch.testing.assert_close(score(ours), score(expected), rtol=1e-3, atol=1e-6)
