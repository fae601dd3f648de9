"""An attack by name, which checks its arguments before it runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from saccade.types import Score, UserError

if TYPE_CHECKING:
    from torch import Tensor

LEAST = {"steps": 1, "restarts": 1, "step_share": 0.0, "momentum": 0.0, "nudge": 0.0}


@final
@dataclass(frozen=True)
class Attack:
    """One entry of ``ATTACKS``: ``attack(score, obs, budget)`` returns observations within the budget around ``obs``.

    Attributes:
        find: ``(score, box, noise, *, hyperparameters) -> obs`` inside the box.
        summary: what it does, for tables.
        source: where it is defined.
        gradients: whether it follows a gradient; else it is a baseline that knows nothing of the policy.
        distance: whether it climbs a distance from what the policy does, and takes no other score.
        of_another: whether its score is to be another policy's than the one that is then shown what it found.
    """

    find: Callable[..., Tensor]
    summary: str
    source: str
    gradients: bool = True
    distance: bool = False
    of_another: bool = False

    @functools.cached_property
    def hyperparameters(self) -> Mapping[str, Any]:
        """Keywords of ``find`` and their defaults."""
        parameters = inspect.signature(self.find).parameters.values()
        return {
            parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY
        }

    def __call__(
        self,
        score: Score,
        obs: Tensor,
        budget: float | Sequence[float],
        *,
        high: float = 255.0,
        channels: int | None = None,
        whole_pixels: bool = True,
        seed: int | Sequence[int] = 0,
        max_batch: int = 256,
        **changes: Any,
    ) -> Tensor:
        """Return observations with a higher score, in which no pixel differs from ``obs`` by more than the budget.

        Args:
            obs: float ``[batch, channel, height, width]`` in 0..high, as the network takes them.
            budget: in steps of a pixel of one byte: 4 is 4/255 of ``high``; or one for each sample. 0 gives
                the observations back.
            channels: how many of the last channels may change, such as those of the newest frame; None for all.
            whole_pixels: whether to round the result to whole bytes, as in a camera's picture.
            seed: seed of the random numbers, or one for each sample.
            max_batch: number of pictures that go through the network at once; the result does not depend on it.
            changes: ``hyperparameters`` that differ from the defaults.

        Raises:
            UserError: a budget below 0, a score that this attack cannot climb, or observations that are no pictures.
        """
        from saccade.attacks.box import box_around  # loads torch, which listing the attacks does not need
        from saccade.attacks.searching import searched

        self._check(score, changes, max_batch)
        box = box_around(obs, budget, high=high, channels=channels)
        if not (any(budget) if isinstance(budget, Sequence) else budget):
            return obs.clone()
        starts = int({**self.hyperparameters, **changes}.get("restarts", 1))
        find = functools.partial(self.find, **changes)
        return searched(find, score, box, seed, max(1, max_batch // starts), whole_pixels)

    def _check(self, score: Score, changes: Mapping[str, Any], max_batch: int) -> None:
        for name, value in changes.items():
            if name not in self.hyperparameters:
                have = ", ".join(self.hyperparameters) or "none"
                raise UserError(f"The attack has no hyper-parameter {name!r}: it has {have}.")
            if name in LEAST and not value >= LEAST[name]:
                raise UserError(f"{name} {value:g} is too small: use {LEAST[name]:g} or more.")
        if max_batch < 1:
            raise UserError(f"max_batch {max_batch} is too small: use 1 or more.")
        if self.distance and not score.distance:
            raise UserError(
                f"This attack ({self.summary}) climbs how far the policy is from what it does at the clean "
                "observation, and the score is no such distance: attack the policy's divergence."
            )
