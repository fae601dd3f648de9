"""DIGR's losses, gradients, gradient surgery and steps, recorded, against ours in double precision.

``SACCADE_GOLDEN`` names the folder of recordings; this one is ``digr/digr_loss.npz`` in it. Every number is taken from
the file.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from digr_rules import made_parameter
from torch import Tensor

from saccade.agents.agent import gradients_of, take_step
from saccade.agents.configs_discrete import PlainTrunk
from saccade.agents.configs_students import DIGR
from saccade.agents.given import Given, SaliencyData, Teacher
from saccade.agents.methods import digr
from saccade.agents.parts.pcgrad import pcgrad, sum_of_products
from saccade.types import Batch, Discrete, Spaces

FILE = (
    Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "digr" / "digr_loss.npz"
)
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"no recordings of DIGR's losses in {FILE.parent}")

CASES = tuple(f"{name}_{kind}" for name in ("fetch", "breakout") for kind in ("conflict", "aligned"))
OURS = {
    "conv1": "trunk.0.layers.0.0",
    "conv2": "trunk.0.layers.1.0",
    "conv3": "trunk.0.layers.2.0",
    "hidden": "trunk.2",
    "actor": "policy",
}
SIZES = {"fetch": ((32, 64, 64), 512), "breakout": ((8, 16, 16), 32)}  # README, the table of networks
LAST_WEIGHT = "actor.weight"
RELATIVE, SINGLE = 1e-6, 1e-6
every_case = pytest.mark.parametrize("case", CASES)


@functools.cache
def recorded() -> dict[str, np.ndarray]:
    with np.load(FILE) as data:
        return {key: data[key] for key in data.files}


def fill(network: digr.Student, number: int) -> None:
    """The recordings' rule for the weights of a network, rounded to float32 and kept in double precision."""
    network.double()
    parameters = dict(network.named_parameters())
    names = [f"{module}.{kind}" for module in OURS for kind in ("weight", "bias")]
    for place, name in enumerate(names):
        weight = parameters[our_name(name)]
        value = made_parameter(int(recorded()["seed"]), number, place, tuple(weight.shape), last=name == LAST_WEIGHT)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(value))


def our_name(name: str) -> str:
    module, kind = name.split(".")
    return f"{OURS[module]}.{kind}"


def tensor(name: str) -> Tensor:
    value = torch.from_numpy(recorded()[name])
    return value.double() if value.is_floating_point() else value


def made(case: str, **changes: object) -> tuple[digr.Student, Batch, DIGR, Given]:
    """The recorded student, the batch that its losses read, and what made them."""
    name = case.partition("_")[0]
    states, buffer = tensor(f"{name}/states"), tensor(f"{name}/buffer")
    filters, hidden = SIZES[name]
    count = recorded()[f"{name}/teacher_probabilities"].shape[1]
    spaces = Spaces(tuple(states.shape[1:]), Discrete(count), colours=3 if name == "fetch" else 1)
    config = DIGR(
        PlainTrunk(image_size=states.shape[-1], filters=filters, hidden=hidden),
        threshold=float(recorded()["threshold"]),
        distillation_weight=1.0,
    )
    config = dataclasses.replace(config, **changes)
    nets = digr.Student(spaces, config)
    fill(nets, int(recorded()[f"{case}/student_network"]))
    teacher = digr.Student(spaces, config)
    fill(teacher, int(recorded()[f"{name}/teacher_network"]))

    def outputs(obs: Tensor) -> Tensor:
        with torch.no_grad():
            return teacher(obs).logits

    given = Given(None, Teacher("recorded", outputs), SaliencyData(states, tensor(f"{name}/teacher_map")))
    nothing = torch.zeros(len(buffer))
    batch = Batch(buffer.double(), nothing, nothing, nothing, buffer)
    drawn = {"saliency_obs": states.double(), "elsewhere": tensor(f"{name}/teacher_map") <= config.threshold}
    batch = batch._replace(drawn=drawn, seen={"teacher": outputs(batch.obs)})
    return nets, batch, config, given


def losses(nets: digr.Student, batch: Batch, config: DIGR) -> dict[str, Callable[[], Tensor]]:
    def regularisation(**changes: str) -> Callable[[], Tensor]:
        return lambda: digr.gradient_regularisation(nets, dataclasses.replace(config, **changes))(batch, {})

    return {
        "regularisation": regularisation(),
        "regularisation_all_channels": regularisation(channels="all"),
        "regularisation_mass_share": regularisation(normalisation="mass"),
        "distillation": lambda: digr.distillation(nets)(batch, {}),
    }


def check_gradient(found: dict[str, Tensor], case: str, name: str) -> None:
    for ours, gradient in found.items():
        prefix = f"{case}/gradient/{name}"
        length = float(recorded()[f"{prefix}/norm/{ours}"])
        assert gradient.norm().item() == pytest.approx(length, rel=RELATIVE), (name, ours)
        assert gradient.sum().item() == pytest.approx(float(recorded()[f"{prefix}/sum/{ours}"]), abs=RELATIVE * length)
        samples = gradient.flatten()[tensor(f"{case}/index/{ours}")]
        torch.testing.assert_close(samples, tensor(f"{prefix}/samples/{ours}"), rtol=RELATIVE, atol=RELATIVE * length)
        if f"{prefix}/full/{ours}" in recorded():
            torch.testing.assert_close(
                gradient, tensor(f"{prefix}/full/{ours}"), rtol=SINGLE, atol=SINGLE * gradient.abs().max().item()
            )


def by_name(nets: digr.Student) -> dict[str, torch.nn.Parameter]:
    parameters = dict(nets.named_parameters())
    return {
        f"{module}.{kind}": parameters[our_name(f"{module}.{kind}")] for module in OURS for kind in ("weight", "bias")
    }


@every_case
def test_policies_and_gradients_of_the_input_equal_the_recorded_ones(case: str) -> None:
    nets, batch, _, _ = made(case)
    with torch.no_grad():
        for obs, name in ((batch.drawn["saliency_obs"], "probabilities"), (batch.obs, "buffer_probabilities")):
            torch.testing.assert_close(nets(obs).logits.softmax(-1), tensor(f"{case}/{name}"), rtol=RELATIVE, atol=0.0)
    found = digr.input_gradient(nets, batch.drawn["saliency_obs"]).detach()
    largest = found.amax((1, 2, 3))
    torch.testing.assert_close(largest, tensor(f"{case}/g_max"), rtol=RELATIVE, atol=0.0)
    torch.testing.assert_close(found, tensor(f"{case}/g"), rtol=SINGLE, atol=SINGLE * largest.max().item())


@every_case
def test_losses_and_their_gradients_equal_the_recorded_ones(case: str) -> None:
    nets, batch, config, _ = made(case)
    parameters = by_name(nets)
    for name, compute in losses(nets, batch, config).items():
        value = compute()
        assert value.item() == pytest.approx(float(recorded()[f"{case}/{name}"]), rel=RELATIVE), name
        found = torch.autograd.grad(value, list(parameters.values()))
        check_gradient(dict(zip(parameters, found, strict=True)), case, name)


@every_case
def test_each_states_part_of_the_losses_equals_the_recorded_one(case: str) -> None:
    nets, batch, _, _ = made(case)
    gradient = digr.input_gradient(nets, batch.drawn["saliency_obs"])
    for channels, name in (("max", "regularisation"), ("all", "regularisation_all_channels")):
        found = digr.saliency_where_none_should_be(gradient, batch.drawn["elsewhere"], channels=channels)
        torch.testing.assert_close(found.detach(), tensor(f"{case}/{name}_per_state"), rtol=RELATIVE, atol=0.0)
    found = digr.divergence(batch.seen["teacher"], nets(batch.obs))
    torch.testing.assert_close(found.detach(), tensor(f"{case}/distillation_per_state"), rtol=RELATIVE, atol=0.0)


@every_case
@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_gradients_under_surgery_equal_the_recorded_ones(case: str, alpha: float) -> None:
    nets, batch, config, _ = made(case)
    parameters = by_name(nets)
    owned = list(parameters.values())
    found_losses = losses(nets, batch, config)
    first, second = found_losses["regularisation"](), alpha * found_losses["distillation"]()
    name = f"pcgrad_alpha_{alpha:g}"
    separate = [torch.autograd.grad(term, owned, retain_graph=True) for term in (first, second)]
    product = sum_of_products(*separate)
    assert product.item() == pytest.approx(float(recorded()[f"{case}/{name}/dot"]), rel=RELATIVE)
    lengths = torch.stack([sum_of_products(one, one) for one in separate]).prod().sqrt()
    assert (product / lengths).item() == pytest.approx(float(recorded()[f"{case}/cosine"]), rel=RELATIVE)
    combined = pcgrad((first, second), owned)
    check_gradient(dict(zip(parameters, combined, strict=True)), case, name)


STEPS = {
    "adam_1": ({"distillation_weight": 0.01}, 1),
    "adam_3": ({"distillation_weight": 0.01}, 3),
    "rmsprop_1": ({"distillation_weight": 1.0, "optimizer": "rmsprop", "learning_rate": 2e-4}, 1),
}


@every_case
@pytest.mark.parametrize("steps", STEPS)
def test_weights_after_steps_equal_the_recorded_ones(case: str, steps: str) -> None:
    """Through the phase itself: its terms, their weights, the surgery and the optimizer."""
    changes, count = STEPS[steps]
    nets, batch, config, given = made(case, **changes)
    phase = digr.student_phase(nets, config, given)
    for index in range(count):
        gradients, metrics = gradients_of(phase, phase.differentiated, batch, phase.begun(index))
        if index == 0:
            assert float(metrics["student/distillation"]) == pytest.approx(float(recorded()[f"{case}/distillation"]))
        take_step(phase, gradients, index)
    for name, parameter in by_name(nets).items():
        weight, prefix = parameter.detach(), f"{case}/after/{steps}"
        samples = weight.flatten()[tensor(f"{case}/index/{name}")]
        torch.testing.assert_close(samples, tensor(f"{prefix}/samples/{name}"), rtol=0.0, atol=1e-6, msg=name)
        if (full := f"{prefix}/full/{name}") in recorded():
            solid = np.unpackbits(recorded()[f"{case}/solid/{name}"])[: weight.numel()].astype(bool)
            found, expected = weight.flatten()[solid], tensor(full).flatten()[solid]
            torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-6, msg=name)


def test_a_pixel_at_the_threshold_is_not_salient() -> None:
    nets, batch, config, _ = made("breakout_conflict", threshold=float(recorded()["edge/threshold"]))
    states, maps = batch.drawn["saliency_obs"][:1], tensor("edge/teacher_map")
    as_drawn = digr.draw_saliency(
        SaliencyData(tensor("breakout/states")[:1], maps), dataclasses.replace(config, batch_size=1)
    )
    drawn = as_drawn(batch, torch.Generator().manual_seed(0)).drawn
    loss = digr.gradient_regularisation(nets, config)
    found = loss(batch._replace(drawn={"saliency_obs": states, "elsewhere": drawn["elsewhere"]}), {})
    assert found.item() == pytest.approx(float(recorded()["edge/regularisation"]), rel=RELATIVE)
    assert found.item() != pytest.approx(float(recorded()["edge/regularisation_if_strict"]), rel=1e-3)


@every_case
def test_single_precision_is_close(case: str) -> None:
    nets, batch, config, _ = made(case)
    expected = {name: compute().item() for name, compute in losses(nets, batch, config).items()}
    nets.float()
    single = batch._replace(
        obs=batch.obs.float(),
        drawn={**batch.drawn, "saliency_obs": batch.drawn["saliency_obs"].float()},
        seen={"teacher": batch.seen["teacher"].float()},
    )
    for name, compute in losses(nets, single, config).items():
        assert compute().item() == pytest.approx(expected[name], rel=1e-5), name
