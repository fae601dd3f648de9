"""Check that an environment does what training, evaluating and explaining rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from saccade.envs.workers.group import Restorable
from saccade.testing.conformance import ConformanceError, require
from saccade.testing.episodes import Env, Moment, difference, drawn_actions, edge_actions, play, reset, step
from saccade.types import UserError

MakeEnv = Callable[[int], Env]

BEFORE_THE_STATE = 3  # steps


def check_environment(
    make: MakeEnv | str,
    *,
    steps: int = 50,
    seeds: Sequence[int] = (0, 1),
    seeded: bool = True,
    reuses_arrays: bool = False,
) -> None:
    """Play an environment of uint8 pictures several times with random actions, and compare.

    It makes ``len(seeds) + 1`` environments, one more if the first seed does not repeat, and closes them all; two or
    three are open at once.

    Args:
        make: ``seed -> environment``, or the id of one that Gymnasium makes. The seed also goes to the first ``reset``.
        steps: agent steps that are played. With more than an episode has, its end is checked as well.
        seeds: at least two; the first one is played twice.
        seeded: whether another seed must change the pixels; with False, for tasks that begin alike every time, other
            actions must.
        reuses_arrays: whether the environment documents that it reuses the memory of its observations.
            Saccade copies them; other libraries may not.

    Raises:
        ConformanceError: one sentence with what was wrong, at which step and seed, and what to do.
        UserError: fewer than two seeds, or no step.
    """
    if len(set(seeds)) < 2 or steps < 1:
        raise UserError(
            f"An environment cannot be checked with {steps} steps of the seeds {seeds}: give at least two seeds and "
            "one step."
        )
    make = _by_id(make) if isinstance(make, str) else make
    with ExitStack() as opened:
        env = _opened(make, seeds[0], opened)
        actions = drawn_actions(env.action_space, steps, seed=0)
        first = play(env, actions, seed=seeds[0])
        _check_memory(first, reuses_arrays)
        _check_all_actions(env)
        if not seeded:
            _check_actions_matter(env, first, steps, seeds[0])
        with ExitStack() as second:
            _check_repetition(make, _opened(make, seeds[0], second), first, actions, seeds[0], reuses_arrays)
        for seed in seeds[1:]:
            with ExitStack() as second:
                other = _opened(make, seed, second)
                pixels = [moment.pixels for moment in play(other, actions, seed=seed)]
                require(
                    not seeded or not _same([moment.pixels for moment in first], pixels),
                    f"The seeds {seeds[0]} and {seed} gave the same pixels in {steps} steps: draw what differs between "
                    "episodes by the seed, or give seeded=False where they all begin alike.",
                )
                if seed == seeds[1]:
                    _check_state(env, other, actions, seeds)


def _by_id(name: str) -> MakeEnv:
    def make(seed: int) -> Env:
        return gymnasium.make(name, disable_env_checker=True)

    return make


def _opened(make: MakeEnv, seed: int, opened: ExitStack) -> Env:
    """Make an environment whose spaces can be played; it is closed with the stack."""
    env = make(seed)
    opened.callback(env.close)
    space = env.observation_space
    require(
        isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3),
        f"The observation space is {space}: declare a Box of uint8 pictures, [channel, height, width], [height, width, "
        "channel] or [height, width].",
    )
    require(
        isinstance(env.action_space, gymnasium.spaces.Box | gymnasium.spaces.Discrete),
        f"The action space is {env.action_space}: declare one Box or one Discrete space.",
    )
    return env


def _check_memory(moments: Sequence[Moment], reuses_arrays: bool) -> None:
    """Check that no array shares memory with an earlier one."""
    if reuses_arrays:
        return
    for index, later in enumerate(moments):
        for earlier in moments[:index]:
            for name in later.given.keys() & earlier.given.keys():
                require(
                    not np.shares_memory(earlier.given[name], later.given[name]),
                    f"The {name} of {later.when} lies in the same memory as that of {earlier.when}: return a copy, or "
                    "give reuses_arrays=True if every user of the environment copies.",
                )


def _check_all_actions(env: Env) -> None:
    reset(env, "a reset")
    for action in edge_actions(env.action_space):
        if step(env, action, "a step that tries the edges of the action space").over:
            reset(env, "a reset")


def _check_actions_matter(env: Env, first: Sequence[Moment], steps: int, seed: int) -> None:
    others = play(env, drawn_actions(env.action_space, steps, seed=1), seed=seed)
    require(
        not _same([moment.pixels for moment in first], [moment.pixels for moment in others]),
        f"Other actions gave the same pixels in {steps} steps of seed {seed}, and with seeded=False other seeds may "
        "do so too: nothing changes what is seen.",
    )


def _check_repetition(
    make: MakeEnv, env: Env, first: Sequence[Moment], actions: Sequence[Any], seed: int, reuses_arrays: bool
) -> None:
    """Check that the same seed repeats, and that writing to an observation changes no later one."""

    def scribble(moment: Moment) -> None:
        for array in moment.given.values():
            if array.flags.writeable and not reuses_arrays:
                array[...] = ~array

    found = difference(first, play(env, actions, seed=seed, watch=scribble))
    if found is None:
        return
    what, when = found
    with ExitStack() as opened:  # to find out which of the two was at fault
        plain = difference(first, play(_opened(make, seed, opened), actions, seed=seed))
    require(
        plain is not None,
        f"Writing to the arrays that the environment gave led to {what} at {when} of seed {seed}: return copies of "
        "the arrays that it goes on with.",
    )
    what, when = plain or found
    raise ConformanceError(
        f"Seed {seed} gave {what} at {when} when it was played again with the same actions: draw every random number "
        "from a generator that reset(seed=...) seeds."
    )


def _check_state(env: Env, other: Env, actions: Sequence[Any], seeds: Sequence[int]) -> None:
    """Check that another environment that is given this one's state, as from a checkpoint, continues bit for bit."""
    ours, theirs = _restorable(env), _restorable(other)
    if ours is None or theirs is None:
        return
    reset(env, "a reset", seeds[0])
    for number, action in enumerate(actions[:BEFORE_THE_STATE], 1):
        if step(env, action, f"step {number}").over:
            reset(env, f"the reset after step {number}")
    state = ours.get_state()
    expected = play(env, actions, begun=True)
    theirs.set_state(_as_saved(state))  # a checkpoint is written while training goes on: hence after that play
    found = difference(expected, play(other, actions, begun=True))
    what, when = found or ("", "")
    require(
        found is None,
        f"An environment of seed {seeds[1]} that was given the state of one of seed {seeds[0]} went on with {what} at "
        f"{when} after it: get_state must hold all that later steps and episodes depend on, in arrays of its own.",
    )


def _restorable(env: Env) -> Restorable | None:
    """The part that has a state to save, below wrappers that have none of their own."""
    while isinstance(env, OrderEnforcing | PassiveEnvChecker):
        env = env.env
    return env if isinstance(env, Restorable) else None


def _as_saved(state: dict[str, Any]) -> dict[str, Any]:
    """A state as a checkpoint returns it: arrays, and the rest converted to JSON and back."""
    saved: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            saved[name] = value.copy()
            continue
        try:
            saved[name] = json.loads(json.dumps(value))
        except TypeError as error:
            raise ConformanceError(
                f"get_state returns a {type(value).__name__} under {name!r}, which a checkpoint cannot hold ({error}): "
                "return arrays, numbers, strings, and lists and dictionaries of those."
            ) from error
    return saved


def _same(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return len(ours) == len(theirs) and all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))
