"""Gradients, guided backpropagation and integrated gradients: exact cases and naive versions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saccade.nets.guided import GuidedReLU, guided_view
from saccade.saliency.gradient import gradient
from saccade.saliency.integrated_gradients import integrated_gradients

WEIGHTS = torch.linspace(-1, 1, 2 * 3 * 3).view(1, 2, 3, 3)


def linear(obs: Tensor) -> Tensor:
    return (obs * WEIGHTS).sum((1, 2, 3))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 1),
    )


def naive_guided_backpropagation(net: nn.Sequential, obs: Tensor) -> Tensor:
    """Layer by layer backwards, clipping by hand at each ReLU."""
    values = [obs]
    for layer in net:
        values.append(layer(values[-1]))
    signal = torch.ones_like(values[-1])
    for layer, before in zip(reversed(net), reversed(values[:-1]), strict=True):
        inputs = before.detach().requires_grad_()
        if isinstance(layer, nn.ReLU):
            signal = signal.clamp(min=0) * (before > 0)
        else:
            (signal,) = torch.autograd.grad(layer(inputs), inputs, signal)
    return signal


def test_a_linear_score_gives_its_weights() -> None:
    obs = torch.rand(4, 2, 3, 3)
    torch.testing.assert_close(gradient(linear, obs), WEIGHTS.expand(4, -1, -1, -1))
    torch.testing.assert_close(integrated_gradients(linear, obs), obs * WEIGHTS)


def test_guided_view_equals_clipping_by_hand() -> None:
    net, obs = network().double(), torch.randn(5, 2, 8, 8, dtype=torch.float64)
    view = guided_view(net)
    found = gradient(lambda pixels: view(pixels).squeeze(1), obs)
    torch.testing.assert_close(found, naive_guided_backpropagation(net, obs).detach())
    plain = gradient(lambda pixels: net(pixels).squeeze(1), obs)
    assert not torch.allclose(found, plain)


def test_guided_view_shares_parameters_and_leaves_the_network_alone() -> None:
    net = network()
    view = guided_view(net)
    assert all(ours is theirs for ours, theirs in zip(view.parameters(), net.parameters(), strict=True))
    assert isinstance(net[1], nn.ReLU) and isinstance(view[1], GuidedReLU)
    with torch.no_grad():
        net[0].weight.mul_(2)
    obs = torch.randn(2, 2, 8, 8)
    assert torch.equal(view(obs), net(obs))


def test_nothing_is_left_on_the_parameters() -> None:
    net = network()
    gradient(lambda pixels: guided_view(net)(pixels).squeeze(1), torch.randn(2, 2, 8, 8))
    assert all(parameter.grad is None for parameter in net.parameters())


def test_samples_do_not_influence_each_other() -> None:
    net, obs = network(), torch.randn(3, 2, 8, 8)
    view = guided_view(net)
    together = gradient(lambda pixels: view(pixels).squeeze(1), obs)
    alone = gradient(lambda pixels: view(pixels).squeeze(1), obs[1:2])
    torch.testing.assert_close(together[1:2], alone)


def test_a_pixel_that_the_score_ignores_gets_zero() -> None:
    def score(pixels: Tensor) -> Tensor:
        return pixels[:, 0, 1, 1] ** 3

    obs = torch.rand(2, 2, 3, 3) + 1
    for method in (gradient, integrated_gradients):
        found = method(score, obs)
        assert found[:, 0, 1, 1].abs().min() > 0
        found[:, 0, 1, 1] = 0
        assert found.abs().max() == 0


def test_integrated_gradients_add_up_to_the_difference() -> None:
    net, obs = network().double(), torch.rand(3, 2, 8, 8, dtype=torch.float64)

    def score(pixels: Tensor) -> Tensor:
        return net(pixels).squeeze(1)

    found = integrated_gradients(score, obs, steps=400).sum((1, 2, 3))
    difference = (score(obs) - score(torch.zeros_like(obs))).detach()
    torch.testing.assert_close(found, difference, rtol=2e-2, atol=1e-3)
