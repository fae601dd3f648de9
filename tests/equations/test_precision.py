"""Convolutions in bfloat16 between weights, heads and losses in float32."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from method_cases import build, prepared, sample
from torch import Tensor

from saccade.agents.agent import make_update
from saccade.agents.methods.sac import SAC, Architecture, make_networks
from saccade.agents.parts.attribution import attribution_of_q1, look_of_critic
from saccade.nets import convolutions, decoders
from saccade.nets.encoders import ConvolutionStack
from saccade.nets.precision import MixedPrecision, multiplies_bfloat16, set_compute_dtype
from saccade.nets.views.guided import guided_view
from saccade.runs.torch_setup import compute_dtype, multiplies_tf32
from saccade.runs.training import Training
from saccade.types import Continuous, Spaces

CPU = torch.device("cpu")
DIGITS = 2**-8  # the relative rounding error of bfloat16


def observations(size: int = 20) -> Tensor:
    return torch.randint(0, 256, (4, 9, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("method", ["sgqn", "smg", "madi", "simgrl"])
def test_every_convolution_is_told_and_weights_stay_as_they_are(method: str) -> None:
    networks = build(method).networks
    set_compute_dtype(networks, torch.bfloat16)
    told = [module for module in networks.modules() if isinstance(module, MixedPrecision)]
    within = {id(layer) for module in told for layer in module.modules()}
    assert all(module.compute_dtype == torch.bfloat16 for module in told)
    assert all(id(layer) in within for layer in networks.modules() if isinstance(layer, torch.nn.Conv2d))
    assert {parameter.dtype for parameter in networks.parameters()} == {torch.float32}


def test_features_are_rounded_and_come_back_in_float32() -> None:
    torch.manual_seed(0)
    stack = ConvolutionStack(9, 20, 8, 3)
    exact = stack(observations())
    set_compute_dtype(stack, torch.bfloat16)
    rounded = stack(observations())
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    assert (rounded - exact).abs().max() < 4 * DIGITS * exact.abs().max()
    assert torch.equal(rounded.bfloat16().float(), rounded)


def test_views_compute_in_what_their_network_does_and_copies_in_their_own() -> None:
    torch.manual_seed(0)
    stack = ConvolutionStack(9, 20, 8, 3)
    view, copied = guided_view(stack), copy.deepcopy(stack)
    exact = view(observations())
    set_compute_dtype(stack, torch.bfloat16)
    assert view.compute_dtype == torch.bfloat16 and torch.equal(view(observations()), stack(observations()))
    assert copied.compute_dtype == torch.float32 and torch.equal(copied(observations()), exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rendered", [20, 25])
def test_walking_back_a_pass_equals_a_pass_of_its_own(dtype: torch.dtype, rendered: int) -> None:
    torch.manual_seed(0)
    config = SAC(Architecture(image_size=20, filters=8, conv_layers=4, projection=16, hidden=32))
    critic = make_networks(Spaces((9, rendered, rendered), Continuous(2)), config, CPU).critic
    for layer in critic.convolutions.layers[::2]:  # delta-orthogonal ones reach a pixel of nine only
        torch.nn.init.normal_(layer.weight, std=0.1)
    obs, action = observations(rendered).float(), torch.rand(4, 2)
    expected = attribution_of_q1(critic, "guided_backpropagation")(obs, action)
    set_compute_dtype(critic, dtype)
    features, found = look_of_critic(critic, "guided_backpropagation")(obs, action)
    assert found.dtype == dtype and found.shape == obs.shape and not found.requires_grad
    assert features.requires_grad and torch.equal(features, critic.convolutions(obs))
    if dtype == torch.float32:
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    else:  # where a unit is about zero, rounding decides whether a gradient passes
        assert F.cosine_similarity(found.float().flatten(1), expected.flatten(1)).min() > 0.9


@pytest.mark.parametrize("method", ["sac", "sgqn", "smg", "madi"])
def test_an_update_differs_by_rounding_only(method: str) -> None:
    exact, rounded = build(method), build(method)
    set_compute_dtype(rounded.networks, torch.bfloat16)
    for phase, other in zip(exact.phases[:2], rounded.phases[:2], strict=True):
        values, total = phase.total(prepared(exact, phase, method))[0], other.total(prepared(rounded, other, method))[0]
        assert total.dtype == torch.float32
        torch.testing.assert_close(total, values, rtol=0.05, atol=0.01)
    gradients = torch.autograd.grad(total, other.owned())
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


def test_the_same_update_twice_gives_the_same_bits() -> None:
    weights = []
    for _ in range(2):
        agent = build("sgqn")
        set_compute_dtype(agent.networks, torch.bfloat16)
        update, generator = make_update(agent), torch.Generator().manual_seed(0)
        for index in range(4):
            update(lambda size: sample("sgqn"), generator, index)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in agent.networks.parameters()]))
    assert weights[0].isfinite().all() and torch.equal(weights[0], weights[1])


def test_a_precision_by_name() -> None:
    assert compute_dtype("float32", CPU) == torch.float32 and compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert (compute_dtype("auto", CPU) == torch.bfloat16) == multiplies_bfloat16(CPU)


@pytest.fixture
def _filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels are filled up on this CPU too, as in bfloat16 on a GPU."""
    for module in (convolutions, decoders):
        monkeypatch.setattr(module, "is_filled_up", lambda maps: True)


def narrow_layers() -> list[torch.nn.Conv2d]:
    torch.manual_seed(0)
    layers = [convolutions.PixelConvolution(9, 4, 3, stride=2), convolutions.FilledConvolution(3, 8, 3, padding=1)]
    return [*layers, convolutions.FilledConvolution(8, 1, 3, padding=1), decoders.DoublingConvolution(5, 9)]


def passed(layers: list[torch.nn.Conv2d]) -> list[Tensor]:
    """What layers give, and the gradients of its squares by pixels, kernels and biases."""
    found = []
    for layer in layers:
        pixels = torch.rand((2, layer.in_channels, 8, 8), generator=torch.Generator().manual_seed(1)).requires_grad_()
        output = layer(pixels)
        found += [output, *torch.autograd.grad(output.square().sum(), [pixels, *layer.parameters()])]
    return found


def test_channels_of_zeros_change_nothing(request: pytest.FixtureRequest) -> None:
    plain = passed(narrow_layers())
    request.getfixturevalue("_filled_up")
    for found, expected in zip(passed(narrow_layers()), plain, strict=True):
        torch.testing.assert_close(found, expected)
    seen, kernels = convolutions.filled_up(torch.rand(2, 9, 5, 5)), convolutions.filled_up(torch.rand(9, 4, 3, 3), 0)
    assert seen.shape == (2, 16, 5, 5) and kernels.shape == (16, 4, 3, 3) and not seen[:, 9:].any()
    assert convolutions.filled_up(seen) is seen


@pytest.mark.parametrize("filled", [False, True])
def test_the_gradient_by_what_entered_is_autograds(filled: bool, request: pytest.FixtureRequest) -> None:
    if filled:
        request.getfixturevalue("_filled_up")
    for layer in [*narrow_layers()[:3], torch.nn.Conv2d(3, 5, 3)]:
        entered = torch.rand(2, layer.in_channels, 9, 9, requires_grad=True)
        output = layer(entered)
        gradient = torch.rand_like(output)
        (expected,) = torch.autograd.grad(output, entered, gradient)
        torch.testing.assert_close(convolutions.input_gradient(layer, gradient, entered.detach()), expected)


@pytest.mark.parametrize("method", ["sac", "rad", "drq", "sgqn", "sac_self_supervision"])
def test_pixels_are_exact_in_what_convolutions_compute_in(method: str) -> None:
    exact, rounded = build(method), build(method)
    set_compute_dtype(rounded.networks, torch.bfloat16)
    ours, theirs = (agent.prepare(sample(method), torch.Generator().manual_seed(0)) for agent in (rounded, exact))
    for one, other in ((ours.obs, theirs.obs), (ours.next_obs, theirs.next_obs)):
        assert (one.dtype, other.dtype) == (torch.bfloat16, torch.float32) and torch.equal(one.float(), other)
        assert one.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("matmul", "precision", "device", "tf32"),
    [
        ("auto", "bfloat16", "cuda", True),
        ("auto", "float32", "cuda", False),
        ("tf32", "float32", "cuda", True),
        ("float32", "bfloat16", "cuda", False),
        ("auto", "bfloat16", "cpu", False),
        ("tf32", "float32", "cpu", False),
    ],
)
def test_matrices_are_multiplied_in_tf32_by_choice_and_on_a_gpu(
    matmul: Any, precision: Any, device: str, tf32: bool
) -> None:
    assert multiplies_tf32(Training(matmul=matmul, precision=precision), torch.device(device)) == tf32
