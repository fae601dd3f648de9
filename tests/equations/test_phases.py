"""How the weighted terms of a phase become gradients, and what a phase changes as training goes on."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Generator, Tensor, nn

from saccade.agents.agent import (
    Agent,
    Phase,
    Shared,
    Term,
    anneal,
    draws_nothing,
    make_update,
    parts_of,
    set_learning_rate,
)
from saccade.types import Batch

RATE = 0.1
EMPTY = Batch(*(torch.zeros(1) for _ in range(5)))


def square(weights: nn.Parameter) -> Term[Batch]:
    def loss(batch: Batch, shared: Shared) -> Tensor:
        return weights.square().sum()

    return Term(loss, weight=0.5)


def difference(weights: nn.Parameter) -> Term[Batch]:
    def loss(batch: Batch, shared: Shared) -> Tensor:
        return weights[1] - weights[0]

    return Term(loss, weight=3.0)


def agent_with(**changes: object) -> tuple[Agent[Batch], nn.Parameter]:
    """Stochastic gradient descent on two terms of two weights, which begin as 1 and 2."""
    networks = nn.Module()
    weights = networks.weights = nn.Parameter(torch.tensor([1.0, 2.0]))
    phase = Phase(
        "toy", {"square": square(weights), "difference": difference(weights)}, torch.optim.SGD([weights], RATE)
    )
    phases = (dataclasses.replace(phase, **changes),)
    return Agent(networks, lambda obs, noise: obs, draws_nothing, phases, batch_size=1), weights


def updated(agent: Agent[Batch], **options: object) -> dict[str, Tensor]:
    return make_update(agent, **options)(lambda size: EMPTY, Generator(), 0)


def test_weighted_terms_and_their_sum_by_hand() -> None:
    # Squares 1 + 4 = 5, of which half; 2 - 1 = 1, three times.
    agent, _ = agent_with()
    weighted, metrics = agent.phases[0].weighted(EMPTY)
    assert weighted == (2.5, 3.0) and agent.phases[0].total(EMPTY)[0].item() == 5.5
    assert {name: value.item() for name, value in metrics.items()} == {"toy/square": 5.0, "toy/difference": 1.0}
    assert agent.phases[0].weighted(EMPTY, frozenset({"square"}))[0] == (2.5, 0.0)


def test_by_default_the_sum_is_differentiated() -> None:
    # Gradients (1, 2) and (-3, 3) add up to (-2, 5).
    agent, weights = agent_with()
    updated(agent)
    torch.testing.assert_close(weights.detach(), torch.tensor([1 + 0.2, 2 - 0.5]))


def of_the_longest(terms: Tensor, owned: list[Tensor]) -> tuple[Tensor, ...]:
    """The gradient of the term whose gradient is longest."""
    found = [torch.autograd.grad(term, owned, retain_graph=True) for term in terms]
    lengths = torch.stack([torch.stack([gradient.norm() for gradient in one]).norm() for one in found])
    return tuple(torch.stack(choices)[lengths.argmax()] for choices in zip(*found, strict=True))


@pytest.mark.parametrize("options", [{}, {"compile_losses": True, "backend": "aot_eager"}], ids=["eager", "compiled"])
def test_a_phase_may_combine_the_gradients_of_its_terms_itself(options: dict[str, object]) -> None:
    # (1, 2) is shorter than (-3, 3), which alone counts.
    torch.compiler.reset()
    agent, weights = agent_with(combine=of_the_longest)
    metrics = updated(agent, **options)
    torch.testing.assert_close(weights.detach(), torch.tensor([1 + 0.3, 2 - 0.3]))
    assert metrics["toy/difference"].item() == 1.0


FIVE = Batch(torch.zeros(5, 1), *(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]) for _ in range(4)))


@pytest.mark.parametrize(("parts", "sizes"), [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (4, [2, 2, 1]), (9, [1] * 5)])
def test_parts_of_a_batch_by_hand(parts: int, sizes: list[int]) -> None:
    batch = FIVE._replace(seen={"numbers": FIVE.reward})
    found = list(parts_of(batch, parts))
    assert [len(part.reward) for _, part in found] == sizes
    assert [share for share, _ in found] == [size / 5 for size in sizes]
    assert torch.equal(torch.cat([part.seen["numbers"] for _, part in found]), FIVE.reward)


@pytest.mark.parametrize("options", [{}, {"compile_losses": True, "backend": "aot_eager"}], ids=["eager", "compiled"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_phase_may_learn_from_its_batch_in_parts(parts: int, options: dict[str, object]) -> None:
    # The mean of (w r)^2 over r = 1..5 is 11 w^2, whose gradient at 1 is 22, and at 2 44; a tenth of it is stepped. The
    # means of the parts alone, 14/3 and 41/2, would make another.
    torch.compiler.reset()
    agent, weights = agent_with(accumulate=parts)

    def mean_square(batch: Batch, shared: Shared) -> Tensor:
        return (weights[:, None] * batch.reward).square().mean(1).sum()

    phases = (dataclasses.replace(agent.phases[0], terms={"square": Term(mean_square)}),)
    agent = dataclasses.replace(agent, phases=phases)
    metrics = make_update(agent, **options)(lambda size: FIVE, Generator(), 0)
    torch.testing.assert_close(weights.detach(), torch.tensor([1 - 2.2, 2 - 4.4]))
    assert metrics["toy/square"].item() == pytest.approx(11 + 44)


def test_a_phase_anneals_what_it_steps_with() -> None:
    optimizers: list[torch.optim.Optimizer] = []
    agent, weights = agent_with(anneal=lambda share: set_learning_rate(optimizers[0], RATE * (1 - share)))
    optimizers.append(agent.phases[0].optimizer)
    anneal(agent, 0.75)
    updated(agent)
    torch.testing.assert_close(weights.detach(), torch.tensor([1 + 0.05, 2 - 0.125]))
    anneal(agent, 1.0)
    before = weights.detach().clone()
    updated(agent)
    assert torch.equal(weights, before)


def test_a_learning_rate_in_a_tensor_stays_there() -> None:
    weights = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weights], lr=torch.tensor(0.5), fused=True)
    rate = optimizer.param_groups[0]["lr"]
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25
    weights.grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close(weights.detach(), torch.full((2,), 0.75))  # Adam's first step is as long as its rate
