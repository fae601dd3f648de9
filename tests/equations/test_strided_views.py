"""Strided views: the gradient by pictures is the library's own, and whatever they do not know is left as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from saccade.nets.convolutions import PixelConvolution
from saccade.nets.nature import nature_convolutions
from saccade.nets.views.strided import input_gradient_of_patches, strided_view


def pictures(channels: int, size: tuple[int, int], dtype: torch.dtype = torch.float64, count: int = 3) -> Tensor:
    drawn = torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return drawn.contiguous(memory_format=torch.channels_last)


def by_pictures(network: nn.Module, seen: Tensor) -> tuple[Tensor, Tensor]:
    pixels = seen.detach().requires_grad_()
    found = network(pixels)
    weights = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view(found.shape)
    return found.detach(), torch.autograd.grad((found * weights).sum(), pixels)[0]


def test_the_gradient_by_hand() -> None:
    """Of a picture of 4x4 a kernel of 4x4 sees one place: the gradient is its weights.

    Of 4x6 it sees two with a stride of 2, and the two columns in the middle get the weights of both.
    """
    weight = torch.arange(16.0, dtype=torch.float64).view(1, 1, 4, 4)
    one, two = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.tensor([[[[1.0, 10.0]]]], dtype=torch.float64)
    assert torch.equal(input_gradient_of_patches(one, weight, 2), weight)
    rows = input_gradient_of_patches(two, weight, 2)[0, 0].tolist()
    assert rows[0] == [0, 1, 2 + 0, 3 + 10, 20, 30] and rows[3] == [12, 13, 14 + 120, 15 + 130, 140, 150]


LAYERS = {
    "8x8 by 4": (nn.Conv2d(3, 5, 8, stride=4), (24, 16)),
    "8x8 by 4, one channel": (nn.Conv2d(1, 5, 8, stride=4), (16, 24)),
    "8x8 by 4, no bias": (nn.Conv2d(4, 5, 8, stride=4, bias=False), (16, 16)),
    "4x4 by 2": (nn.Conv2d(3, 2, 4, stride=2), (6, 10)),
    "4x4 by 4": (nn.Conv2d(9, 2, 4, stride=4), (8, 8)),
    "9x9 by 3": (nn.Conv2d(1, 2, 9, stride=3), (9, 12)),
    "of pixels": (PixelConvolution(3, 5, 8, stride=4), (16, 16)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", LAYERS)
def test_the_gradient_is_the_librarys(name: str, dtype: torch.dtype) -> None:
    layer, size = LAYERS[name]
    network = nn.Sequential(copy.deepcopy(layer), nn.Tanh()).to(dtype)
    view = strided_view(network)
    assert view is not network and view[0].weight is network[0].weight and type(view[0]) is type(layer)
    for seen in (pictures(layer.in_channels, size, dtype), pictures(layer.in_channels, size, dtype).contiguous()):
        (expected, gradient), (found, other) = by_pictures(network, seen), by_pictures(view, seen)
        assert torch.equal(found, expected) and type(view[0](seen.requires_grad_()).grad_fn).__name__.startswith("_Str")
        torch.testing.assert_close(other, gradient)


OTHERS = {
    "a stride of 1": (nn.Conv2d(3, 4, 4), (8, 8)),
    "kernels that are no patches": (nn.Conv2d(3, 4, 3, stride=2), (8, 8)),
    "padding": (nn.Conv2d(3, 4, 4, stride=2, padding=1), (8, 8)),
    "padding by name": (nn.Conv2d(3, 4, 4, padding="same"), (8, 8)),
    "dilation": (nn.Conv2d(3, 4, 4, stride=2, dilation=2), (12, 12)),
    "groups": (nn.Conv2d(4, 4, 4, stride=2, groups=2), (8, 8)),
    "two strides": (nn.Conv2d(3, 4, 4, stride=(2, 4)), (8, 8)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_stay(name: str) -> None:
    network = nn.Sequential(OTHERS[name][0])
    assert strided_view(network) is network


class Doubled(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(2 * input)


def test_layers_with_a_forward_of_their_own_stay() -> None:
    network = nn.Sequential(Doubled(3, 4, 4, stride=2))
    assert strided_view(network) is network


def test_pictures_that_are_no_whole_patches() -> None:
    """Their last rows and columns are seen by nothing or by half a kernel: the library's own gradient is taken."""
    network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=2)).double()
    seen = pictures(3, (9, 7))
    for found, expected in zip(by_pictures(strided_view(network), seen), by_pictures(network, seen), strict=True):
        assert torch.equal(found, expected)


def test_hooks_and_later_weights_show() -> None:
    torch.manual_seed(0)
    network, calls = nature_convolutions(3, (36, 36), (4, 4, 4)), []
    network.layers[0][0].register_forward_hook(lambda layer, given, result: calls.append(result.shape))
    view = strided_view(network)
    seen = 255 * pictures(3, (36, 36), torch.float32)
    before = by_pictures(view, seen)
    assert len(calls) == 1
    with torch.no_grad():
        network.layers[0][0].weight.mul_(-1)
    (found, gradient), (expected, theirs) = by_pictures(view, seen), by_pictures(network, seen)
    assert torch.equal(found, expected) and not torch.equal(found, before[0])
    torch.testing.assert_close(gradient, theirs)


def test_it_gives_weights_no_gradient_and_no_second_one() -> None:
    view = strided_view(nn.Sequential(nn.Conv2d(3, 4, 4, stride=2)))
    pixels = pictures(3, (8, 8), torch.float32).requires_grad_()
    first = torch.autograd.grad(view(pixels).square().sum(), pixels, create_graph=True)[0]
    assert [parameter.grad for parameter in view.parameters()] == [None, None]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_a_compiled_network_is_given_back() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=2))
    network.compile()
    assert strided_view(network) is network
