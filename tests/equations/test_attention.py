"""The Nature network and the attention inside it, by hand; both in every view and in every precision."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.attention import (
    AttentiveConvolutions,
    Field,
    FreeLunchAttention,
    SoftmaxAttention,
    UnitLength,
    receptive_field,
    spread,
)
from saccade.nets.encoders import Convolutions
from saccade.nets.nature import map_sizes, nature_blocks, nature_convolutions, small_blocks, small_convolutions
from saccade.nets.precision import MixedPrecision, set_compute_dtype
from saccade.nets.views.guided import guided_view
from saccade.nets.views.views import tapped
from saccade.types import UserError

SIZE, FILTERS = 44, (4, 6, 5)


def attentive(*places: int) -> AttentiveConvolutions:
    attentions = {place: FreeLunchAttention(FILTERS[place], hidden=7) for place in places}
    return AttentiveConvolutions(nature_blocks(2, FILTERS), attentions, (SIZE, SIZE))


def made(name: str) -> Convolutions:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "attentive":
            return attentive(0, 2)
        return {"nature": nature_convolutions, "small": small_convolutions}[name](2, (SIZE, SIZE), FILTERS)


every_network = pytest.mark.parametrize("name", ["nature", "small", "attentive"])


def observations() -> Tensor:
    return torch.randint(0, 256, (3, 2, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_sizes_by_hand() -> None:
    # 84: (84 - 8) / 4 + 1 = 20, (20 - 4) / 2 + 1 = 9, 9 - 2 = 7. Halved, rounded up: 84, 42, 21, 11.
    assert map_sizes(nature_blocks(4, (1, 1, 1)), (84, 64)) == [(20, 15), (9, 6), (7, 4)]
    assert nature_convolutions(4, (84, 84), (32, 64, 64)).out_features == 64 * 49
    assert small_convolutions(3, (84, 8), (1, 1, 2)).map_size == (11, 1)
    assert nature_convolutions(1, (36, 36), (1, 1, 1)).map_size == (1, 1)
    with pytest.raises(UserError, match="100x35 pixels"):
        nature_convolutions(1, (35, 100), (1, 1, 1))


@every_network
def test_what_comes_out_is_as_large_as_said(name: str) -> None:
    network = made(name)
    found = network(observations())
    assert found.flatten(1).shape == (3, network.out_features) and found.dtype == torch.float32
    torch.testing.assert_close(found, network(observations().float()))
    torch.testing.assert_close(found[1:2], network(observations()[1:2]))


def test_nature_is_three_convolutions_of_pixels_in_0_to_1() -> None:
    network = made("nature")
    maps = observations().float() / 255
    for block, stride in zip(network.layers, (4, 2, 1), strict=True):
        maps = F.conv2d(maps, block[0].weight, block[0].bias, stride).clamp(min=0)
    torch.testing.assert_close(network(observations()), maps)


def test_attention_by_hand() -> None:
    # One channel, 1x1 convolutions: relu(2 x - 1), then 3 y - 2; ln(1 + e^z) of z = -2 and 3 * 3 - 2 = 7.
    attention = FreeLunchAttention(1, hidden=1, kernel=1)
    for layer, weight, bias in ((attention.hidden, 2.0, -1.0), (attention.out, 3.0, -2.0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    found = attention(torch.tensor([[[[0.0, 2.0]]]]))
    torch.testing.assert_close(found, torch.tensor([[[[-2.0, 7.0]]]]).exp().log1p())


def with_weights(attention: nn.Module, **layers: tuple[list[float], list[float]]) -> nn.Module:
    """An attention of 1x1 convolutions with these weights and biases."""
    with torch.no_grad():
        for name, (weights, biases) in layers.items():
            layer = getattr(attention, name)
            layer.weight.copy_(torch.tensor(weights).view_as(layer.weight))
            layer.bias.copy_(torch.tensor(biases))
    return attention


def test_normalised_attention_by_hand() -> None:
    # ln(1 + e^0) = 0.693 and ln(1 + e^ln(3)) = ln 4 = 1.386: a third and two thirds.
    attention = FreeLunchAttention(1, hidden=1, kernel=1, normalised=True)
    with_weights(attention, hidden=([1.0], [0.0]), out=([1.0], [0.0]))
    found = attention(torch.tensor([[[[0.0, math.log(3)]]]]))
    torch.testing.assert_close(found, torch.tensor([[[[1 / 3, 2 / 3]]]]))


def test_softplus_to_the_base_of_two_by_hand() -> None:
    # log2(1 + 2^0) = 1, log2(1 + 2^3) = log2(9).
    attention = FreeLunchAttention(1, hidden=1, kernel=1, base=2.0)
    with_weights(attention, hidden=([1.0], [0.0]), out=([1.0], [0.0]))
    found = attention(torch.tensor([[[[0.0, 3.0]]]]))
    torch.testing.assert_close(found, torch.tensor([[[[1.0, math.log2(9)]]]]))


def test_daqns_attention_by_hand() -> None:
    # tanh(2 x - 1) of x = 0.5 and of one where it is 0.5, times 2 ln 3: e^0 = 1 and e^(ln 3) = 3, so 1/4 and 3/4.
    attention = SoftmaxAttention(1, 1, nn.Tanh)
    with_weights(attention, hidden=([2.0], [-1.0]), out=([2 * math.log(3)], [7.0]))
    x = (math.atanh(0.5) + 1) / 2
    torch.testing.assert_close(attention(torch.tensor([[[[0.5, x]]]])), torch.tensor([[[[0.25, 0.75]]]]))


def test_region_sensitive_attention_by_hand() -> None:
    # ELU of 0 is 0, of ln 3 itself, of -ln 2 it is e^(-ln 2) - 1 = -1/2. Two maps: once, and minus four times as much.
    # First e^0 : e^(ln 3) : e^(-1/2); second e^0 : e^(-4 ln 3) : e^2. Each is a softmax of its own, and they add up.
    attention = SoftmaxAttention(1, 1, nn.ELU, count=2)
    with_weights(attention, hidden=([1.0], [0.0]), out=([1.0, -4.0], [0.0, 5.0]))
    first = torch.tensor([1.0, 3.0, math.exp(-0.5)])
    second = torch.tensor([1.0, 3.0**-4, math.exp(2)])
    maps = torch.tensor([[[[0.0], [math.log(3)], [-math.log(2)]]]])
    shares = torch.stack([first / first.sum(), second / second.sum()])
    torch.testing.assert_close(attention.shares(maps)[0, :, :, 0], shares)
    torch.testing.assert_close(attention(maps)[0, 0, :, 0], shares.sum(0))


def test_lengths_become_one_and_nothing_stays_nothing() -> None:
    maps = torch.tensor([[[[3.0, 0.0, 3e-7]], [[4.0, 0.0, 4e-7]]]])  # the last has a length of 5e-7, less than 1e-6
    torch.testing.assert_close(UnitLength()(maps), torch.tensor([[[[0.6, 0.0, 0.3]], [[0.8, 0.0, 0.4]]]]))


def test_maps_are_multiplied_by_their_attention() -> None:
    network = made("attentive")
    output, found = network.attend(observations())
    assert [tuple(attention.shape) for attention in found] == [(3, 1, 10, 10), (3, 1, 2, 2)]
    maps = network.blocks[0](observations().float())
    torch.testing.assert_close(found[0], network.attentions["0"](maps))
    maps = network.blocks[2](network.blocks[1](maps * found[0]))
    torch.testing.assert_close(found[1], network.attentions["2"](maps))
    torch.testing.assert_close(output, maps * found[1])
    assert torch.equal(network(observations()), output)


def test_receptive_fields_and_their_display_by_hand() -> None:
    # 8; 8 + 3 * 4 = 20; 20 + 2 * 8 = 36. Strides 4, 4 * 2, and no more.
    blocks = nature_blocks(1, (1, 1, 1))
    assert [receptive_field(blocks[:count]) for count in (1, 2, 3)] == [(8, 4, 0), (20, 8, 0), (36, 8, 0)]
    # Two places of 3 pixels, 2 apart, overlap in one of 5: 1, 1, 1 + 2, 2, 2 in rows of the first place's height.
    assert spread(torch.tensor([[[[1.0, 2.0]]]]), Field(3, 2, 0), (3, 5)).tolist() == [
        [[[1.0, 1.0, 3.0, 2.0, 2.0]] * 3]
    ]
    assert spread(torch.tensor([[[[-1.0]]]]), Field(2, 1, 0), (2, 2)).abs().sum() == 0


def test_pooled_maps_are_sums_over_places() -> None:
    whole, pooled = attentive(2), attentive(2)
    pooled.load_state_dict(whole.state_dict())
    pooled.pooled = True
    torch.testing.assert_close(pooled(observations()), whole(observations()).sum((2, 3)))
    assert AttentiveConvolutions(whole.blocks, {}, (SIZE, SIZE), pooled=True).out_features == FILTERS[2]


def test_a_margin_is_black() -> None:
    attentions = {2: FreeLunchAttention(FILTERS[2], hidden=7)}
    network = AttentiveConvolutions(nature_blocks(2, FILTERS), attentions, (SIZE, SIZE), margin=4)
    wider = AttentiveConvolutions(network.blocks, attentions, (SIZE + 8, SIZE + 8))
    assert network.map_sizes == wider.map_sizes == [(12, 12), (5, 5), (3, 3)]
    torch.testing.assert_close(network(observations()), wider(F.pad(observations(), (4, 4, 4, 4))))


def test_displays_of_padded_convolutions_by_hand() -> None:
    # 3 pixels, 2 apart, the first of which lies outside: the places see -1..1, 1..3 and 3..5, of 5 pixels 0..4.
    field = receptive_field(small_blocks(1, (1, 1, 1))[:1])
    assert field == (3, 2, 1)
    assert spread(torch.tensor([[[[1.0], [2.0], [4.0]]]]), field, (5, 1))[0, 0, :, 0].tolist() == [1, 3, 2, 6, 4]
    # Three blocks: 3; 3 + 2 * 2 = 7; 7 + 2 * 4 = 15. They begin 1, 1 + 2 = 3 and 3 + 4 = 7 outside.
    assert receptive_field(small_blocks(1, (1, 1, 1))) == (15, 8, 7)
    # Of 9 pixels, two places of 3, 4 apart and 1 outside, see -1..1 and 3..5: what lies between and after is 0.
    assert spread(torch.ones(1, 1, 1, 2), Field(3, 4, 1), (1, 9))[0, 0, 0].tolist() == [1, 1, 0, 1, 1, 1, 0, 0, 0]


def test_several_attentions_are_displayed_together() -> None:
    # The second and third block see 4 places of the first's map, 2 apart, and 4 + 2 * 2 = 8.
    network = attentive(0, 1, 2)
    assert network.map_sizes == [(10, 10), (4, 4), (2, 2)]
    ones = [torch.ones(1, 1, *size) for size in network.map_sizes]
    together = network.together(ones)[0, 0]
    assert together[0, :].tolist() == [1 + 1 + 1, 3, 1 + 2 + 2, 5, 5, 5, 5, 5, 3, 3]
    assert network.displayed(together[None, None]).shape == (1, 1, SIZE, SIZE)


@every_network
def test_views_see_every_part(name: str) -> None:
    network, pixels = made(name), observations().float().requires_grad_()
    relus = [layer for layer in network.modules() if isinstance(layer, nn.ReLU)]
    assert len(relus) == {"nature": 3, "small": 3, "attentive": 5}[name]
    guided = guided_view(network)
    (plain,) = torch.autograd.grad(network(pixels).sum(), pixels)
    output = guided(pixels)
    (found,) = torch.autograd.grad(output.sum(), pixels)
    torch.testing.assert_close(output, network(pixels))
    assert not torch.allclose(found, plain)
    layer = {"attentive": "attentions.2.hidden"}.get(name, "layers.1.0")
    view, tape = tapped(network, [layer])
    torch.testing.assert_close(view(pixels), network(pixels))
    assert [call.layer for call in tape] == [layer]


@every_network
def test_every_convolution_rounds_where_it_is_told_to(name: str) -> None:
    network = made(name)
    exact = network(observations())
    set_compute_dtype(network, torch.bfloat16)
    within = {id(layer) for part in network.modules() if isinstance(part, MixedPrecision) for layer in part.modules()}
    assert all(id(layer) in within for layer in network.modules() if isinstance(layer, nn.Conv2d))
    rounded, in_pixels = network(observations()), network(observations().bfloat16())
    assert rounded.dtype == in_pixels.dtype == torch.float32 and torch.equal(rounded, in_pixels)
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).abs().max() < 0.05 * exact.abs().max()


@every_network
def test_networks_compile(name: str) -> None:
    torch.compiler.reset()
    network = made(name)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(observations()), network(observations()))
