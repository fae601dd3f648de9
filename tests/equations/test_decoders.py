"""A doubling with the convolution behind it, against the two steps apart; in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from saccade.nets.decoders import DoublingConvolution


def apart(layer: DoublingConvolution, small: torch.Tensor) -> torch.Tensor:
    return F.conv2d(F.interpolate(small, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1)


@pytest.mark.parametrize("sides", [(5, 4), (1, 1), (1, 6)])
def test_it_is_a_doubling_and_a_convolution(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = DoublingConvolution(3, 2).double()
    small = torch.randn((2, 3, *sides), dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(small), apart(layer, small)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    wanted = [small, layer.weight, layer.bias]
    for gradient, expected in zip(
        torch.autograd.grad((ours * weight).sum(), wanted),
        torch.autograd.grad((theirs * weight).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


def test_a_kernel_by_hand() -> None:
    """In one dimension: pixels a b become a a b b; a kernel (1, 10, 100) gives
    0 + 10a + 100a, a + 10a + 100b, a + 10b + 100b, b + 10b + 0."""
    layer = DoublingConvolution(1, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 1] = torch.tensor([1.0, 10.0, 100.0])
        layer.bias.fill_(0.5)
    small = torch.tensor([[[[2.0, 3.0]]]])
    expected = torch.tensor([220.5, 322.5, 332.5, 33.5])
    assert torch.equal(layer(small)[0, 0], expected.expand(2, 4))


def test_weights_are_those_of_the_convolution() -> None:
    layer = DoublingConvolution(3, 2)
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {
        "weight": (2, 3, 3, 3),
        "bias": (2,),
    }
