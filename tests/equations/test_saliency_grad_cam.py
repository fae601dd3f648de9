"""Grad-CAM: hand arithmetic, a naive version, and which layer is read."""

from __future__ import annotations

import math

import pytest
import torch
from saliency_cases import Network, entry_score, network, observations, output
from torch import Tensor, nn

from saccade.saliency.grad_cam import grad_cam, guided_grad_cam
from saccade.saliency.guided_backpropagation import guided_backpropagation
from saccade.types import Score, UserError


def naive_bilinear(picture: Tensor, height: int, width: int) -> Tensor:
    """Pixel centres at half numbers, nothing beyond the outermost centres."""
    rows, columns = picture.shape
    large = torch.zeros(height, width, dtype=picture.dtype)
    for y in range(height):
        for x in range(width):
            row = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            column = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            for r in {math.floor(row), math.ceil(row)}:
                for c in {math.floor(column), math.ceil(column)}:
                    large[y, x] += picture[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return large


def naive_grad_cam(net: Network, obs: Tensor, index: int) -> Tensor:
    """One observation, from the maps after the second ReLU."""
    maps = net.convolutions[:4](obs[None]).detach().requires_grad_()
    gradients = torch.autograd.grad(net.head(maps.flatten(1))[0, index], maps)[0][0]
    total = torch.zeros(maps.shape[2:], dtype=maps.dtype)
    for weight, feature in zip(gradients, maps[0].detach(), strict=True):
        total += weight.mean() * feature
    return naive_bilinear(total.clamp(min=0), *obs.shape[1:])


def test_by_hand() -> None:
    # Two maps of a 2x2 picture x: A = relu(x) and B = relu(-x). The score is A00 + 3 A11 - 4 B01, so the weights are
    # (1 + 3) / 4 = 1 and -4 / 4 = -1, and the map is relu(A - B) = relu(x).
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Conv2d(1, 2, 1, bias=False)
            self.relu = nn.ReLU()
            nn.init.ones_(self.maps.weight[:1])
            nn.init.constant_(self.maps.weight[1:], -1)

        def forward(self, obs: Tensor) -> Tensor:
            maps = self.relu(self.maps(obs))
            return (maps[:, 0, 0, 0] + 3 * maps[:, 0, 1, 1] - 4 * maps[:, 1, 0, 1])[:, None]

    obs = torch.tensor([[[[1.0, -2.0], [3.0, -4.0]]]])
    torch.testing.assert_close(grad_cam(Score(Two(), output), obs), torch.tensor([[[[1.0, 0.0], [3.0, 0.0]]]]))
    # Before the ReLU the maps are x and -x; the score's gradient in x at (0, 0) is 1 (x > 0), in -x at (0, 1) it is
    # -4 (2 > 0), and at (1, 1) x < 0 stops the 3. Weights 1/4 and -1: x / 4 + x = 1.25 x.
    before = grad_cam(Score(Two(), output), obs, layer="maps")
    torch.testing.assert_close(before, torch.tensor([[[[1.25, 0.0], [3.75, 0.0]]]]))


def test_equals_the_naive_version() -> None:
    net, obs = network(torch.float64), observations(dtype=torch.float64)
    found = grad_cam(entry_score(net), obs)
    assert found.shape == (3, 1, 12, 12) and all(picture.max() > 0 for picture in found)
    for index in range(3):
        torch.testing.assert_close(found[index, 0], naive_grad_cam(net, obs[index], index))


def test_guided_grad_cam_is_the_product() -> None:
    score, obs = entry_score(network()), observations()
    product = grad_cam(score, obs) * guided_backpropagation(score, obs)
    torch.testing.assert_close(guided_grad_cam(score, obs), product)


def test_nearest_upsampling_repeats() -> None:
    found = grad_cam(entry_score(network()), observations(), upsampling="nearest")
    assert torch.equal(found, found[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_reads_the_relu_only_if_it_reads_exactly_the_convolution() -> None:
    score, obs = entry_score(network()), observations()
    assert torch.equal(grad_cam(score, obs), grad_cam(score, obs, layer="convolutions.3"))
    assert not torch.allclose(grad_cam(score, obs), grad_cam(score, obs, layer="convolutions.2"))

    class Other(Network):
        def forward(self, obs: Tensor) -> Tensor:
            maps = self.convolutions[2](self.convolutions[1](self.convolutions[0](obs)))
            return self.head(self.convolutions[3](maps + 0.1).flatten(1))

    other = Other()
    assert torch.equal(grad_cam(entry_score(other), obs), grad_cam(entry_score(other), obs, layer="convolutions.2"))


def test_a_relu_that_overwrites_its_input_gives_the_same() -> None:
    net, obs = network(), observations()
    expected = grad_cam(entry_score(net), obs)
    for relu in (net.convolutions[1], net.convolutions[3]):
        relu.inplace = True
    torch.testing.assert_close(grad_cam(entry_score(net), obs), expected)


def test_a_layer_that_the_score_asks_twice_adds_up() -> None:
    # y + 2 y has three times the map of y, though its gradient runs through two calls of each layer.
    def thrice(net: nn.Module, obs: Tensor) -> Tensor:
        return net(obs)[:, 0] + 2 * net(obs)[:, 0]

    net, obs = network(), observations()
    torch.testing.assert_close(grad_cam(Score(net, thrice), obs), 3 * grad_cam(Score(net, output), obs))


def test_a_convolution_that_the_score_does_not_depend_on_is_passed_over() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.policy, self.value = network(), nn.Conv2d(4, 1, 12)

    net, obs = TwoHeads(), observations()

    def policy_then_value(net: nn.Module, obs: Tensor) -> Tensor:
        found = net.policy(obs)[:, 0]
        net.value(obs)
        return found

    expected = grad_cam(Score(net.policy, output), obs)
    torch.testing.assert_close(grad_cam(Score(net, policy_then_value), obs), expected)


def test_refusals_say_what_there_is() -> None:
    score, obs = entry_score(network()), observations()
    with pytest.raises(UserError, match=r"no layer 'conv9': choose one such as convolutions\.0, convolutions\.2"):
        grad_cam(score, obs, layer="conv9")
    with pytest.raises(UserError, match=r"'head\.0' gives no maps"):
        grad_cam(score, obs, layer="head.0")
    with pytest.raises(UserError, match="needs a convolution"):
        grad_cam(Score(nn.Sequential(nn.Flatten(), nn.Linear(576, 1)), output), obs)

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(576, 1), nn.Conv2d(4, 1, 3)

        def forward(self, obs: Tensor) -> Tensor:
            return self.used(obs.flatten(1))

    with pytest.raises(UserError, match=r"does not run through any nn\.Conv2d"):
        grad_cam(Score(Unused(), output), obs)
    with pytest.raises(UserError, match="does not run through the layer 'unused'"):
        grad_cam(Score(Unused(), output), obs, layer="unused")

    class FrameByFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.each = nn.Conv2d(1, 1, 3)

        def forward(self, obs: Tensor) -> Tensor:
            return self.each(obs.flatten(0, 1)[:, None]).reshape(len(obs), -1)

    with pytest.raises(UserError, match="'each' is no map for Grad-CAM"):
        grad_cam(Score(FrameByFrame(), output), obs)
