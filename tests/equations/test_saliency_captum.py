"""Captum as an oracle, for every method that it has: an independent implementation, on a network with ``nn.ReLU``."""

from __future__ import annotations

import pytest
import torch
from captum.attr import (
    GuidedBackprop,
    GuidedGradCam,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from saliency_cases import Network, entry_score, network, observations
from torch import Tensor

from saccade.saliency import METHODS

pytestmark = pytest.mark.filterwarnings(
    "ignore:Setting backward hooks on ReLU activations", "ignore:Input Tensor.*did not already require gradients"
)


@pytest.fixture
def case() -> tuple[Network, Tensor, Tensor]:
    """A network in double precision, observations, and the output that is explained for each."""
    return network(torch.float64), observations(dtype=torch.float64), torch.arange(3)


Case = tuple[Network, Tensor, Tensor]


def ours(name: str, case: Case, **changes: float | str) -> Tensor:
    net, obs, _ = case
    return METHODS[name](entry_score(net), obs, **changes)


def test_gradient(case: Case) -> None:
    net, obs, target = case
    torch.testing.assert_close(ours("gradient", case), Saliency(net).attribute(obs, target, abs=False))


def test_guided_backpropagation(case: Case) -> None:
    net, obs, target = case
    expected = GuidedBackprop(net).attribute(obs, target)
    torch.testing.assert_close(ours("guided_backpropagation", case), expected)
    assert not torch.allclose(expected, Saliency(net).attribute(obs, target, abs=False))


def test_grad_cam(case: Case) -> None:
    net, obs, target = case
    small = LayerGradCam(net, net.convolutions[3]).attribute(obs, target, relu_attributions=True)
    expected = LayerAttribution.interpolate(small, (12, 12), "bilinear")
    torch.testing.assert_close(ours("grad_cam", case), expected.detach())
    small = LayerGradCam(net, net.convolutions[0]).attribute(obs, target, relu_attributions=True)
    expected = LayerAttribution.interpolate(small, (12, 12), "bilinear")
    torch.testing.assert_close(ours("grad_cam", case, layer="convolutions.0"), expected.detach())


def test_guided_grad_cam(case: Case) -> None:
    net, obs, target = case
    expected = GuidedGradCam(net, net.convolutions[3]).attribute(obs, target)
    torch.testing.assert_close(ours("guided_grad_cam", case, upsampling="nearest"), expected.detach())


def test_integrated_gradients(case: Case) -> None:
    net, obs, target = case
    expected = IntegratedGradients(net).attribute(obs, target=target, n_steps=50, method="riemann_middle")
    torch.testing.assert_close(ours("integrated_gradients", case), expected)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(("kind", "name"), [("smoothgrad", "smoothgrad"), ("vargrad", "vargrad")])
def test_noise_tunnel_under_the_same_noise(case: Case, guided: bool, kind: str, name: str) -> None:
    net, obs, target = case
    found = ours(f"guided_{name}" if guided else name, case, seed=9, noise=0.2, samples=10)
    for index in range(3):
        one = obs[index : index + 1]
        tunnel = NoiseTunnel(GuidedBackprop(net) if guided else Saliency(net))
        changes = {} if guided else {"abs": False}
        deviation = 0.2 * float(one.max() - one.min())
        with torch.random.fork_rng():
            torch.manual_seed(9)
            expected = tunnel.attribute(
                one, nt_type=kind, nt_samples=10, stdevs=deviation, target=target[index : index + 1], **changes
            )
        torch.testing.assert_close(found[index : index + 1], expected)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3)])
def test_occlusion(case: Case, window: int, stride: int) -> None:
    net, obs, target = case
    expected = Occlusion(net).attribute(obs, (4, window, window), (4, stride, stride), baselines=0.0, target=target)
    assert expected.dtype == torch.float32  # in which Captum adds up
    found = ours("occlusion", case, window=window, stride=stride)
    torch.testing.assert_close(found.float().expand_as(expected), expected)
    by_frame = Occlusion(net).attribute(obs, (2, window, window), (2, stride, stride), baselines=0.0, target=target)
    found = ours("occlusion", case, window=window, stride=stride, frames=2)
    torch.testing.assert_close(found.float().repeat_interleave(2, 1), by_frame)
