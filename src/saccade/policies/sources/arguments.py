"""Guess the arguments of a user's network class from the spaces of its environment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import gymnasium
from gymnasium.vector.utils import batch_space

from saccade.policies.spaces import action_width
from saccade.types import UserError

Space = gymnasium.Space[Any]
Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and keyword arguments."""

ENVIRONMENTS = ("env", "envs", "venv", "environment")
OBSERVATION_SPACES = ("observation_space", "obs_space", "single_observation_space")
ACTION_SPACES = ("action_space", "act_space", "single_action_space")
ACTIONS = (
    "n_actions", "num_actions", "nb_actions", "n_action", "num_action", "action_dim", "act_dim", "action_size", "n_act",
    "num_act", "actions", "action_num", "n_outputs", "num_outputs", "output_dim", "out_dim", "output_size",
)  # fmt: skip
"""Parameter names that mean the number of actions, or of their dimensions."""
ACTION_SHAPES = ("action_shape", "act_shape")
SHAPES = ("obs_shape", "observation_shape", "input_shape", "state_shape", "in_shape", "obs_dim", "state_dim")
CHANNELS = (
    "channels", "in_channels", "input_channels", "num_channels", "n_channels", "num_input_channels", "n_input_channels",
    "frames", "num_frames", "n_frames", "frame_stack", "stack", "num_stack", "n_stack", "history_length",
)  # fmt: skip
"""Parameter names that mean the number of channels that a network sees."""


def arguments_for(
    make: Callable[..., Any], name: str, observation_space: Space, action_space: Space
) -> Iterator[Arguments]:
    """Yield arguments that a class or function may take, the likeliest first; the first that weights fit is right.

    Raises:
        UserError: it needs arguments that cannot be known here.
    """
    parameters = inspect.signature(make).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [one.name for one in parameters if one.default is one.empty and one.kind not in variable]
    known = _by_name(observation_space, action_space)
    stand_ins = list(_stand_ins(observation_space, action_space))
    first = stand_ins[0]
    if all(one in known or one in ENVIRONMENTS for one in required):
        named = {one: known.get(one, first) for one in required}
        yield tuple(named.values()), {}
        chosen = {one.name: known[one.name] for one in parameters if one.name in known and one.name not in required}
        if chosen:  # the default need not be what training used
            yield tuple(named.values()), chosen
    elif len(required) > 2:
        unknown = ", ".join(one for one in required if one not in known and one not in ENVIRONMENTS)
        raise UserError(
            f"{name} must be given {', '.join(required)}, but {unknown} cannot be known here: name a function that "
            "makes it."
        )
    count, channels, shape = known[ACTIONS[0]], known[CHANNELS[0]], observation_space.shape
    if len(required) == 2:
        pairs = (observation_space, action_space), (shape, count), (channels, count), (count, channels), (count, shape)
        yield from ((pair, {}) for pair in pairs)
    if len(required) == 1:
        yield from (((one,), {}) for one in (*stand_ins, count, shape, channels))


def _by_name(observation_space: Space, action_space: Space) -> dict[str, Any]:
    shape = tuple(observation_space.shape or ())
    count = action_width(action_space) if isinstance(action_space, COUNTED) else 0
    channels = 1 if len(shape) < 3 else min(shape[0], shape[-1])  # before height and width, or after them
    values: tuple[tuple[tuple[str, ...], Any], ...] = (
        (OBSERVATION_SPACES, observation_space),
        (ACTION_SPACES, action_space),
        (ACTIONS, count),
        (ACTION_SHAPES, tuple(action_space.shape or ())),
        (SHAPES, shape),
        (CHANNELS, channels),
    )
    return {name: value for names, value in values for name in names}


COUNTED = (gymnasium.spaces.Discrete, gymnasium.spaces.Box)


def _stand_ins(observation_space: Space, action_space: Space) -> Iterator[SimpleNamespace]:
    """Stand-ins for environments, which have spaces and nothing else."""
    single = {"single_observation_space": observation_space, "single_action_space": action_space, "num_envs": 1}
    yield SimpleNamespace(observation_space=observation_space, action_space=action_space, **single)
    # In vectorised environments, such as CleanRL's, the plain names mean a batch of observations and actions.
    batched = batch_space(observation_space, 1), batch_space(action_space, 1)
    yield SimpleNamespace(observation_space=batched[0], action_space=batched[1], **single)
