"""Checks around every saliency method: inputs for which its map would be wrong are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from saccade.saliency.checks import all_finite, check_frames, check_obs
from saccade.types import Score, UserError


def vouched_for(
    find: Callable[..., Tensor], score: Score, obs: Tensor, max_batch: int, frames: int, keywords: Mapping[str, Any]
) -> Tensor:
    """Return the map that ``find`` computes of checked observations, checked too. Raises UserError, see ``Method``."""
    check_obs(obs, max_batch)
    check_frames(frames, obs)
    if not all_finite(obs):
        raise UserError("The observations hold NaN or infinity: nothing can be explained there.")
    values: list[Tensor] = []
    # Even if the caller is in inference mode, gradients are needed, and tensors made there cannot have them.
    with torch.inference_mode(mode=False):
        given = tuple(value.clone() if value.is_inference() else value for value in score.given)
        watched = replace(score, function=_watched(score.function, values), given=given)
        pixels = obs.clone() if obs.is_inference() else obs
        found = find(watched, pixels, max_batch=max_batch, **keywords)
    _check_finite(score.network, torch.cat(values), found)
    return found


def _watched(function: Callable[..., Tensor], values: list[Tensor]) -> Callable[..., Tensor]:
    """The function of a score, which also records every value that it returns."""

    def watch(network: nn.Module, obs: Tensor, *given: Tensor) -> Tensor:
        value = function(network, obs, *given)
        if isinstance(value, Tensor):  # the caller checks whether it is a valid score
            values.append(value.detach().flatten())
        return value

    return watch


def _check_finite(network: nn.Module, values: Tensor, found: Tensor) -> None:
    if all_finite(values) and all_finite(found):
        return
    wrong = len(values) - int(values.isfinite().sum())
    culprit = next((name for name, weight in network.named_parameters() if not all_finite(weight)), None)
    what = f"The score is NaN or infinite in {wrong} of {len(values)} evaluations" if wrong else "The map has NaN in it"
    why = f"the network's weights {culprit!r} hold NaN or infinity" if culprit else "the network's outputs overflow"
    raise UserError(f"{what}, since {why}: there is nothing to explain until that is fixed.")
