"""Shared types: what the packages pass to each other, with shapes, units and ranges.

Importing this module costs nothing: torch is only imported for the type checker, so that
environment workers, which never compute with tensors, do not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, final

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor, nn


class UserError(ValueError):
    """What a person gave or asked for is wrong; the message is one sentence that says what, and what to do.

    The command line prints the sentence alone and exits with code 2.
    """


class Learnable(Protocol):
    """What a phase can learn from: a ``Batch``, ``Decisions``, or any other named tuple with these two fields."""

    @property
    def drawn(self) -> Mapping[str, Tensor]: ...

    @property
    def seen(self) -> Mapping[str, Tensor]: ...

    def _replace(self, *, drawn: Mapping[str, Tensor] = ..., seen: Mapping[str, Tensor] = ...) -> Self: ...


class Batch(NamedTuple):
    """Transitions, and every random number that an update on them uses.

    ``discount`` is 0 only where an episode truly ended; an episode that ran out of time has 1. Where a reward is summed
    over several steps, ``discount`` is the product of the agent's discounts over all of them but the last.
    ``drawn`` is filled by ``Agent.prepare``: noise, augmented observations and the like, each under
    the name by which the losses read it. So a loss is a pure function and draws nothing itself.
    ``seen`` is filled by ``Phase.look``: outputs of the networks, without gradients, that several phases use.
    """

    obs: Tensor  # [batch, frames * 3, height, width], 0..255
    action: Tensor  # long [batch] if discrete, else [batch, action_dim], -1..1
    reward: Tensor  # [batch]
    discount: Tensor  # [batch], 0 or 1, or between them where rewards are summed over several steps
    next_obs: Tensor  # [batch, frames * 3, height, width], 0..255
    drawn: Mapping[str, Tensor] = {}
    seen: Mapping[str, Tensor] = {}


class Decisions(NamedTuple):
    """What an agent decided in a rollout, what came of it, and every random number that an update on it uses.

    Values and log-probabilities are those of the policy that made the rollout, computed once, before its updates.
    ``drawn`` and ``seen`` are filled as in a ``Batch``.
    """

    obs: Tensor  # [batch, frames * colours, height, width], 0..255
    action: Tensor  # long [batch] if discrete, else [batch, action_dim], as the policy drew it: not clipped
    log_probability: Tensor  # [batch]
    value: Tensor  # [batch]
    advantage: Tensor  # [batch]
    target: Tensor  # [batch], what the value is fitted to
    drawn: Mapping[str, Tensor] = {}
    seen: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Continuous:
    """Actions that are vectors of ``dims`` numbers in -1..1."""

    dims: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dims,)


@dataclass(frozen=True)
class Discrete:
    """One of ``count`` actions, given by its number."""

    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class Spaces:
    """What an agent must know about its environment: the shape of observations, and the actions."""

    obs_shape: tuple[int, int, int]  # (frames * colours, height, width), as the environment gives it
    actions: Continuous | Discrete
    colours: int = 3  # channels of a frame

    @property
    def action_dim(self) -> int:
        """How many numbers an action has. Raises UserError if actions are discrete."""
        if isinstance(self.actions, Discrete):
            raise UserError(
                f"This method's actions are numbers in -1..1, but here there are {self.actions.count} to choose from."
            )
        return self.actions.dims


@final
@dataclass(frozen=True)
class Score:
    """What is explained or attacked: a differentiable function that maps observations to one number per sample.

    ``score(obs)`` takes floats ``[batch, channel, height, width]`` in the range that the network expects and returns
    ``[batch]``. Saliency methods and attacks know nothing else about a policy.

    Attributes:
        network: the module that computes it.
        function: ``(network, obs, *given) -> [batch]``. It reaches weights through ``network`` alone, so that a view of
            the network (guided, tapped, randomised) can stand in for it.
        given: tensors with a row per sample, such as the action that is valued, or the policy's output unperturbed.
        distance: whether the score measures how far the policy's output is from its output at the explained
            observation. There it is zero, and so is its gradient: only perturbations can explain it.
        name: its name in ``policies.scores.SCORES``; empty for any other score. A method that is defined with one score
            accepts that one alone.
            takes that one alone.
    """

    network: nn.Module
    function: Callable[..., Tensor]
    given: tuple[Tensor, ...] = ()
    distance: bool = False
    name: str = ""

    def __call__(self, obs: Tensor) -> Tensor:
        return self.function(self.network, obs, *self.given)

    def rows(self, index: Tensor) -> Score:
        """Return the score of a batch made of these rows (long ``[n]``) of the original one; rows may repeat."""
        return replace(self, given=tuple(value[index] for value in self.given))

    def through(self, network: nn.Module) -> Score:
        """Return the same score computed by another module of the same structure."""
        return replace(self, network=network)
