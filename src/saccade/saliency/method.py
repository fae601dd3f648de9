"""A saliency method by name, behind a door that refuses what it could only get wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from saccade.saliency.checks import all_finite, check_frames, check_obs
from saccade.types import Score, UserError


@final
@dataclass(frozen=True)
class Method:
    """One line of ``METHODS``: ``method(score, obs)`` finds a map and vouches for it.

    Attributes:
        find: ``(score, obs, *, max_batch, ...) -> map``; ``frames`` and ``seed`` reach it where it has such keywords.
        summary: what the map shows, for tables.
        source: where it is defined.
        score: name of the score that the method is defined with, and the only one that it takes: of another one its
            map would be another method's, under this name. None: whichever is to be explained.
        gradient_based: whether it needs gradients, and so cannot explain a distance.
    """

    find: Callable[..., Tensor]
    summary: str
    source: str
    gradient_based: bool
    score: str | None = None

    @functools.cached_property
    def hyperparameters(self) -> Mapping[str, Any]:
        """The keywords of ``find`` and their defaults."""
        parameters = inspect.signature(self.find).parameters.values()
        return {
            parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY
        }

    def __call__(
        self, score: Score, obs: Tensor, *, max_batch: int = 256, frames: int = 1, seed: int = 0, **changes: Any
    ) -> Tensor:
        """The map of every observation: ``[batch, channel, h, w]``, ``[batch, frames, h, w]`` or ``[batch, 1, h, w]``.

        Args:
            obs: float ``[batch, channel, height, width]``, in the range that the network expects.
            max_batch: how many pictures may go through the network at once; the map does not depend on it.
            frames: of perturbation methods, in how many parts of the channels they perturb, one at a time.
            seed: of methods that draw random numbers.
            changes: other ``hyperparameters`` than the defaults.

        Raises:
            UserError: a map of this score and these observations would be wrong or meaningless: the message says why.
        """
        unknown = [name for name in changes if name not in self.hyperparameters]
        if unknown:
            have = ", ".join(self.hyperparameters)
            raise UserError(f"The method has no hyper-parameter {unknown[0]!r}: it has {have}.")
        self._check_score(score)
        check_obs(obs, max_batch)
        check_frames(frames, obs)
        if not all_finite(obs):
            raise UserError("The observations hold NaN or infinity: nothing can be explained there.")
        everywhere = {"frames": frames, "seed": seed}
        changes |= {name: value for name, value in everywhere.items() if name in self.hyperparameters}
        values: list[Tensor] = []
        # Whoever is in inference mode, gradients are needed here, and tensors made there cannot have them.
        with torch.inference_mode(mode=False):
            given = tuple(value.clone() if value.is_inference() else value for value in score.given)
            watched = replace(score, function=_watched(score.function, values), given=given)
            pixels = obs.clone() if obs.is_inference() else obs
            found = self.find(watched, pixels, max_batch=max_batch, **changes)
        _check_finite(score.network, torch.cat(values), found)
        return found

    def _check_score(self, score: Score) -> None:
        if self.score is None or score.name == self.score:
            return
        given = f"the score {score.name!r}" if score.name else "a score that has no name"
        function = getattr(self.find, "func", self.find).__name__
        raise UserError(
            f"This method ({self.summary}) is defined with the score {self.score!r} and was given {given}, whose map "
            f"would be another one under its name: make it with make_score(policy, {self.score!r}, obs), name a score "
            f"of your own so, or call saccade.saliency.{function} with the score that you mean."
        )


def _watched(function: Callable[..., Tensor], values: list[Tensor]) -> Callable[..., Tensor]:
    """The function of a score, and a record of everything that it gives."""

    def watch(network: nn.Module, obs: Tensor, *given: Tensor) -> Tensor:
        value = function(network, obs, *given)
        if isinstance(value, Tensor):  # whether it is what a score must give is checked by whoever asked for it
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
    raise UserError(f"{what}, since {why}: there is nothing to explain until that is mended.")
