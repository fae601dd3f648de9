"""Check that a saliency method computes maps that can be trusted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saccade.saliency.method import Method
from saccade.testing.conformance import first_few, require
from saccade.testing.random_states import other_random_states, untouched
from saccade.testing.saliency_cases import (
    BATCH,
    CHANNELS,
    SIDE,
    Find,
    corner_score,
    linear_score,
    named_for,
    observations,
    score_for,
    small_network,
)
from saccade.types import Score

MARK = 7.0  # the gradient that parameters have before
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

Linear = Callable[[Tensor, Tensor], Tensor]
"""``(weights [channel, 1, 1], obs) -> map``, for the score that is the sum of weights times pixels."""


def weights_themselves(weights: Tensor, obs: Tensor) -> Tensor:
    """Return the map of a gradient: the weight of each pixel, whatever its colour."""
    return weights.expand_as(obs)


def check_saliency(
    method: Method | Find,
    *,
    linear: Linear | None = weights_themselves,
    reach: int | None = 0,
    hyperparameters: Mapping[str, Any] | None = None,
) -> None:
    """Let a method explain small networks whose maps are known, and check that it leaves nothing behind.

    Args:
        method: a row such as those of ``saccade.saliency.METHODS``, or ``(score, obs) -> map``. A method that is
            defined with a distance must be a row that names it.
        linear: returns the method's map for a score that is the sum of weights times pixels; None if it mixes
            neighbouring pixels.
        reach: how many pixels from the one pixel that a score depends on the map may be other than zero; None for
            methods as coarse as a network's last maps.
        hyperparameters: those that differ from the method's defaults.

    Raises:
        ConformanceError: one sentence with what was wrong, and what to do.
    """
    keywords = dict(hyperparameters or {})

    def find(score: Score, obs: Tensor) -> Tensor:
        return method(score, obs, **keywords)

    _check_what_is_left(method, find)
    _check_shape(method, find)
    _check_independence(method, find)
    _check_after_an_exception(method, find)
    if linear is not None:
        _check_linear(method, find, linear)
    if reach is not None:
        _check_ignored(method, find, reach)


def _check_shape(method: Method | Find, find: Find) -> None:
    net, obs = small_network(), observations()
    with untouched("The method"):
        found = find(score_for(method, net, obs), obs)
    shapes = [[BATCH, channels, SIDE, SIDE] for channels in (CHANNELS, 1)]
    require(
        list(found.shape) in shapes and found.dtype == obs.dtype,
        f"The map of {obs.dtype} {list(obs.shape)} is {found.dtype} {list(found.shape)}: return one of the same type, "
        "height and width, with a value for each channel or one for all.",
    )
    require(not found.requires_grad, "The map has a gradient: detach the result.")
    require(bool(found.isfinite().all()), "The map is NaN or infinite: look for a division by zero.")
    empty = [str(index) for index, one in enumerate(found) if not bool(one.any())]
    require(
        empty == [],
        f"The map of sample {first_few(empty)} is zero everywhere, although the score depends on every pixel of it: "
        "look for a detach on the way to it.",
    )
    with other_random_states():
        again = find(score_for(method, net, obs), obs)
    require(
        torch.equal(again, found),
        "The same method, score and observations gave two different maps: draw random numbers from a generator of "
        "your own, "
        "seeded by a keyword.",
    )


def _check_independence(method: Method | Find, find: Find) -> None:
    net, obs, others = small_network(), observations(), observations(seed=1)
    others[1] = obs[1]
    together = find(score_for(method, net, obs), obs)[1]
    among_others = find(score_for(method, net, others), others)[1]
    alone = find(score_for(method, net, obs).rows(torch.tensor([1])), obs[1:2])[0]
    for found, company in ((among_others, "other samples beside it"), (alone, "none beside it")):
        require(
            torch.allclose(found, together, rtol=1e-4, atol=1e-6),
            f"The map of a sample changes with {company}: each must depend on its own pixels alone, and be scaled by "
            "itself.",
        )


def _state_of(net: nn.Module) -> list[Any]:
    """Everything that a method could leave on modules: hooks, attributes, another class, another mode."""
    return [
        (type(module), module.training, sorted(vars(module)), [len(getattr(module, hook)) for hook in HOOKS])
        for module in net.modules()
    ]


def _check_what_is_left(method: Method | Find, find: Find) -> None:
    net, obs = small_network(), observations()
    net.head.eval()  # only a part, so that setting one mode for all is detected
    gradients = [torch.full_like(weight, MARK) for weight in net.parameters()]
    for weight, gradient in zip(net.parameters(), gradients, strict=True):
        weight.grad = gradient
    weights, pixels, score, before = (
        copy.deepcopy(net.state_dict()),
        obs.clone(),
        score_for(method, net, obs),
        _state_of(net),
    )
    find(score, obs)
    require(
        _state_of(net) == before,
        "The network is not what it was: a hook, an attribute or a mode is left on it; remove hooks in a finally, or "
        "explain a view of the network.",
    )
    for (name, weight), gradient in zip(net.named_parameters(), gradients, strict=True):
        require(
            weight.grad is gradient and bool((gradient == MARK).all()) and weight.requires_grad,
            f"The gradient of the parameter {name!r} was changed: differentiate with torch.autograd.grad for the "
            "pixels alone, and not with backward().",
        )
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, weights[name])]
    require(changed == [], f"The method changed {first_few(changed)}: it may read weights, but change only a copy.")
    require(
        torch.equal(obs, pixels) and not obs.requires_grad and obs.grad is None,
        "The method changed the observations, or left a gradient on them: detach and clone them first.",
    )


class _Interruption(Exception):
    """What a broken network raises."""


class _Broken(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        raise _Interruption


def _check_after_an_exception(method: Method | Find, find: Find) -> None:
    net, obs = small_network(), observations()
    score = score_for(method, net, obs)
    net.head[2] = _Broken()
    before, raised = _state_of(net), False
    try:
        find(score, obs)
    except _Interruption:
        raised = True
    require(raised, "The method swallowed what the network raised: let exceptions through.")
    require(
        _state_of(net) == before and torch.is_grad_enabled(),
        "After an exception in the network a hook, an attribute or a mode is left on it, or gradients are off: restore "
        "everything in a finally.",
    )


def _check_linear(method: Method | Find, find: Find, linear: Linear) -> None:
    score, weights = linear_score()
    obs = observations(dtype=torch.float64) - 0.3  # of both signs
    found, expected = find(named_for(method, score), obs), linear(weights, obs)
    require(
        found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-6, atol=1e-7),
        f"A score that is the sum of weights times pixels has the map {_numbers(expected)}, but the method gave "
        f"{_numbers(found)}: "
        "it is not what linear=... says.",
    )


def _numbers(values: Tensor) -> str:
    """A map in brief: its shape and its first pixel."""
    return f"{list(values.shape)} that begins with {[round(value, 4) for value in values[0, :, 0, 0].tolist()]}"


def _check_ignored(method: Method | Find, find: Find, reach: int) -> None:
    found = find(named_for(method, corner_score()), observations()).clone()
    require(
        bool(found[:, :, 0, 0].any()),
        "The only pixel that the score depends on has the value 0 in the map: a map must show what matters.",
    )
    found[:, :, : reach + 1, : reach + 1] = 0
    wrong = found.abs().amax((0, 1)).nonzero()
    require(
        len(wrong) == 0,
        f"The pixel {wrong[:1].tolist()[0] if len(wrong) else ''}, which the score ignores, has a value in the map: it "
        f"must be zero more than {reach} pixels from what the score looks at.",
    )
