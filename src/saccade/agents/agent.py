"""Phase and Agent: all that stands between a paper's equations and a training loop."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import torch
from torch import Generator, Tensor, nn
from typing_extensions import TypeVar

from saccade.agents.shortcuts import NETWORKS_LOCK, Shortcut, is_out_of_memory
from saccade.data.replay import Returns
from saccade.data.rollout import Appraise, Judge, Mark
from saccade.types import Learnable, UserError

COMPILED_VARIANTS = 256

Data = TypeVar("Data", bound=Learnable, default=Any)
"""What is learned from: a ``Batch`` of transitions or ``Decisions`` of a rollout; either one if unspecified."""

Seen = Mapping[str, Tensor]
Look = Callable[[Data], Seen]
Shared = Mapping[str, Tensor]
Prepare = Callable[[Data, Generator], Data]
Act = Callable[[Tensor, Generator | None], Tensor]
Combine = Callable[[tuple[Tensor, ...], list[Tensor]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Term(Generic[Data]):
    """One named equation of a paper and its weight: ``loss(batch, shared) -> scalar``, a pure function.

    ``first_update``: index of the first update in which it counts; before that its weight is 0.
    """

    loss: Callable[[Data, Shared], Tensor]
    weight: float = 1.0
    first_update: int = 0


@dataclass(frozen=True)
class OwnBatch(Generic[Data]):
    """A batch of a phase's own, sampled instead of the update's minibatch."""

    size: int
    prepare: Prepare[Data]


def draws_nothing(batch: Data, generator: Generator) -> Data:
    """Return the batch unchanged: a ``prepare`` that draws nothing."""
    return batch


def _nothing_shared(batch: Learnable) -> Shared:
    return {}


def _nothing() -> None:
    pass


def sees_nothing(batch: Learnable) -> Seen:
    """Return nothing: a look that computes nothing."""
    return {}


def _nothing_annealed(share: float) -> None:
    pass


@dataclass(frozen=True)
class Phase(Generic[Data]):
    """One optimizer step: weighted losses, the optimizer whose parameters they may change, and a period.

    ``draw`` draws the random numbers that only this phase uses, on top of ``Agent.prepare``, and only in updates in
    which the phase runs.
    ``look`` computes, without gradients and before the losses, what this phase and later ones of the same update read
    from the networks; its result is added to ``batch.seen``. No phase in between may change the weights that it uses.
    ``share`` computes once what several terms read (a forward pass, a target); it is differentiated with them.
    ``every``: the phase runs in updates whose index is a multiple of it. ``after`` runs after the optimizer's step in
    updates whose index is a multiple of ``after_every``: moving targets.
    ``combine``: ``(weighted terms, owned parameters) -> their gradients``, if these are not the gradients of the sum.
    ``compiles``: whether its look and its losses can be compiled when everything else is; otherwise they are always
    computed eagerly.
    ``accumulate``: the number of parts in which the batch is differentiated, one after the other, to save memory;
    gradients are averaged. Its terms must then be means over samples, and everything they read must have samples in
    rows.
    ``max_gradient_norm``: longer gradients, of all owned parameters together, are scaled down to this length.
    ``anneal`` is called with the share of training that is done, 0..1, between updates and never inside a recorded one:
    it changes the learning rate, and numbers that losses read, in place (see ``anneal`` and ``set_learning_rate``).
    """

    name: str
    terms: Mapping[str, Term[Data]]
    optimizer: torch.optim.Optimizer
    draw: Prepare[Data] = draws_nothing
    look: Look[Data] = sees_nothing
    share: Callable[[Data], Shared] = _nothing_shared
    every: int = 1
    after: Callable[[], None] = _nothing
    after_every: int = 1
    own_batch: OwnBatch[Data] | None = None
    combine: Combine | None = None
    compiles: bool = True
    accumulate: int = 1
    max_gradient_norm: float | None = None
    anneal: Callable[[float], None] = _nothing_annealed

    def total(self, batch: Data, begun: frozenset[str] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the weighted terms, and each unweighted term by its log key ``phase/term``.

        begun: names of the terms that count, by default all. The others are computed with weight 0, so that the graph
        does not depend on the update.
        """
        weighted, metrics = self.weighted(batch, begun)
        return torch.stack(weighted).sum(), metrics

    def weighted(
        self, batch: Data, begun: frozenset[str] | None = None
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return the weighted terms instead of their sum; otherwise like ``total``.

        They are not stacked in one tensor: differentiating one term would then go through the graphs of all.
        """
        shared = self.share(batch)
        values = {name: term.loss(batch, shared) for name, term in self.terms.items()}
        weights = {name: term.weight if begun is None or name in begun else 0.0 for name, term in self.terms.items()}
        weighted = tuple(values[name] * weight for name, weight in weights.items())
        return weighted, {f"{self.name}/{name}": value.detach() for name, value in values.items()}

    @property
    def differentiated(self) -> Terms[Data]:
        """What is differentiated: ``total``, or ``weighted`` if the phase has its own way of combining terms."""
        return self.total if self.combine is None else self.weighted

    def begun(self, index: int) -> frozenset[str]:
        """Return the names of the terms that count in an update."""
        return frozenset(name for name, term in self.terms.items() if index >= term.first_update)

    def owned(self) -> list[Tensor]:
        """Return the parameters that the optimizer steps: losses are differentiated for no others."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


@dataclass(frozen=True)
class Rollouts:
    """How an agent learns from rollouts of its current policy.

    Attributes:
        steps: steps of each environment between two rounds of updates.
        epochs: how often the updates of a round go through the rollout.
        minibatches: how many the rollout is split into, afresh in every epoch; each is one update.
        appraise: computes advantages and targets of a rollout that was judged.
        mark_epochs: whether an agent that marks pixels does so again before each epoch, or once before all of them.
    """

    steps: int
    epochs: int
    minibatches: int
    appraise: Appraise
    mark_epochs: bool = False


@dataclass(frozen=True)
class Agent(Generic[Data]):
    """A learner: networks, how they act, and the phases that train them. Methods are functions that return one.

    networks: everything with weights, saved whole.
    act: ``(obs [batch, channel, height, width], generator or None) -> action``: sampled from the policy by the
    generator, which is on the networks' device, or without one the deterministic action. Float ``[batch, action_dim]``
    in -1..1, or long ``[batch]`` if actions are discrete.
    prepare: augments a sampled batch and draws all random numbers that its losses use, except those of ``Phase.draw``.
    phases: run in order, once per update each (see Phase.every).
    batch_size: the size of an update's sample; 0 if the loop splits a rollout into minibatches of its own.
    maps: the agent's own saliency maps, by name: ``(obs, action) -> [batch, frames, height, width]``; a map whose
    name ends in ``mask`` lies in 0..1.
    pictures: pictures that the agent computes from observations, by name: ``obs -> [batch, frames * 3, height, width]``
    in 0..255, as large as the observation or smaller.
    outputs: what the networks output, for scores that explain them: ``(networks, obs, ...)``, which
    reach weights through that argument alone; names and shapes as in ``saccade.policies.policy.OUTPUTS``.
    judge: ``(obs, action) -> (log_probability [batch], value [batch])`` of the current policy, without gradients;
    called once for a whole rollout, before its updates. None if an agent learns from transitions.
    mark: marks which pixels of a rollout's observations matter, by the current policy or by the simulator's own masks;
    called once for a whole rollout, or for each of its epochs, with the result in ``batch.seen["mask"]``. None if no
    loss reads it.
    rollouts: how it learns from rollouts, if it does.
    returns: how rewards of sampled transitions are combined; None for the reward of one step.
    layer: dotted name, in ``networks``, of the layer whose maps Grad-CAM reads; None for the last convolution that
    runs, which is right unless a network processes its maps with further convolutions.
    """

    networks: nn.Module
    act: Act
    prepare: Prepare[Data]
    phases: tuple[Phase[Data], ...]
    batch_size: int
    maps: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)
    outputs: Mapping[str, Callable[..., Tensor]] = field(default_factory=dict)
    pictures: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    judge: Judge | None = None
    mark: Mark | None = None
    rollouts: Rollouts | None = None
    returns: Returns | None = None
    layer: str | None = None


Terms = Callable[[Data, frozenset[str]], tuple[Any, dict[str, Tensor]]]
"""What is differentiated, a sum or a tuple of terms, and each term by its log key."""
Gradients = tuple[tuple[Tensor, ...], dict[str, Tensor]]
Differentiate = Callable[[Data, frozenset[str]], Gradients]
Sample = Callable[[int], Data]
Update = Callable[[Sample[Data], Generator, int], dict[str, Tensor]]


def make_update(
    agent: Agent[Data], *, compile_losses: bool = False, backend: str = "inductor", shortcut: Shortcut | None = None
) -> Update[Data]:
    """Return a function ``(sample, generator, update_index) -> metrics`` that performs one whole update.

    ``sample(size)`` returns an unprepared batch. Metrics are detached scalars by log key, still on the device.
    With ``compile_losses`` each phase's look and its loss are one ``torch.compile(fullgraph=True)`` region each.

    Args:
        shortcut: is told about a compilation that failed, after which everything is computed eagerly,
            beginning with the very look or loss that failed. None raises what the compiler raises.
    """
    looks: dict[str, Look[Data]] = {phase.name: phase.look for phase in agent.phases}
    gradients: dict[str, Differentiate[Data]] = {
        phase.name: functools.partial(gradients_of, phase, phase.differentiated) for phase in agent.phases
    }
    if compile_losses:
        for phase in (phase for phase in agent.phases if phase.compiles):
            look, differentiate = looks[phase.name], gradients[phase.name]
            if look is not sees_nothing:
                looks[phase.name] = falling_back(as_one_region(look, backend), look, agent.networks, shortcut)
            compiled = functools.partial(gradients_of, phase, as_one_region(phase.differentiated, backend))
            gradients[phase.name] = falling_back(compiled, differentiate, agent.networks, shortcut)

    def update(sample: Sample[Data], generator: Generator, index: int) -> dict[str, Tensor]:
        batch = agent.prepare(sample(agent.batch_size), generator)
        metrics: dict[str, Tensor] = {}
        for phase, data in phases_due(agent, batch, sample, generator, index, looks):
            found, terms = gradients[phase.name](data, phase.begun(index))
            take_step(phase, found, index)
            metrics |= terms
        return metrics

    return update


def falling_back(
    compiled: Callable[..., Any], plain: Callable[..., Any], networks: nn.Module, shortcut: Shortcut | None
) -> Callable[..., Any]:
    """Return a compiled look or loss that falls back to the plain one if a compilation fails; not without a shortcut.

    Nothing has been stepped when a compilation fails, so the plain one does the same work from the same state. A
    second call of the same kind is compiled already: an error then is not the compiler's, and is raised.
    """
    if shortcut is None:
        return compiled
    worked: set[tuple[frozenset[str], ...]] = set()

    def call(batch: Learnable, *begun: frozenset[str]) -> Any:
        if shortcut.failure is not None:
            return plain(batch, *begun)
        if begun in worked:
            return compiled(batch, *begun)
        before = [(buffer, buffer.clone()) for buffer in networks.buffers()]  # a pass changes running statistics
        try:
            with NETWORKS_LOCK:
                result = compiled(batch, *begun)
        except Exception as error:
            if isinstance(error, UserError) or is_out_of_memory(error):
                raise
            shortcut.fail(error)
        else:
            worked.add(begun)
            return result
        for buffer, value in before:
            buffer.copy_(value)
        return plain(batch, *begun)

    return call


def as_one_region(function: Callable[..., Any], backend: str = "inductor") -> Callable[..., Any]:
    """Compile a function as a whole; raises an error that says what cannot be compiled."""
    # ``Phase.total`` of every phase of every agent in a process is a variant of one function, and the compiler
    # allows eight of them by default.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, COMPILED_VARIANTS)
    return torch.compile(function, fullgraph=True, backend=backend)


def phases_due(
    agent: Agent[Data],
    batch: Data,
    sample: Sample[Data],
    generator: Generator,
    index: int,
    looks: Mapping[str, Look[Data]] | None = None,
) -> Iterator[tuple[Phase[Data], Data]]:
    """Yield the phases of one update with the batches that they learn from; each looks once earlier ones are done.

    batch: the prepared minibatch. looks: replacements for ``Phase.look``, by phase.
    """
    for phase in agent.phases:
        if index % phase.every:
            continue
        own = phase.own_batch
        data = phase.draw(batch, generator) if own is None else own.prepare(sample(own.size), generator)
        data = look(phase, data, looks.get(phase.name) if looks else None)
        if own is None:
            batch = data
        yield phase, data


@torch.no_grad()
def look(phase: Phase[Data], batch: Data, look_of: Look[Data] | None = None) -> Data:
    """Return the batch with what a phase reads from the networks as they are now. Every phase looks before its step."""
    seen = (look_of or phase.look)(batch)
    return batch._replace(seen={**batch.seen, **seen})


def step(phase: Phase[Data], batch: Data, index: int, total_of: Terms[Data] | None = None) -> dict[str, Tensor]:
    """Take one optimizer step of one phase on a batch that it has looked at; return its unweighted terms by log key."""
    gradients, metrics = gradients_of(phase, total_of or phase.differentiated, batch, phase.begun(index))
    take_step(phase, gradients, index)
    return metrics


def gradients_of(phase: Phase[Data], total_of: Terms[Data], batch: Data, begun: frozenset[str]) -> Gradients:
    """Return the gradient of a phase's loss for each parameter it owns, and its unweighted terms; changes nothing.

    total_of: ``phase.differentiated``, or a compiled version.
    """
    if phase.accumulate > 1:
        return accumulated(phase, total_of, batch, begun)
    total, metrics = total_of(batch, begun)
    if phase.combine is not None:
        return phase.combine(total, phase.owned()), metrics
    # Differentiating only what the phase owns keeps, say, the actor's loss out of the critic, and is an error
    # where a loss never reaches a parameter that its optimizer owns.
    return torch.autograd.grad(total, phase.owned()), metrics


def accumulated(phase: Phase[Data], total_of: Terms[Data], batch: Data, begun: frozenset[str]) -> Gradients:
    """Compute these gradients from parts of the batch, one after the other, weighted by sample counts."""
    assert phase.combine is None, "what is combined is not a mean over samples"
    gradients, metrics = [torch.zeros_like(parameter) for parameter in phase.owned()], dict[str, Tensor]()
    for share, part in parts_of(batch, phase.accumulate):
        total, found = total_of(part, begun)
        torch._foreach_add_(gradients, list(torch.autograd.grad(total, phase.owned())), alpha=share)
        metrics = {name: value * share + metrics.get(name, 0.0) for name, value in found.items()}
    return tuple(gradients), metrics


def parts_of(batch: Data, parts: int) -> Iterator[tuple[float, Data]]:
    """Yield ``parts`` parts of a batch, or fewer if they could not be as large, each with its share of the samples."""
    fields: Any = batch

    def rows(value: Any, part: slice) -> Any:
        return {name: inner[part] for name, inner in value.items()} if isinstance(value, Mapping) else value[part]

    samples = len(fields[0])
    size = math.ceil(samples / parts)
    for first in range(0, samples, size):
        part = slice(first, first + size)
        yield min(size, samples - first) / samples, fields._make(rows(value, part) for value in fields)


def take_step(phase: Phase[Any], gradients: tuple[Tensor, ...], index: int) -> None:
    """Take the optimizer step of one phase with these gradients, and do what follows it in this update."""
    owned = phase.owned()
    for parameter, gradient in zip(owned, gradients, strict=True):
        parameter.grad = laid_out_as(parameter, gradient)
    if phase.max_gradient_norm is not None:
        torch.nn.utils.clip_grad_norm_(owned, phase.max_gradient_norm)
    phase.optimizer.step()
    phase.optimizer.zero_grad(set_to_none=True)
    if index % phase.after_every == 0:
        phase.after()


def anneal(agent: Agent[Any], share: float) -> None:
    """Pass the share of training that is done, 0..1, to every phase: between updates, never inside a recorded one."""
    for phase in agent.phases:
        phase.anneal(share)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of an optimizer; on a GPU in a tensor, which recorded updates read."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        elif group["params"][0].is_cuda:
            group["lr"] = torch.tensor(rate, device=group["params"][0].device)
        else:
            group["lr"] = rate


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient in its parameter's memory layout: convolutions may give it another one.

    Fused optimizers step through both in memory order and ignore strides.
    """
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def in_order(*steps: Prepare[Data]) -> Prepare[Data]:
    """Return one ``prepare`` that runs several, left to right."""

    def prepare(batch: Data, generator: Generator) -> Data:
        return functools.reduce(lambda data, step_: step_(data, generator), steps, batch)

    return prepare


def with_drawn(batch: Data, **drawn: Tensor) -> Data:
    """Return the batch with further drawn tensors."""
    return batch._replace(drawn={**batch.drawn, **drawn})
