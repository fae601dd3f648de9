"""Gradients, guided backpropagation, integrated gradients, SmoothGrad and VarGrad: exact cases and naive versions."""

from __future__ import annotations

import pytest
import torch
from saliency_cases import Linear, entry_score, network, observations, output
from torch import Tensor, nn

from saccade.saliency.gradient import gradient
from saccade.saliency.guided_backpropagation import guided_backpropagation
from saccade.saliency.integrated_gradients import integrated_gradients
from saccade.saliency.smooth_gradient import smooth_gradient, variance_of_gradients
from saccade.types import Score

WEIGHTS = torch.linspace(-1, 1, 2 * 3 * 3).view(2, 3, 3)
OBS = torch.rand(4, 2, 3, 3, generator=torch.Generator().manual_seed(1))


class Square(nn.Module):
    def forward(self, obs: Tensor) -> Tensor:
        return obs.square().sum((1, 2, 3))[:, None]


def only_one_pixel(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs)[:, 0, 1, 1] ** 3


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
    score, expected = Score(Linear(WEIGHTS), output), WEIGHTS.expand(4, -1, -1, -1)
    torch.testing.assert_close(gradient(score, OBS), expected)
    above = Score(nn.Sequential(Linear(WEIGHTS.abs()), nn.ReLU()), output)  # of bright pixels: its ReLU is on
    torch.testing.assert_close(guided_backpropagation(above, OBS.abs()), expected.abs())
    torch.testing.assert_close(smooth_gradient(score, OBS), expected)
    torch.testing.assert_close(smooth_gradient(score, OBS, magnitude=True), expected.abs())
    torch.testing.assert_close(integrated_gradients(score, OBS, steps=3), OBS * WEIGHTS)
    assert variance_of_gradients(score, OBS).abs().max() == 0


def test_the_gradient_of_a_square_is_twice_the_pixel() -> None:
    score = Score(Square(), output)
    torch.testing.assert_close(gradient(score, OBS), 2 * OBS)
    # Along the path the gradient is 2 a x with mean x over a = 1/2: exact for the midpoint rule, whatever the steps.
    torch.testing.assert_close(integrated_gradients(score, OBS, steps=4), OBS.square())


def test_guided_view_equals_clipping_by_hand() -> None:
    layers = nn.Sequential(*network(torch.float64).convolutions, *network(torch.float64).head, nn.Linear(3, 1).double())
    obs = observations(5, torch.float64)
    score = Score(layers, output)
    found = guided_backpropagation(score, obs)
    torch.testing.assert_close(found, naive_guided_backpropagation(layers, obs).detach())
    assert not torch.allclose(found, gradient(score, obs))


def test_a_guided_relu_that_overwrites_its_input_passes_the_same() -> None:
    def residual(inplace: bool) -> nn.Module:
        class Residual(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.relu, self.second = nn.Linear(4, 4), nn.ReLU(inplace), nn.Linear(4, 1)

            def forward(self, obs: Tensor) -> Tensor:
                before = self.first(obs.flatten(1))
                after = self.relu(before)
                # Where the ReLU overwrites, ``before`` is what it wrote.
                return self.second(after * (before if inplace else after))

        torch.manual_seed(0)
        return Residual()

    obs = torch.randn(3, 1, 2, 2)
    found = [guided_backpropagation(Score(residual(inplace), output), obs) for inplace in (True, False)]
    torch.testing.assert_close(found[0], found[1])
    assert found[0].abs().max() > 0


def test_a_pixel_that_the_score_ignores_gets_zero() -> None:
    obs = OBS + 1
    for method in (gradient, guided_backpropagation, integrated_gradients, smooth_gradient, variance_of_gradients):
        found = method(Score(nn.Sequential(nn.ReLU()), only_one_pixel), obs)
        assert found[:, 0, 1, 1].abs().min() > 0
        found[:, 0, 1, 1] = 0
        assert found.abs().max() == 0


def test_integrated_gradients_equal_a_loop_over_the_path() -> None:
    net, obs = network(torch.float64), observations(dtype=torch.float64)
    score = entry_score(net)
    found = integrated_gradients(score, obs, steps=7)
    expected = torch.zeros_like(obs)
    for step in range(7):
        pixels = (obs * (2 * step + 1) / 14).requires_grad_()
        expected += torch.autograd.grad(score(pixels).sum(), pixels)[0] / 7
    torch.testing.assert_close(found, obs * expected)


def test_integrated_gradients_add_up_to_the_difference() -> None:
    net, obs = network(torch.float64), observations(dtype=torch.float64)
    score = entry_score(net)
    found = integrated_gradients(score, obs, steps=400).sum((1, 2, 3))
    difference = (score(obs) - score(torch.zeros_like(obs))).detach()
    torch.testing.assert_close(found, difference, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("guided", [False, True])
def test_smoothgrad_and_vargrad_equal_loops_over_the_noise(guided: bool) -> None:
    net, obs = network(torch.float64), observations(dtype=torch.float64)
    obs[1] *= 3  # a sample with more contrast gets more noise
    score = entry_score(net)
    noise = torch.randn(6, *obs.shape[1:], generator=torch.Generator().manual_seed(5)).double()
    one = guided_backpropagation if guided else gradient
    gradients = []
    for drawn in noise:
        noisy = torch.stack([pixels + 0.3 * (pixels.max() - pixels.min()) * drawn for pixels in obs])
        gradients.append(one(score, noisy))
    stacked = torch.stack(gradients)
    settings = {"guided": guided, "noise": 0.3, "samples": 6, "seed": 5}
    torch.testing.assert_close(smooth_gradient(score, obs, **settings), stacked.mean(0))
    torch.testing.assert_close(smooth_gradient(score, obs, magnitude=True, **settings), stacked.abs().mean(0))
    torch.testing.assert_close(variance_of_gradients(score, obs, **settings), stacked.var(0, correction=0))


def test_vargrad_of_a_square_is_the_noise() -> None:
    # The gradient 2 (x + n) has variance 4 var(n); n = 0.5 (max - min) times normal noise.
    obs = torch.zeros(1, 1, 2, 2)
    obs[0, 0, 0, 0] = 4.0
    normal = torch.randn(8, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = variance_of_gradients(Score(Square(), output), obs, noise=0.5, samples=8)
    torch.testing.assert_close(found, 4 * (0.5 * 4) ** 2 * normal.var(0, correction=0)[None])


def test_another_seed_draws_other_noise() -> None:
    score, obs = entry_score(network()), observations()
    same, again, other = (smooth_gradient(score, obs, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(same, again) and not torch.allclose(same, other)
