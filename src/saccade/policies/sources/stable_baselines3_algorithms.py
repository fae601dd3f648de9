"""The algorithms of Stable-Baselines3 and sb3-contrib: how to tell their zips apart, and what their policies output."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from saccade.types import UserError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

CONTRIB = "sb3_contrib"

Kind = Literal["actor_critic", "values", "quantiles", "squashed", "deterministic", "linear", "recurrent"]
"""What a policy outputs: preferences or a Gaussian, and a value; Q of each action; quantiles of those; a squashed
Gaussian and its Q; an action and its Q; an action or preferences alone; or something that needs a memory."""


@final
@dataclass(frozen=True)
class Algorithm:
    """One algorithm of the libraries.

    Attributes:
        settings: those that its zips have together, and no zip of algorithms after it in the table.
        policy: the class of its policies; subclasses that only choose another extractor lie in the same module.
        exploring: whether state-dependent exploration is set in the algorithm, not in its policy's keyword arguments.
    """

    name: str
    kind: Kind
    policy: str
    settings: tuple[str, ...]
    exploring: bool = False

    @property
    def package(self) -> str:
        return self.policy.partition(".")[0]

    @property
    def module(self) -> str:
        return self.policy.rpartition(".")[0]


ACTOR_CRITIC = "stable_baselines3.common.policies.ActorCriticPolicy"
MASKABLE = "sb3_contrib.common.maskable.policies.MaskableActorCriticPolicy"
RECURRENT = "sb3_contrib.common.recurrent.policies.RecurrentActorCriticPolicy"

TABLE = (
    Algorithm("ARS", "linear", "sb3_contrib.ars.policies.ARSPolicy", ("n_delta", "zero_policy")),
    Algorithm("TQC", "squashed", "sb3_contrib.tqc.policies.TQCPolicy", ("top_quantiles_to_drop_per_net",)),
    Algorithm("CrossQ", "squashed", "sb3_contrib.crossq.policies.CrossQPolicy", ("target_entropy", "policy_delay")),
    Algorithm("QRDQN", "quantiles", "sb3_contrib.qrdqn.policies.QRDQNPolicy", ("exploration_fraction", "n_quantiles")),
    Algorithm("TRPO", "actor_critic", ACTOR_CRITIC, ("cg_max_steps",), exploring=True),
    Algorithm("PPO", "actor_critic", ACTOR_CRITIC, ("clip_range",), exploring=True),
    Algorithm("DQN", "values", "stable_baselines3.dqn.policies.DQNPolicy", ("exploration_fraction",)),
    Algorithm("SAC", "squashed", "stable_baselines3.sac.policies.SACPolicy", ("target_entropy",)),
    Algorithm("TD3", "deterministic", "stable_baselines3.td3.policies.TD3Policy", ("policy_delay",)),
    Algorithm("A2C", "actor_critic", ACTOR_CRITIC, ("gae_lambda",), exploring=True),
)
LIKE_PPO = (
    Algorithm("MaskablePPO", "actor_critic", MASKABLE, ("clip_range",)),
    Algorithm("RecurrentPPO", "recurrent", RECURRENT, ("clip_range",), exploring=True),
)
"""Algorithms with PPO's settings, which differ from it in their policy's module."""

NEEDS_A_MEMORY = (
    "what it does depends on its memory of earlier observations, which a map of one observation does not show"
)
NAMES = "PPO, A2C, DQN, SAC, TD3, TQC, TRPO, QR-DQN, ARS, CrossQ and MaskablePPO"


def algorithm_of(settings: Iterable[str], module: str) -> Algorithm | None:
    """Return the algorithm with these settings, whose policy class is in this module; None if there is none."""
    there = set(settings)
    found = next((one for one in TABLE if there.issuperset(one.settings)), None)
    if found is not None and found.name == "PPO":
        return next((one for one in LIKE_PPO if one.module == module), found)
    return found


def kind_of(policy: type) -> Kind:
    """Return what a policy of this class outputs.

    Raises:
        UserError: it cannot be explained.
    """
    kinds: Mapping[str, Kind] = {one.policy: one.kind for one in (*TABLE, *LIKE_PPO)}
    # The nearest class: a recurrent policy is also an ActorCriticPolicy.
    kind = next((kinds[name] for name in _names(policy) if name in kinds), None)
    if kind is None:
        raise UserError(
            f"A {policy.__name__} of {policy.__module__} cannot be explained: it is not a policy of {NAMES}."
        )
    if kind == "recurrent":
        raise UserError(f"A {policy.__name__} cannot be explained: {NEEDS_A_MEMORY}.")
    return kind


def is_masked(policy: type) -> bool:
    """Return whether a policy of this class was trained to choose only actions that its environment allows."""
    return MASKABLE in _names(policy)


def _names(policy: type) -> list[str]:
    return [f"{parent.__module__}.{parent.__name__}" for parent in policy.__mro__]


def policy_class(algorithm: Algorithm) -> type[BasePolicy]:
    """Return the library's own class. Raises UserError if its package is not installed."""
    require(algorithm.package)
    module: Any = importlib.import_module(algorithm.module)
    found: type[BasePolicy] = vars(module)[algorithm.policy.rpartition(".")[2]]
    return found


def require(package: str) -> None:
    """Raise UserError if one of the two packages is not installed."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        name = package if package == CONTRIB else "Stable-Baselines3"
        raise UserError(f'Policies of {name} need its package ({error}): pip install "saccade-rl[sb3]".') from error
