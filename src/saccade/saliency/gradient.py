"""The gradient of a score with respect to the pixels: the vanilla gradient (Simonyan et al., 2014)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saccade.saliency.batches import Run, batch_size, in_fast_layout, rows_of, slices
from saccade.saliency.checks import IGNORED, check_gradient_explains, check_obs, check_value
from saccade.types import Score, UserError


def gradient(score: Score, obs: Tensor, *, max_batch: int = 256) -> Tensor:
    """Return the derivative of each sample's score with respect to its own pixels, signed, in the shape of ``obs``.

    Parameters get no gradient, and nothing is left on the network. With the score ``confidence`` this is DIGR's
    gradient.

    Raises:
        UserError: the score is a distance, does not depend on the observation, or is not one number per sample.
    """
    return by_samples(derivative, score, obs, max_batch)


def by_samples(run: Run, score: Score, obs: Tensor, max_batch: int) -> Tensor:
    """Return a map in the shape of ``obs``, computed by ``run`` for at most ``max_batch`` samples at once."""
    check_obs(obs, max_batch)
    check_gradient_explains(score)
    run = in_fast_layout(run)
    found = [
        run(rows_of(score, samples, obs), obs[samples]) for samples in slices(len(obs), batch_size(obs, max_batch))
    ]
    return (found[0] if len(found) == 1 else torch.cat(found)).contiguous()


def differentiable_derivative(score: Callable[[Tensor], Tensor], obs: Tensor) -> Tensor:
    """Return the gradient of one batch in a form that losses can differentiate by weights (double backward).

    It compiles too, and never waits for the device. score: ``[batch]``, with a graph to its weights.
    """
    if torch.compiler.is_compiling():  # autograd.grad on an input does not trace
        return torch.func.grad(lambda pixels: score(pixels).sum())(obs)
    with torch.enable_grad():  # the same numbers in less time
        pixels = obs.detach().requires_grad_()
        return torch.autograd.grad(score(pixels).sum(), pixels, create_graph=True)[0]


def derivative(
    score: Callable[[Tensor], Tensor], obs: Tensor, *, inspect: Callable[[Tensor], None] | None = None
) -> Tensor:
    """Return the gradient of one batch without checks, as losses use it: it compiles, and never waits for the device.

    inspect: called with the score ``[batch]`` and its graph before differentiation; not called while compiling.
    """
    if torch.compiler.is_compiling():  # autograd.grad on an input does not trace
        with torch.no_grad():
            return torch.func.grad(lambda pixels: score(pixels).sum())(obs)
    with torch.enable_grad():  # the same numbers in two thirds of the time
        pixels = obs.detach().requires_grad_()
        value = score(pixels)
        check_value(value, len(obs))
        if inspect is not None:
            inspect(value)
        found = torch.autograd.grad(value.sum(), pixels, allow_unused=True)[0] if value.requires_grad else None
    if found is None:
        raise UserError(IGNORED)
    return found
