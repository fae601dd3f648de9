"""The glossary in code: what flows between the rooms of the house, with shapes, units and ranges.

Importing this module costs nothing: torch is only named for the type checker, so that
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
    """Something a person gave or asked for is wrong: one sentence that says what, and what to do.

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
    """Transitions, and every random number that an update of them uses.

    ``discount`` is 0 only where an episode truly ended; an episode that ran out of time has 1. Where a reward is the
    sum of several steps', ``discount`` is what the agent's own discount makes of all of them but the last.
    ``drawn`` is filled by ``Agent.prepare``: noise, augmented observations and the like, each under
    the name that the losses read it by. So a loss is a pure function and draws nothing itself.
    ``seen`` is filled by ``Phase.look``: what the networks make of it, without a gradient, for several phases.
    """

    obs: Tensor  # [batch, frames * 3, height, width], 0..255
    action: Tensor  # long [batch] if discrete, else [batch, action_dim], -1..1
    reward: Tensor  # [batch]
    discount: Tensor  # [batch], 0 or 1, or between them where rewards are of several steps
    next_obs: Tensor  # [batch, frames * 3, height, width], 0..255
    drawn: Mapping[str, Tensor] = {}
    seen: Mapping[str, Tensor] = {}


class Decisions(NamedTuple):
    """What an agent decided in a rollout, what came of it, and every random number that an update of them uses.

    Values and log-probabilities are those of the policy that made the rollout, computed once, before its updates.
    ``drawn`` and ``seen`` are filled as a ``Batch``'s are.
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
    """Actions of ``dims`` numbers in -1..1."""

    dims: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dims,)


@dataclass(frozen=True)
class Discrete:
    """One of ``count`` actions, by its number."""

    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class Spaces:
    """What an agent must know of its environment."""

    obs_shape: tuple[int, int, int]  # (frames * colours, height, width), as the environment gives it
    actions: Continuous | Discrete
    colours: int = 3  # channels of a frame

    @property
    def action_dim(self) -> int:
        """How many numbers an action has. Raises UserError where actions are discrete."""
        if isinstance(self.actions, Discrete):
            raise UserError(
                f"This method's actions are numbers in -1..1, and there are {self.actions.count} to choose from."
            )
        return self.actions.dims


@final
@dataclass(frozen=True)
class Score:
    """What is explained or attacked: a differentiable function from observations to one number per sample.

    ``score(obs)`` takes floats ``[batch, channel, height, width]`` in the range that the network expects and gives
    ``[batch]``. Saliency methods and attacks know nothing else about a policy.

    Attributes:
        network: the module that computes it.
        function: ``(network, obs, *given) -> [batch]``. It reaches weights through ``network`` alone, so that a view of
            the network (guided, tapped, randomised) can stand in for it.
        given: tensors with a row per sample: the action that is valued, what the policy does unperturbed.
        distance: whether it measures how far the policy is from what it does at the explained observation. It is then
            zero there, and so is its gradient: only perturbations can explain it.
        name: what ``policies.scores.SCORES`` calls it; empty for any other. A method that is defined with one score
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
        """The score of a batch whose samples are these rows (long ``[n]``) of the original one, repeats allowed."""
        return replace(self, given=tuple(value[index] for value in self.given))

    def through(self, network: nn.Module) -> Score:
        """The same score computed by another module of the same structure."""
        return replace(self, network=network)
