"""The states of an episode as other modes show them, each by an environment of its own that is kept open."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, final

import numpy as np

from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.explain.following import Follower, is_drawn_from_states, places_of
from saccade.explain.tasks import Task
from saccade.policies.policy import Policy
from saccade.types import UserError

MOST_VIEWS = 6  # environments in other modes that are kept open: of two panes a mode, a turned dial and its truth each


@final
class Seen:
    """The states of a ``Follower`` as another mode shows them."""

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int) -> None:
        self.mode, self._follower = mode, Follower(policy, task, mode, seed)
        self._own = self._follower.states[0]

    def at(self, history: Follower, index: int) -> np.ndarray:
        """The observation after ``index`` actions, bit for bit as if the mode had been played so."""
        env = self._follower.env
        if self._own is None or not isinstance(env, PixelEnv) or not is_drawn_from_states(env):
            self._follower.follow(history.actions[:index])
            if self._follower.rewards != history.rewards[:index]:
                raise UserError(
                    f"The same seed and actions bring other rewards in {self.mode}: these are not the same states, and "
                    "cannot stand side by side."
                )
            return self._follower.seen(index)
        frames = []
        for place in places_of(env, index):
            env.set_state(_as_own(history.states[place], self._own, env))
            frames.append(env.draw())
        return self._follower.seen_as(np.concatenate(frames))

    def close(self) -> None:
        self._follower.close()


@final
class Truth:
    """Which pixels of the states of a ``Follower`` show the task, in a mode; only Saccade's environments tell."""

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int) -> None:
        self._follower = Follower(policy, task, mode, seed, masks=True)
        self._own = self._follower.states[0]

    def at(self, history: Follower, index: int) -> np.ndarray | None:
        """Of any frame that is seen after ``index`` actions, bool ``[height, width]``; None where nobody knows."""
        env = self._follower.env
        if self._own is None or "masks" not in self._own or not isinstance(env, PixelEnv):
            return None
        if not is_drawn_from_states(env):
            self._follower.follow(history.actions[:index])
            state = self._follower.states[-1]
            assert state is not None
            return np.asarray(np.any(state["masks"], axis=0))
        masks = []
        for place in places_of(env, index):
            env.set_state(_as_own(history.states[place], self._own, env) | {"masks": self._own["masks"]})
            masks.append(env.simulation.mask())
        known = [mask for mask in masks if mask is not None]
        return np.any(np.stack(known), axis=0) if known else None

    def close(self) -> None:
        self._follower.close()


def _as_own(state: Mapping[str, Any] | None, own: Mapping[str, Any], env: PixelEnv) -> dict[str, Any]:
    """A state of another mode for this one: what the mode has drawn for the episode is its own, physics is theirs."""
    assert state is not None
    kept = {name: own[name] for name in ("choices", "generator")}
    return {**state, **kept, "provenance": json.dumps(env.provenance)}


View = TypeVar("View", Seen, Truth)


@final
class Views:
    """Those that were asked for last.

    Args:
        policy: whose observations they make.
        in_mode: the task in a mode.
    """

    def __init__(self, policy: Policy, in_mode: Callable[[str], Task]) -> None:
        self._policy, self._in_mode = policy, in_mode
        self._open: dict[tuple[str, type], Seen | Truth] = {}

    def of(self, mode: str, kind: type[View], seed: int) -> View:
        """The one of a mode, which is made where it is not open."""
        view = self._open.pop((mode, kind), None)
        if view is None:
            while len(self._open) >= MOST_VIEWS:
                self._open.pop(next(iter(self._open))).close()
            view = kind(self._policy, self._in_mode(mode), mode, seed)
        assert isinstance(view, kind)
        self._open[mode, kind] = view  # the latest last
        return view

    def close(self) -> None:
        """Close them all; they are made again where they are asked for."""
        for view in self._open.values():
            view.close()
        self._open.clear()
