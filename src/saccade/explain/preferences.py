"""How a discrete policy rates each of its actions, and the actions' names."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import gymnasium
import numpy as np
import torch
from torch import Tensor

from saccade.policies.policy import Policy

PROBABILITIES, VALUES = "probabilities", "action_values"
LONGEST_NAME = 40  # characters of an action's name that are shown


@final
@dataclass(frozen=True)
class Actions:
    """The actions of an environment: the number of the first, and their names; no names if they are unknown."""

    first: int = 0
    names: tuple[str, ...] = ()


NO_NAMES = Actions()


def actions_of(env: gymnasium.Env[Any, Any]) -> Actions:
    """Return the actions of a ``Discrete`` space, with their names.

    These come from ``get_action_meanings()``, as in Atari, or from an enumeration, as in MiniGrid. Names are optional:
    an environment whose own names fail goes without.
    """
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        return NO_NAMES
    try:
        names = _names(env.unwrapped)
    except Exception:  # noqa: BLE001  # a stranger's code, and nothing depends on it
        names = ()
    fits = len(names) == int(space.n)
    return Actions(int(space.start), tuple(str(name)[:LONGEST_NAME] for name in names) if fits else ())


def _names(env: Any) -> Sequence[str]:
    meanings = getattr(env, "get_action_meanings", None)
    if callable(meanings):
        return list(meanings())
    kinds = getattr(env, "actions", None)
    return [kind.name for kind in kinds] if inspect.isclass(kinds) and issubclass(kinds, enum.Enum) else []


def as_tensor(policy: Policy, obs: np.ndarray | Tensor) -> Tensor:
    """Moments as the policy's outputs take them; a tensor is that already."""
    return obs if isinstance(obs, Tensor) else policy.tensor(obs)


@torch.no_grad()
def preferences(policy: Policy, obs: np.ndarray | Tensor, max_batch: int) -> dict[str, np.ndarray]:
    """Return how the policy rates each action in some moments, float32 ``[moments, actions]``, by kind.

    ``probabilities`` for a policy that samples its actions, ``action_values`` for one that compares values; empty for
    policies with other actions, or where the outputs are not finite.
    """
    if not policy.discrete:
        return {}
    kind = PROBABILITIES if "logits" in policy.outputs else VALUES
    compute = policy.outputs["logits" if kind == PROBABILITIES else "q_values"]
    found = [
        compute(policy.network, as_tensor(policy, obs[start : start + max_batch])).float().cpu()
        for start in range(0, len(obs), max_batch)
    ]
    values = torch.cat(found)
    values = values.softmax(-1) if kind == PROBABILITIES else values
    return {kind: values.numpy()} if bool(values.isfinite().all()) else {}
