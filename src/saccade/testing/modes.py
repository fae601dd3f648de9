"""Check that the modes of an environment change what is seen, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from saccade.testing.conformance import require
from saccade.testing.episodes import Env, Moment, difference_of_task, drawn_actions, play
from saccade.types import UserError

StateOf = Callable[[Env], Any]


def _no_state(env: Env) -> tuple[()]:
    return ()


def check_modes(
    make: Callable[[str, int], Env], modes: Sequence[str], *, steps: int = 20, seed: int = 0, state: StateOf = _no_state
) -> None:
    """Play the same actions in every mode and compare with the first one: pixels differ, and nothing else does.

    Args:
        make: ``(mode, seed) -> environment``. The seed also goes to the first ``reset``.
        modes: the one without distractions first.
        steps: agent steps that are played.
        state: returns what must be the same in all modes besides rewards and ends, such as an environment's physics:
            an array, or numbers.

    Raises:
        ConformanceError: one sentence with the mode, the step, and what to do.
        UserError: there is no other mode to compare with.
    """
    if len(modes) < 2 or steps < 1:
        raise UserError(
            f"The modes {list(modes)} cannot be compared in {steps} steps: give at least two modes and one step."
        )
    clean, clean_states = _played(make, modes[0], steps, seed, state)
    for mode in modes[1:]:
        seen, states = _played(make, mode, steps, seed, state)
        for one, other, clean_state, other_state in zip(clean, seen, clean_states, states, strict=False):
            different = difference_of_task(one, other)
            if different is None and not np.array_equal(clean_state, other_state):
                different = "another state"
            require(
                different is None,
                f"Mode {mode!r} has {different} at {one.when} of seed {seed}, compared with {modes[0]!r}: a mode may "
                "change what is seen, but must draw no random number that the task draws too.",
            )
        require(
            any(not np.array_equal(one.pixels, other.pixels) for one, other in zip(clean, seen, strict=True)),
            f"Mode {mode!r} shows the same pixels as {modes[0]!r} in {steps} steps of seed {seed}: it changes nothing "
            "that the camera sees.",
        )


def _played(
    make: Callable[[str, int], Env], mode: str, steps: int, seed: int, state: StateOf
) -> tuple[list[Moment], list[Any]]:
    states: list[Any] = []
    with closing(make(mode, seed)) as env:
        actions = drawn_actions(env.action_space, steps, seed=0)
        moments = play(env, actions, seed=seed, watch=lambda moment: states.append(np.copy(state(env))))
    return moments, states
