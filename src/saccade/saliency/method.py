"""The type of a saliency method by name: it refuses inputs for which its map would be wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from saccade.types import Score, UserError

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True)
class Method:
    """One row of ``METHODS``: ``method(score, obs)`` computes a map and vouches for it.

    Attributes:
        find: ``(score, obs, *, max_batch, ...) -> map``; it is given ``frames`` and ``seed`` if it has such keywords.
        summary: what the map shows, for tables.
        source: the paper that defines it.
        score: name of the one score that the method is defined with and accepts: with another one its map would be
            another method's, under this name. None: any score.
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
        """Return a map per observation: ``[batch, channel, h, w]``, ``[batch, frames, h, w]`` or ``[batch, 1, h, w]``.

        Args:
            obs: float ``[batch, channel, height, width]``, in the range that the network expects.
            max_batch: most pictures that go through the network at once; the map does not depend on it.
            frames: for perturbation methods, how many groups of channels are perturbed, one at a time.
            seed: for methods that draw random numbers.
            changes: ``hyperparameters`` that differ from the defaults.

        Raises:
            UserError: a map of this score and these observations would be wrong or meaningless; the message says why.
        """
        unknown = [name for name in changes if name not in self.hyperparameters]
        if unknown:
            have = ", ".join(self.hyperparameters)
            raise UserError(f"The method has no hyper-parameter {unknown[0]!r}: it has {have}.")
        self._check_score(score)
        from saccade.saliency.vouching import vouched_for  # loads torch, which a list of the methods does not need

        everywhere = {"frames": frames, "seed": seed}
        changes |= {name: value for name, value in everywhere.items() if name in self.hyperparameters}
        return vouched_for(self.find, score, obs, max_batch, frames, changes)

    def _check_score(self, score: Score) -> None:
        if self.score is None or score.name == self.score:
            return
        given = f"the score {score.name!r}" if score.name else "a score that has no name"
        module = getattr(self.find, "module", None) or self.find.__module__
        name = getattr(self.find, "name", None) or getattr(self.find, "__name__", "the function")
        raise UserError(
            f"This method ({self.summary}) is defined with the score {self.score!r}, but was given {given}, whose map "
            f"would be another one under its name: make it with make_score(policy, {self.score!r}, obs), give its name "
            f"to a score of your own, or call {name} of {module} with the score that you mean."
        )
