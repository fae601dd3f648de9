"""What every loss of every method promises: finite, pure, compiled whole, no waiting for the device, owner reached."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from host_reads import HostReads
from method_cases import PHASES, build, prepared

from saccade.agents.agent import Agent, Phase, look

EAGER_TOLERANCE = 1e-5

every_phase = pytest.mark.parametrize(("method", "name"), PHASES, ids=lambda value: value)


def phase_of(agent: Agent, name: str) -> Phase:
    return next(phase for phase in agent.phases if phase.name == name)


@every_phase
def test_loss_is_finite_and_reaches_what_it_owns(method: str, name: str) -> None:
    agent = build(method)
    phase = phase_of(agent, name)
    total, metrics = phase.total(prepared(agent, phase, method))
    assert total.ndim == 0 and total.isfinite()
    assert set(metrics) == {f"{name}/{term}" for term in phase.terms}
    gradients = torch.autograd.grad(total, phase.owned())  # raises for a parameter that is not reached
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0


@every_phase
def test_loss_is_pure(method: str, name: str) -> None:
    agent = build(method)
    phase = phase_of(agent, name)
    batch = prepared(agent, phase, method)
    tensors = [*batch[:5], *batch.drawn.values()]
    before = [tensor.clone() for tensor in tensors]
    states = random.getstate(), torch.get_rng_state()
    first = phase.total(batch)[0]
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 -- the very thing that a loss must not depend on
    torch.manual_seed(5)
    second = phase.total(batch)[0]
    random.setstate(states[0])
    torch.set_rng_state(states[1])
    assert torch.equal(first, second), "the loss drew a random number of its own"
    assert all(torch.equal(old, new) for old, new in zip(before, tensors, strict=True)), "the batch was changed"


@every_phase
def test_loss_never_waits_for_the_device(method: str, name: str) -> None:
    agent = build(method)
    phase = phase_of(agent, name)
    batch = prepared(agent, phase, method)
    with HostReads() as spy:
        look(phase, batch)
        total, _ = phase.total(batch)
        torch.autograd.grad(total, phase.owned())
    assert spy.found == []


def test_the_spy_sees_a_read() -> None:
    with HostReads() as spy:
        torch.ones(3).sum().item()
        torch.ones(3)[torch.tensor([True, False, True])]
    assert len(spy.found) >= 2


@every_phase
def test_compiled_equals_eager(method: str, name: str) -> None:
    torch.compiler.reset()
    agent, twin = build(method), build(method)
    phase, other = phase_of(agent, name), phase_of(twin, name)
    batch = prepared(agent, phase, method)
    compiled = torch.compile(other.total, fullgraph=True, backend="aot_eager")
    (ours, _), (theirs, _) = phase.total(batch), compiled(batch)
    with torch.no_grad():
        looked = torch.compile(other.look, fullgraph=True, backend="aot_eager")(batch)
    for key, value in phase.look(batch).items():
        torch.testing.assert_close(looked[key], value, rtol=EAGER_TOLERANCE, atol=EAGER_TOLERANCE)
    torch.testing.assert_close(theirs, ours, rtol=EAGER_TOLERANCE, atol=EAGER_TOLERANCE)
    for gradient, expected in zip(
        torch.autograd.grad(theirs, other.owned()), torch.autograd.grad(ours, phase.owned()), strict=True
    ):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=EAGER_TOLERANCE)
