"""Gradient surgery for two tasks (PCGrad; Yu et al., 2020): neither may undo what the other achieves."""

from __future__ import annotations

import torch
from torch import Tensor


def pcgrad(terms: tuple[Tensor, ...], owned: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients of the sum of two terms, each without its part against the other. A ``Phase.combine``.

    Over all parameters as one vector: if g1 and g2 have a negative product, the result is the sum of
    g1 - (g1.g2 / |g2|^2) g2 and g2 - (g1.g2 / |g1|^2) g1 (algorithm 1), otherwise g1 + g2. With two tasks the order in
    which they are projected makes no difference, so nothing is drawn.
    """
    assert len(terms) == 2, "more tasks would have to be projected in a random order"
    first, second = (
        torch.autograd.grad(term, owned, retain_graph=True, allow_unused=True, materialize_grads=True) for term in terms
    )
    product = sum_of_products(first, second)
    against = product < 0
    nothing = torch.zeros_like(product)
    # Where one of them is zero, so is the product, and nothing is projected.
    off_second = torch.where(against, product / sum_of_products(second, second), nothing)
    off_first = torch.where(against, product / sum_of_products(first, first), nothing)
    return tuple((1 - off_first) * one + (1 - off_second) * other for one, other in zip(first, second, strict=True))


def sum_of_products(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
    """The dot product of two lists of gradients, each list as one vector: a tensor of one number."""
    return torch.stack([(one * other).sum() for one, other in zip(first, second, strict=True)]).sum()
