"""Compute maps of a policy's moments by every method that can be right for it, and what each costs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from saccade.explain.channels import as_observations
from saccade.explain.episodes import Progress
from saccade.policies.policy import Policy
from saccade.policies.scores import default_score, has_score, make_score
from saccade.saliency import METHODS
from saccade.saliency.reduction import Over, per_frame
from saccade.types import UserError

ALL = "all"
FRAMES_AT_ONCE = 8  # on a CPU, between two signs of progress; larger batches are not faster there


@final
@dataclass(frozen=True)
class Find:
    """One way to compute maps for one policy.

    Attributes:
        maps: observations ``[batch, channel, height, width]`` -> signed maps ``[batch, frames or 1, height, width]``.
        score: the name of the score that they explain; None for maps that the network computes itself.
        on: ``(network, obs) -> maps`` with another network in the policy's place; None where that is impossible.
    """

    name: str
    maps: Callable[[Tensor], Tensor]
    summary: str
    source: str
    score: str | None
    on: Callable[[torch.nn.Module, Tensor], Tensor] | None = None


@final
@dataclass(frozen=True)
class MethodSettings:
    """Settings that apply to every saliency method.

    Attributes:
        score: what is explained by methods without a score of their own; None for the policy's default.
        max_batch: most samples that go through the network at once.
        seed: seed of the noise or masks of methods that draw any.
        over_colours: how the channels of a frame are combined: ``max`` or ``sum`` of the signed values.
        changes: other hyper-parameters by method: ``{"rise": {"masks": 500}}``.
    """

    score: str | None = None
    max_batch: int = 256
    seed: int = 0
    over_colours: Over = "max"
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


DEFAULT_SETTINGS = MethodSettings()


def names_of(policy: Policy) -> list[str]:
    """Return every method that can be asked for with this policy: the table's, and the maps it computes itself."""
    return [*METHODS, *policy.maps]


def chosen_methods(policy: Policy, asked: Sequence[str]) -> list[str]:
    """Return the methods' names, with ``all`` expanded. Raises UserError for one that does not exist."""
    known = names_of(policy)
    if not asked:
        raise UserError(f"No method was named: give --methods {ALL}, or some of {', '.join(known)}.")
    for name in asked:
        if name not in (ALL, *known):
            raise UserError(f"There is no saliency method {name!r} for this policy: choose from {', '.join(known)}.")
    return known if ALL in asked else list(dict.fromkeys(asked))


def finder(policy: Policy, name: str, settings: MethodSettings) -> Find:
    """Return the named method for a policy. Raises UserError if the policy lacks what it explains."""
    if name in policy.maps:
        return Find(
            name,
            lambda obs: policy.maps[name](obs, policy.greedy(obs)),
            f"{name.replace('_', ' ')}, computed by {policy.name} itself",
            policy.name,
            None,
        )
    method = METHODS[name]
    score_name = method.score or settings.score or default_score(policy)
    if not has_score(policy, score_name):
        raise UserError(f"{name} explains the score {score_name}, but {policy.name} has no such score.")

    def on(network: torch.nn.Module, obs: Tensor) -> Tensor:
        # A network's unperturbed output is its own; the action is always the policy's.
        stand_in = dataclasses.replace(policy, network=network)
        score = make_score(stand_in, score_name, obs, policy.greedy(obs))
        changes = settings.changes.get(name, {})
        if policy.layer is not None and "layer" in method.hyperparameters:
            changes = {"layer": policy.layer, **changes}
        found = method(score, obs, max_batch=settings.max_batch, seed=settings.seed, **changes)
        pixels = policy.pixels
        return per_frame(found, pixels.colours, frames=pixels.frames, sign="signed", over=settings.over_colours)

    return Find(name, lambda obs: on(policy.network, obs), method.summary, method.source, score_name, on)


def finders(
    policy: Policy, asked: Sequence[str], settings: MethodSettings, example: np.ndarray
) -> tuple[list[Find], dict[str, str]]:
    """Return the methods that can be right for a policy, and why the others are left out.

    A method that was asked for by name raises instead of being left out.

    Args:
        example: one observation, on which every method is tried.
    """
    found, left_out = [], {}
    obs = policy.tensor(example)[:1]
    if settings.score is not None:
        make_score(policy, settings.score, obs)  # raises here, once for all methods
    for name in chosen_methods(policy, asked):
        try:
            find = finder(policy, name, settings)
            _try(policy, find, settings, obs)
            found.append(find)
        except UserError as error:
            if ALL not in asked or name in asked:
                raise
            left_out[name] = str(error)
    if not found:
        raise UserError(f"No method can explain {policy.name}: " + " ".join(left_out.values()))
    return found, left_out


def noise_of(policy: Policy) -> np.ndarray:
    """Return an observation of noise to try methods on."""
    pixels = policy.pixels
    if pixels.normalised is None:
        return (np.random.default_rng(0).random(pixels.shape) * pixels.high).astype(pixels.dtype)
    return as_observations(pixels, np.random.default_rng(0).random(pixels.channels_first))


CHEAP = {"rise": {"masks": 4}, "integrated_gradients": {"steps": 2}}
"""Few samples, but enough to see whether a costly method can work at all."""


def _try(policy: Policy, find: Find, settings: MethodSettings, obs: Tensor) -> None:
    changes = {**settings.changes, **{name: {**settings.changes.get(name, {}), **less} for name, less in CHEAP.items()}}
    finder(policy, find.name, dataclasses.replace(settings, changes=changes)).maps(obs)


def groups(count: int, max_batch: int, device: torch.device) -> Iterator[slice]:
    """Yield slices of moments that are computed together."""
    size = min(FRAMES_AT_ONCE, max_batch) if device.type == "cpu" else max_batch
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def find_maps(
    policy: Policy, find: Find, obs: np.ndarray, max_batch: int, progress: Progress = lambda done, total: None
) -> tuple[np.ndarray, float]:
    """Compute signed maps ``[moments, frames or 1, height, width]`` in float32, and seconds per frame.

    Raises:
        UserError: a map is not finite.
    """
    parts = []
    start = time.perf_counter()
    for some in groups(len(obs), max_batch, policy.device):
        parts.append(find.maps(policy.tensor(obs[some])).detach().float().cpu().numpy())
        progress(some.stop, len(obs))
    seconds = (time.perf_counter() - start) / len(obs)
    maps = np.concatenate(parts)
    if not np.isfinite(maps).all():
        raise UserError(f"{find.name} gave NaN or infinity: are {policy.name}'s weights finite?")
    return maps, seconds


def seconds_alone(policy: Policy, find: Find, obs: np.ndarray, repeats: int = 3) -> float:
    """Measure the seconds for one frame on its own: the median of several tries."""
    one = policy.tensor(obs[:1])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        find.maps(one).cpu()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def magnitude(maps: np.ndarray) -> np.ndarray:
    """Reduce signed maps ``[moments, frames, height, width]`` to one unsigned map ``[moments, height, width]``.

    It is the largest magnitude over the frames of the stack, which is what is scored; pictures show the newest frame's.
    """
    return np.abs(maps).max(1)
