"""`Rollout`: the steps that one policy made in every environment, and their values, until it has learned from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from saccade.data.actions import action_dtype
from saccade.types import Decisions, Spaces

JUDGED_AT_ONCE = 512  # observations per pass, so that a long rollout need not fit all its features into memory

Judge = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(obs, action) -> (log_probability [batch], value [batch])``."""


Mark = Callable[[Tensor, Tensor, Tensor | None, Generator], Tensor]
"""``(obs, action, the simulator's own masks or None, generator) -> masks``, bool ``[batch, frames, height, width]``."""


class Outcome(NamedTuple):
    """The outcome of a rollout, from which advantages are computed: each ``[steps, envs]`` except ``last_value``."""

    reward: Tensor
    terminated: Tensor  # bool
    truncated: Tensor  # bool
    value: Tensor  # of the observations that were acted on
    truncated_value: Tensor  # of the last observation of an episode that was truncated; 0 elsewhere
    last_value: Tensor  # [envs], of the observations after the last step


Appraise = Callable[[Outcome], tuple[Tensor, Tensor]]
"""``outcome -> (advantage, target)``, each ``[steps, envs]``."""


class Minibatch(NamedTuple):
    """Decisions on the device where they will be learned from."""

    decisions: Decisions

    def batch(self) -> Decisions:
        return self.decisions

    def to(self, device: torch.device) -> Minibatch:
        """Return itself: a rollout is stored where it is learned from."""
        return self


@final
class Rollout:
    """The steps of every environment that a policy is updated with; filled, judged, sampled and emptied again.

    Everything stays at the same place in memory, so that updates which read it can be recorded as CUDA graphs.

    Args:
        steps: of each environment.
        num_envs: environments, which are stepped together.
        spaces: their spaces.
        device: where it is stored and learned from.
        minibatch: decisions in a minibatch.
        masked: whether decisions are learned from with masks of their observations, which ``marked`` computes.
        knows_truth: whether it stores the simulator's own masks.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        spaces: Spaces,
        device: torch.device,
        minibatch: int,
        *,
        masked: bool = False,
        knows_truth: bool = False,
    ) -> None:
        self.steps, self.num_envs, self.device, self.minibatch = steps, num_envs, device, minibatch
        self.filled = 0
        channels, height, width = spaces.obs_shape
        # Channels last, as convolutions prefer in most precisions: put into that order once, and not in every
        # epoch.
        self._obs = self._zeros(height, width, channels, dtype=torch.uint8)
        self._action = self._zeros(*spaces.actions.shape, dtype=action_dtype(spaces.actions))
        self._reward, self._value, self._log_probability, self._advantage, self._target = (
            self._zeros() for _ in range(5)
        )
        frames = (channels // spaces.colours, height, width)
        self._mask = self._zeros(*frames, dtype=torch.bool) if masked else None
        self._truth = self._zeros(*frames, dtype=torch.bool) if knows_truth else None
        self._terminated, self._truncated = (self._zeros(dtype=torch.bool) for _ in range(2))
        self._cut: dict[
            tuple[int, int], Tensor
        ] = {}  # last observations of truncated episodes, by step and environment
        self._chosen = torch.zeros(minibatch, dtype=torch.int64, device=device)

    def _zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(self.steps, self.num_envs, *shape, dtype=dtype, device=self.device)

    @staticmethod
    def bytes_needed(
        steps: int, num_envs: int, spaces: Spaces, *, masked: bool = False, knows_truth: bool = False
    ) -> int:
        """Return the bytes of its observations and of its other data per pixel; everything else is small."""
        pixels = int(np.prod(spaces.obs_shape))
        return steps * num_envs * (pixels + (masked + knows_truth) * pixels // spaces.colours)

    @property
    def is_full(self) -> bool:
        return self.filled == self.steps

    def add(
        self,
        obs: Tensor,
        action: Tensor,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        last_obs: NDArray[np.uint8],
        truth: NDArray[np.bool_] | None = None,
    ) -> None:
        """Store a step of every environment.

        Args:
            obs: uint8 ``[envs, ...]``, the observations that were acted on.
            last_obs: of the episodes that have ended, in order.
            truth: bool ``[envs, frames, height, width]``, the simulator's own masks of ``obs``, if they are known.
        """
        step = self.filled
        self._obs[step].copy_(obs.permute(0, 2, 3, 1))
        self._action[step].copy_(action)
        self._reward[step].copy_(torch.from_numpy(reward.astype(np.float32)))
        if self._truth is not None:
            assert truth is not None, "an environment that knows the truth tells it"
            self._truth[step].copy_(torch.from_numpy(truth))
        self._terminated[step].copy_(torch.from_numpy(terminated))
        self._truncated[step].copy_(torch.from_numpy(truncated & ~terminated))
        for place, index in enumerate(np.flatnonzero(terminated | truncated)):
            if truncated[index] and not terminated[index]:
                self._cut[step, int(index)] = torch.from_numpy(last_obs[place].copy())
        self.filled += 1

    @torch.no_grad()
    def judged(self, judge: Judge, appraise: Appraise, next_obs: Tensor) -> None:
        """Let the policy that made it value a full rollout, once, before it learns.

        next_obs: uint8 ``[envs, ...]``, the observations after the last step.
        """
        assert self.is_full, "a rollout is judged when it is full"
        log_probability, value = self._log_probability.flatten(), self._value.flatten()
        obs, action = self._obs.flatten(0, 1).permute(0, 3, 1, 2), self._action.flatten(0, 1)
        for first in range(0, len(obs), JUDGED_AT_ONCE):
            part = slice(first, first + JUDGED_AT_ONCE)
            log_probability[part], value[part] = judge(obs[part], action[part])
        truncated_value = torch.zeros_like(self._value)
        if self._cut:
            rows, columns = zip(*self._cut, strict=True)
            last = torch.stack(list(self._cut.values())).to(self.device)
            truncated_value[list(rows), list(columns)] = judge(last, action[: len(last)])[1]
        _, last_value = judge(next_obs, action[: self.num_envs])
        outcome = Outcome(self._reward, self._terminated, self._truncated, self._value, truncated_value, last_value)
        advantage, target = appraise(outcome)
        self._advantage.copy_(advantage)
        self._target.copy_(target)

    def marked(self, mark: Mark, generator: Generator) -> None:
        """Let the current policy mark which pixels of a full rollout matter, until it is called again."""
        assert self.is_full and self._mask is not None, "a rollout is marked when it is full, if it has masks"
        obs, action = self._obs.flatten(0, 1).permute(0, 3, 1, 2), self._action.flatten(0, 1)
        mask, truth = self._mask.flatten(0, 1), None if self._truth is None else self._truth.flatten(0, 1)
        for first in range(0, len(obs), JUDGED_AT_ONCE):
            part = slice(first, first + JUDGED_AT_ONCE)
            mask[part] = mark(obs[part], action[part], None if truth is None else truth[part], generator)

    def minibatches(self, generator: Generator) -> Iterator[None]:
        """Put every decision into one minibatch, at random; each is what ``draw`` returns until the next.

        What does not fill a minibatch is left out.
        """
        order = torch.randperm(self.steps * self.num_envs, generator=generator, device=self.device)
        for first in range(0, len(order) - self.minibatch + 1, self.minibatch):
            self._chosen.copy_(order[first : first + self.minibatch])
            yield

    def draw(self, size: int, generator: Generator) -> Minibatch:
        """Return the decisions of the current minibatch, whatever the size: a copy."""

        def chosen(value: Tensor) -> Tensor:
            return value.flatten(0, 1).index_select(0, self._chosen)

        return Minibatch(
            Decisions(
                obs=chosen(self._obs).permute(0, 3, 1, 2),
                action=chosen(self._action),
                log_probability=chosen(self._log_probability),
                value=chosen(self._value),
                advantage=chosen(self._advantage),
                target=chosen(self._target),
                seen={} if self._mask is None else {"mask": chosen(self._mask)},
            )
        )

    def empty(self) -> None:
        """Start over with no steps."""
        self.filled = 0
        self._cut.clear()

    def state_tensors(self) -> dict[str, Tensor]:
        """Return what was filled so far, for a checkpoint."""
        cut = {f"cut/{step}/{env}": obs for (step, env), obs in self._cut.items()}
        return {name: value[: self.filled] for name, value in self._steps().items()} | cut

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what ``state_tensors`` returned. Raises ValueError if it does not fit."""
        self.empty()
        steps = self._steps()
        self.filled = len(tensors["reward"])
        for name, value in tensors.items():
            if name in steps:
                steps[name][: self.filled].copy_(value)
            else:
                _, step, env = name.split("/")
                self._cut[int(step), int(env)] = value

    def _steps(self) -> dict[str, Tensor]:
        truth = {} if self._truth is None else {"truth": self._truth}
        return truth | {
            "obs": self._obs,
            "action": self._action,
            "reward": self._reward,
            "terminated": self._terminated,
            "truncated": self._truncated,
        }
