"""The Nature network and the attention inside it, by hand; both in every view and in every precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.attention import AttentiveConvolutions, Field, FreeLunchAttention, receptive_field, spread
from saccade.nets.encoders import Convolutions
from saccade.nets.nature import map_sizes, nature_blocks, nature_convolutions, small_convolutions
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
    assert spread(torch.tensor([[[[1.0, 2.0]]]]), Field(3, 2, 0), (3, 5)).tolist() == [[[[1.0, 1.0, 3.0, 2.0, 2.0]] * 3]]
    assert spread(torch.tensor([[[[-1.0]]]]), Field(2, 1, 0), (2, 2)).abs().sum() == 0


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
