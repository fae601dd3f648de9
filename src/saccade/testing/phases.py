"""Check a method's losses: finite, pure, differentiable, and the same when compiled."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from saccade.agents.agent import Agent, Phase, as_one_region, look, sees_nothing
from saccade.agents.shortcuts import cause_of
from saccade.testing.cases import MethodCase
from saccade.testing.conformance import ConformanceError, first_few, require
from saccade.testing.host_reads import HostReads
from saccade.testing.random_states import other_random_states, untouched

TOLERANCE, OF_GRADIENTS = 1e-5, 1e-3  # between compiled and eager


def check_phases(case: MethodCase) -> None:
    """Check every phase of an agent, on the batch that it would learn from."""
    agent, twin = case.agent(), case.agent()
    names = [phase.name for phase in agent.phases]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(
        twice == [], f"Two phases are called {first_few(twice)}: give each a name of its own; log keys begin with it."
    )
    for number, (phase, batch) in enumerate(case.prepared(agent)):
        before = {name: value.clone() for name, value in _tensors(batch)}
        _check_values(phase, batch)
        _check_gradients(agent, phase, batch)
        _check_purity(phase, batch, before)
        _check_waiting(phase, batch)
        _check_compiled(phase, twin.phases[number], batch)


def _check_values(phase: Phase, batch: Any) -> None:
    shared = phase.share(batch)
    for name, term in phase.terms.items():
        value = term.loss(batch, shared)
        kind = f"shape {list(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
        require(
            isinstance(value, Tensor) and value.ndim == 0,
            f"The loss {phase.name}/{name} has {kind}: reduce it to a tensor of one number.",
        )
        require(
            bool(value.isfinite()),
            f"The loss {phase.name}/{name} is {value.item()}: look for a logarithm or a division by zero.",
        )


def _check_gradients(agent: Agent, phase: Phase, batch: Any) -> None:
    names = {id(weight): name for name, weight in agent.networks.named_parameters()}
    owned = phase.owned()
    strangers = [str(list(weight.shape)) for weight in owned if id(weight) not in names]
    require(
        strangers == [],
        f"The optimizer of phase {phase.name!r} steps a parameter of shape {first_few(strangers)} that is not in "
        "Agent.networks: register it there, or it is never saved.",
    )
    total, _ = phase.total(batch)
    require(total.requires_grad, f"The loss of phase {phase.name!r} depends on no parameter: look for a detach.")
    found = torch.autograd.grad(total, owned, allow_unused=True)
    unreached = [names[id(weight)] for weight, gradient in zip(owned, found, strict=True) if gradient is None]
    require(
        unreached == [],
        f"The loss of phase {phase.name!r} does not reach {first_few(unreached)}, which its optimizer steps: take "
        "it out of the optimizer, or look for the detach that cuts it off.",
    )
    gradients = {names[id(weight)]: gradient for weight, gradient in zip(owned, found, strict=True)}
    broken = [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())]
    require(
        broken == [],
        f"The gradient of phase {phase.name!r} for {first_few(broken)} is not finite: look for the root or the "
        "logarithm of something that can be zero.",
    )
    require(
        any(bool(gradient.any()) for gradient in gradients.values()),
        f"The gradient of phase {phase.name!r} is zero for everything that it owns: it would learn nothing.",
    )


def _check_purity(phase: Phase, batch: Any, before: Mapping[str, Tensor]) -> None:
    """Check that looks and losses draw nothing, and leave the batch unchanged."""
    with untouched(f"The look or a loss of phase {phase.name!r}"), torch.no_grad():
        seen = phase.look(batch)
        total = phase.total(batch)[0]
    with other_random_states(), torch.no_grad():
        seen_again = phase.look(batch)
        again = phase.total(batch)[0]
    changed = [f"batch.{name}" for name, value in _tensors(batch) if not torch.equal(value, before[name])]
    require(
        changed == [],
        f"Phase {phase.name!r} changed {first_few(changed)}: losses must not change their inputs in place.",
    )
    require(
        torch.equal(total, again) and all(torch.equal(seen_again[name], value) for name, value in seen.items()),
        f"The look or a loss of phase {phase.name!r} returned something else for the same batch: draw in "
        "Agent.prepare or "
        "Phase.draw, and read it from batch.drawn.",
    )


def _tensors(batch: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch by name: ``obs``, ``drawn.noise``."""
    for name, value in batch._asdict().items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", tensor) for key, tensor in value.items())
        else:
            yield name, value


def _check_waiting(phase: Phase, batch: Any) -> None:
    with HostReads() as spy:
        look(phase, batch)
        total, _ = phase.total(batch)
        torch.autograd.grad(total, phase.owned())
    require(
        spy.found == [],
        f"Phase {phase.name!r} waits for the device ({first_few(list(dict.fromkeys(spy.found)))}): leave out .item(), "
        "branches on values and boolean indexing, which no CUDA graph can hold.",
    )


def _check_compiled(phase: Phase, twin: Phase, batch: Any) -> None:
    """Check that a twin's look and loss, compiled without a graph break, return the same values and gradients."""
    if not phase.compiles:
        return
    total, gradients, seen = _computed(phase, batch, compiled=False)
    try:
        with warnings.catch_warnings():  # the compiler warns about itself
            warnings.simplefilter("ignore")
            compiled_total, compiled_gradients, compiled_seen = _computed(twin, batch, compiled=True)
    except Exception as error:
        raise ConformanceError(
            f"Phase {phase.name!r} does not compile as a whole ({cause_of(error)}): leave out hooks, branches on "
            "values, and torch.autograd.grad on an input, which torch.func.grad replaces."
        ) from error
    different = [name for name, value in seen.items() if not _close(compiled_seen[name], value, TOLERANCE)]
    if not _close(compiled_total, total, TOLERANCE):
        different.append("its loss")
    pairs = zip(compiled_gradients, gradients, strict=True)
    if not all(_close(compiled, eager, OF_GRADIENTS) for compiled, eager in pairs):
        different.append("a gradient")
    require(
        different == [],
        f"Phase {phase.name!r} compiled gives other values of {' and '.join(different)} than eager: leave out what the "
        "compiler does not see, such as Python numbers that change, and hooks.",
    )


def _computed(phase: Phase, batch: Any, *, compiled: bool) -> tuple[Tensor, tuple[Tensor, ...], Mapping[str, Tensor]]:
    total_of, look_of = phase.total, phase.look
    if compiled:
        total_of = as_one_region(total_of, "aot_eager")
        look_of = look_of if look_of is sees_nothing else as_one_region(look_of, "aot_eager")
    with torch.no_grad():
        seen = look_of(batch)
    total, _ = total_of(batch)
    return total, torch.autograd.grad(total, phase.owned()), seen


def _close(value: Tensor, expected: Tensor, relative: float) -> bool:
    """Whether two ways of computing agree: whole numbers exactly, others up to rounding at their largest."""
    if not expected.is_floating_point():
        return torch.equal(value, expected)
    absolute = TOLERANCE * max(1.0, expected.abs().max().item())
    return torch.allclose(value, expected, rtol=relative, atol=absolute)
