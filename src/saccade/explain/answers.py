"""Reset, step and close an environment of unknown origin: its answers are checked, its errors reported as its own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from saccade.data.user_code import FAILURES, error_text, running
from saccade.policies.policy import Policy
from saccade.types import UserError

Env = gymnasium.Env[Any, Any]


def reset(env: Env, seed: int, task: str) -> tuple[Any, Mapping[str, Any]]:
    """Reset; return observation and info. Raises UserError if the environment fails or returns anything else."""
    with running(f"Resetting {task}"):
        answer = env.reset(seed=seed)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise UserError(f"reset() of {task} must give an observation and a dictionary, as Gymnasium's environments do.")
    return answer[0], answer[1] if isinstance(answer[1], Mapping) else {}


def step(env: Env, action: Any, task: str) -> tuple[Any, float, bool, Mapping[str, Any]]:
    """Step; return observation, reward, whether the episode is over, and info. Raises UserError as ``reset`` does."""
    with running(f"A step of {task}"):
        answer = env.step(action)
    if not isinstance(answer, tuple) or len(answer) != 5:
        raise UserError(
            f"step() of {task} must give five things, as Gymnasium's environments do: observation, reward, terminated, "
            "truncated and a dictionary."
        )
    obs, reward, terminated, truncated, info = answer
    over = _number(terminated, f"terminated of {task}") or _number(truncated, f"truncated of {task}")
    return obs, _number(reward, f"The reward of {task}"), bool(over), info if isinstance(info, Mapping) else {}


def allowed(policy: Policy, env: Env, task: str) -> np.ndarray | None:
    """Return which actions the environment allows now, bool ``[actions]``, as sb3-contrib's ``ActionMasker`` does.

    None for policies that were not trained with action masks.

    Raises:
        UserError: it has no masks, or allows no action.
    """
    if not policy.masked or not isinstance(env.action_space, gymnasium.spaces.Discrete):
        return None
    actions = int(env.action_space.n)
    with running(f"action_masks() of {task}"):
        if not env.has_wrapper_attr("action_masks"):
            raise UserError(f"The policy was trained with action masks, but {task} has no action_masks(): wrap it.")
        mask = np.asarray(env.get_wrapper_attr("action_masks")(), bool)
    if mask.shape != (actions,) or not mask.any():
        raise UserError(f"action_masks() of {task} must allow some of {actions} actions; it gave {mask!r:.80}.")
    return mask


def close(env: Env, task: str) -> None:
    """Close the environment; an error is only a warning now, since everything that was asked for is there."""
    try:
        env.close()
    except FAILURES as error:
        warnings.warn(f"closing {task} failed: {error_text(error)}", stacklevel=2)


def _number(value: Any, what: str) -> float:
    """A number, also from an array of one. Raises UserError for anything else, NaN and infinity."""
    try:
        number = float(np.asarray(value, dtype=np.float64).item())
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} is {value!r:.60}, not a number.") from error
    if not np.isfinite(number):
        raise UserError(f"{what} is {number}, not a finite number.")
    return number
