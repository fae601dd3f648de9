"""Phase and Agent: the only machinery between a paper's equations and a training loop."""

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
"""What is learned from: a ``Batch`` of transitions, ``Decisions`` of a rollout. Who does not say takes either."""

Seen = Mapping[str, Tensor]
Look = Callable[[Data], Seen]
Shared = Mapping[str, Tensor]
Prepare = Callable[[Data, Generator], Data]
Act = Callable[[Tensor, Generator | None], Tensor]
Combine = Callable[[tuple[Tensor, ...], list[Tensor]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Term(Generic[Data]):
    """One named equation of a paper and its weight. ``loss(batch, shared) -> scalar``, pure.

    ``first_update``: index of the first update in which it counts; before that its weight is 0.
    """

    loss: Callable[[Data, Shared], Tensor]
    weight: float = 1.0
    first_update: int = 0


@dataclass(frozen=True)
class OwnBatch(Generic[Data]):
    """A phase that does not learn from the update's minibatch but from a fresh one."""

    size: int
    prepare: Prepare[Data]


def draws_nothing(batch: Data, generator: Generator) -> Data:
    """A ``prepare`` that leaves the batch as it is."""
    return batch


def _nothing_shared(batch: Learnable) -> Shared:
    return {}


def _nothing() -> None:
    pass


def sees_nothing(batch: Learnable) -> Seen:
    """A look that computes nothing."""
    return {}


def _nothing_annealed(share: float) -> None:
    pass


@dataclass(frozen=True)
class Phase(Generic[Data]):
    """One optimizer step: weighted losses, the optimizer whose parameters they may change, a period.

    ``draw`` draws what this phase alone uses of random numbers, on top of ``Agent.prepare``, and only in updates in
    which it runs.
    ``look`` computes, without a gradient and before the losses, what this phase and later ones of the same update read
    of the networks: what it gives is added to ``batch.seen``. The weights it sees must not change in a phase between.
    ``share`` computes once what several terms read (a forward pass, a target); it is differentiated with them.
    ``every``: the phase runs in updates whose index is a multiple of it. ``after`` runs after the
    optimizer's step in updates whose index is a multiple of ``after_every``: moving targets.
    ``combine``: ``(weighted terms, owned parameters) -> their gradients``, where that is not the sum's.
    ``compiles``: whether its look and its losses can be compiled, where everything else is; otherwise they are computed
    as they are.
    ``accumulate``: parts that the batch is differentiated in, one after the other, to take less memory: their gradients
    are averaged. Its terms are then means over samples, and everything that they read has samples in its rows.
    ``max_gradient_norm``: longer gradients, of all owned parameters together, are scaled down to this length.
    ``anneal`` is told which share of training is done, 0..1, before updates and never inside a recorded one: it changes
    the learning rate, and numbers that losses read, where they lie (see ``anneal`` and ``set_learning_rate``).
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
        """Sum of the weighted terms, and each unweighted term by its log key ``phase/term``.

        begun: names of the terms that count, by default all. The others are computed and weigh nothing, so that what a
        phase differentiates does not depend on the update.
        """
        weighted, metrics = self.weighted(batch, begun)
        return torch.stack(weighted).sum(), metrics

    def weighted(
        self, batch: Data, begun: frozenset[str] | None = None
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """The weighted terms instead of their sum; all else as ``total``.

        Not in one tensor: whoever differentiated one term of it would go through the graphs of all.
        """
        shared = self.share(batch)
        values = {name: term.loss(batch, shared) for name, term in self.terms.items()}
        weights = {name: term.weight if begun is None or name in begun else 0.0 for name, term in self.terms.items()}
        weighted = tuple(values[name] * weight for name, weight in weights.items())
        return weighted, {f"{self.name}/{name}": value.detach() for name, value in values.items()}

    @property
    def differentiated(self) -> Terms[Data]:
        """What is differentiated: ``total``, or ``weighted`` where the phase combines its terms in a way of its own."""
        return self.total if self.combine is None else self.weighted

    def begun(self, index: int) -> frozenset[str]:
        """Names of the terms that count in an update."""
        return frozenset(name for name, term in self.terms.items() if index >= term.first_update)

    def owned(self) -> list[Tensor]:
        """The parameters that the optimizer steps: the only ones the losses are differentiated for."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


@dataclass(frozen=True)
class Rollouts:
    """How an agent learns from what its present policy does.

    Attributes:
        steps: of every environment between two rounds of updates.
        epochs: how often the updates of a round go through the rollout.
        minibatches: that it is cut into, anew in every epoch; each is one update.
        appraise: advantages and targets of a rollout that was judged.
        mark_epochs: whether an agent that marks pixels does so anew before each epoch, or once before all of them.
    """

    steps: int
    epochs: int
    minibatches: int
    appraise: Appraise
    mark_epochs: bool = False


@dataclass(frozen=True)
class Agent(Generic[Data]):
    """A learner. Methods are functions that return one; nobody inherits from it.

    networks: everything with weights, saved whole.
    act: ``(obs [batch, channel, height, width], generator or None) -> action``: drawn from the policy by the generator,
    which is of the networks' device, or without one the deterministic action. Float ``[batch, action_dim]`` in -1..1,
    or long ``[batch]`` where actions are discrete.
    prepare: augments a sampled batch and draws every random number its losses use, but for those of ``Phase.draw``.
    phases: run in order, once an update each (see Phase.every).
    batch_size: what an update samples; 0 where the loop cuts minibatches of its own from a rollout.
    maps: saliency that comes with the agent, by name: ``(obs, action) -> [batch, frames, height, width]``; one whose
    name ends in ``mask`` lies in 0..1.
    pictures: what the agent makes of observations, by name: ``obs -> [batch, frames * 3, height, width]`` in 0..255, as
    large as the observation or smaller.
    outputs: what the networks compute of observations, for scores that explain them: ``(networks, obs, ...)``, which
    reach weights through that argument alone; names and shapes as in ``saccade.policies.policy.OUTPUTS``.
    judge: ``(obs, action) -> (log_probability [batch], value [batch])`` of the policy as it is, without a gradient:
    asked once for a whole rollout, before its updates. None where an agent learns from transitions.
    mark: which pixels of a rollout's observations matter, by the policy as it is or by the simulator's own masks: asked
    once for a whole rollout, or for each of its epochs, and found in ``batch.seen["mask"]``. None where nobody reads
    it.
    rollouts: what it learns from, where that are rollouts.
    returns: what the rewards of sampled transitions are made of; None for the reward of one step.
    layer: dotted name, in ``networks``, of the layer whose maps Grad-CAM reads; None for the last convolution that is
    run, which is the right one unless a network looks at its maps by further convolutions.
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
    """The function ``(sample, generator, update_index) -> metrics`` that performs one whole update.

    ``sample(size)`` returns an unprepared batch. Metrics are detached scalars by log key, still on the device.
    With ``compile_losses`` each phase's look and its loss are one ``torch.compile(fullgraph=True)`` region each.

    Args:
        shortcut: hears of a compilation that failed, after which everything is computed as it would have been without,
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
    """A compiled look or loss, or the plain one once a compilation has failed; without a shortcut just the compiled.

    Nothing has been stepped when a compilation fails, so the plain one does the same work from the same state. What is
    called again the same way is compiled already: whatever goes wrong then is not the compiler's, and is raised.
    """
    if shortcut is None:
        return compiled
    worked: set[tuple[frozenset[str], ...]] = set()

    def call(batch: Learnable, *begun: frozenset[str]) -> Any:
        if shortcut.failure is not None:
            return plain(batch, *begun)
        if begun in worked:
            return compiled(batch, *begun)
        before = [(buffer, buffer.clone()) for buffer in networks.buffers()]  # a pass moves running statistics
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
    """A function compiled as a whole, or an error that says what cannot be."""
    # ``Phase.total`` of every phase of every agent in a process is a variant of one function, of which the compiler
    # by default allows eight.
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
    """The phases of one update with the batches that they learn from; each looks when the ones before it are done.

    batch: the prepared minibatch. looks: stand-ins for ``Phase.look``, by phase.
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
    """The batch with what a phase reads of the networks as they are now. Every phase looks before it is stepped."""
    seen = (look_of or phase.look)(batch)
    return batch._replace(seen={**batch.seen, **seen})


def step(phase: Phase[Data], batch: Data, index: int, total_of: Terms[Data] | None = None) -> dict[str, Tensor]:
    """One optimizer step of one phase on a batch that it has looked at; its unweighted terms by log key."""
    gradients, metrics = gradients_of(phase, total_of or phase.differentiated, batch, phase.begun(index))
    take_step(phase, gradients, index)
    return metrics


def gradients_of(phase: Phase[Data], total_of: Terms[Data], batch: Data, begun: frozenset[str]) -> Gradients:
    """The gradient of a phase's loss for each parameter that it owns, and its unweighted terms; changes nothing.

    total_of: ``phase.differentiated``, or the same compiled.
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
    """The same from parts of the batch, whose memory is free again before the next; weighted by their samples."""
    assert phase.combine is None, "what is combined is not a mean over samples"
    gradients, metrics = [torch.zeros_like(parameter) for parameter in phase.owned()], dict[str, Tensor]()
    for share, part in parts_of(batch, phase.accumulate):
        total, found = total_of(part, begun)
        torch._foreach_add_(gradients, list(torch.autograd.grad(total, phase.owned())), alpha=share)
        metrics = {name: value * share + metrics.get(name, 0.0) for name, value in found.items()}
    return tuple(gradients), metrics


def parts_of(batch: Data, parts: int) -> Iterator[tuple[float, Data]]:
    """So many parts of a batch, or fewer where they could not be as large, and each one's share of the samples."""
    fields: Any = batch

    def rows(value: Any, part: slice) -> Any:
        return {name: inner[part] for name, inner in value.items()} if isinstance(value, Mapping) else value[part]

    samples = len(fields[0])
    size = math.ceil(samples / parts)
    for first in range(0, samples, size):
        part = slice(first, first + size)
        yield min(size, samples - first) / samples, fields._make(rows(value, part) for value in fields)


def take_step(phase: Phase[Any], gradients: tuple[Tensor, ...], index: int) -> None:
    """The optimizer step of one phase with these gradients, and what follows on it in this update."""
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
    """Tell every phase which share of training is done, 0..1. Between updates, and never inside a recorded one."""
    for phase in agent.phases:
        phase.anneal(share)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters of an optimizer another learning rate; on a GPU in a tensor, which recorded updates read."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        elif group["params"][0].is_cuda:
            group["lr"] = torch.tensor(rate, device=group["params"][0].device)
        else:
            group["lr"] = rate


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """A gradient with its numbers where the parameter has its own: convolutions give it another order of memory.

    Fused optimizers step through both in that order and do not look at strides.
    """
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def in_order(*steps: Prepare[Data]) -> Prepare[Data]:
    """One ``prepare`` that runs several, left to right."""

    def prepare(batch: Data, generator: Generator) -> Data:
        return functools.reduce(lambda data, step_: step_(data, generator), steps, batch)

    return prepare


def with_drawn(batch: Data, **drawn: Tensor) -> Data:
    """The batch with further drawn tensors."""
    return batch._replace(drawn={**batch.drawn, **drawn})
