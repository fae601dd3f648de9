"""Follow a list of actions in an environment, and go back: to the very same state, bit for bit, or with an error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from saccade.data.user_code import running
from saccade.envs.simulation import BLACK, KEPT
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.explain import answers
from saccade.explain.episodes import checked
from saccade.explain.fitting import fitting
from saccade.explain.preferences import actions_of
from saccade.explain.tasks import Task
from saccade.policies.policy import Policy
from saccade.types import UserError


@final
class Follower:
    """One environment in one mode, from one seed.

    Saccade's own environments return to an earlier step by its saved state; others begin again from the seed and
    repeat the actions, and it is checked that they show the same pictures.

    Attributes:
        obs: the observations, one more than actions, as the policy takes them.
        allowed: the actions that the environment then allows, bool ``[actions]``; None for all, and once the episode is
            over.
        actions, rewards: of the steps so far.
        over: whether the episode has ended after them.
    """

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int, *, masks: bool = False) -> None:
        self._policy, self._task, self.mode, self.seed = policy, task, mode, seed
        self.env = task.make(mode, masks)
        self.names = actions_of(self.env)
        self.obs: list[np.ndarray] = []
        self.allowed: list[np.ndarray | None] = []
        self.actions: list[np.ndarray] = []
        self.rewards: list[float] = []
        self.states: list[Mapping[str, Any] | None] = []
        self._overs: list[bool] = []
        self._astray = False  # whether what failed has left the environment elsewhere than the history
        try:
            self.seen_as = fitting(self.env.observation_space, policy.pixels, task.name)
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def _history(self) -> tuple[list[Any], ...]:
        return self.obs, self.allowed, self.actions, self.rewards, self.states, self._overs

    @property
    def over(self) -> bool:
        return self._overs[-1]

    def step(self, action: np.ndarray) -> None:
        """Take one step. Raises UserError if the environment does not take the action, or the episode is over."""
        if self.over:
            raise UserError("The episode is over: go back, or begin another one.")
        taken = checked(self.env, action.copy(), self._task.name)
        if self._astray:
            self.back_to(len(self.actions))
        self._astray = True
        seen, reward, over, _ = answers.step(self.env, taken, self._task.name)
        self._keep(seen, over)
        self._astray = False
        self.actions.append(action)
        self.rewards.append(reward)

    def follow(self, actions: Sequence[np.ndarray]) -> None:
        """Go where these actions lead from the seed; what they share with those so far is not played again."""
        pairs = zip(self.actions, actions, strict=False)
        same = next((place for place, (a, b) in enumerate(pairs) if not np.array_equal(a, b)), None)
        self.back_to(min(len(self.actions), len(actions)) if same is None else same)
        for action in actions[len(self.actions) :]:
            self.step(action)

    def back_to(self, index: int) -> None:
        """Go back to where the first ``index`` actions led; the later ones are forgotten.

        Raises:
            UserError: the environment does not come to the same picture again; the history stays as it was.
        """
        if index == len(self.actions) and not self._astray:
            return
        state = self.states[index]
        if state is not None:
            self.env.set_state(state)  # type: ignore[attr-defined]
            self._astray = False
            for kept in (self.obs, self.allowed, self.states, self._overs):
                del kept[index + 1 :]
            del self.actions[index:], self.rewards[index:]
            return
        before = [list(kept) for kept in self._history]
        try:
            self._repeat(self.actions[:index], self.obs[index])
        except BaseException:
            for kept, was in zip(self._history, before, strict=True):
                kept[:] = was
            self._astray = True
            raise

    def _repeat(self, actions: Sequence[np.ndarray], last: np.ndarray) -> None:
        self._begin()
        for action in actions:
            self.step(action)
        if not np.array_equal(self.obs[-1], last):
            raise UserError(
                f"{self._task.name} shows another picture after the same seed and actions, so there is no "
                "going back in it: begin another episode."
            )

    def close(self) -> None:
        answers.close(self.env, self._task.name)

    def _begin(self) -> None:
        for kept in self._history:
            kept.clear()
        seen, _ = answers.reset(self.env, self.seed, self._task.name)
        self._keep(seen, False)
        self._astray = False

    def _keep(self, seen: Any, over: bool) -> None:
        with running(f"An observation of {self._task.name}"):
            picture = self.seen_as(seen)
        self.allowed.append(None if over else answers.allowed(self._policy, self.env, self._task.name))
        self.obs.append(picture)
        self.states.append(self.env.get_state() if isinstance(self.env, PixelEnv) else None)
        self._overs.append(over)


@final
class Seen:
    """The states of a ``Follower`` as another mode shows them."""

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int) -> None:
        self.mode, self._follower = mode, Follower(policy, task, mode, seed)
        self._own = self._follower.states[0]

    def at(self, history: Follower, index: int) -> np.ndarray:
        """Return the observation after ``index`` actions, bit for bit as if the mode itself had been played."""
        env = self._follower.env
        if self._own is None or not isinstance(env, PixelEnv) or env.simulation.before in (KEPT, BLACK):
            self._follower.follow(history.actions[:index])
            if self._follower.rewards != history.rewards[:index]:
                raise UserError(
                    f"The same seed and actions bring other rewards in {self.mode}: these are not the same states, and "
                    "cannot stand side by side."
                )
            return self._follower.obs[index]
        # The mode's own random choices for the episode are kept; physics comes from the history.
        own = {name: self._own[name] for name in ("choices", "generator")}
        own["provenance"] = json.dumps(env.provenance)
        frames = []
        for place in range(index + 1 - env.config.frame_stack, index + 1):
            state = history.states[max(place, 0)]
            assert state is not None
            env.set_state({**state, **own})
            frames.append(env.draw())
        return self._follower.seen_as(np.concatenate(frames))

    def close(self) -> None:
        self._follower.close()


@final
class Truth:
    """Which pixels of a ``Follower``'s states show the task, in a mode; known only in Saccade's environments."""

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int) -> None:
        self._follower = Follower(policy, task, mode, seed, masks=True)

    def at(self, history: Follower, index: int) -> np.ndarray | None:
        """Return the mask of all frames seen after ``index`` actions, bool ``[height, width]``; None if unknown."""
        self._follower.follow(history.actions[:index])
        state = self._follower.states[-1]
        return None if state is None or "masks" not in state else np.asarray(np.any(state["masks"], axis=0))

    def close(self) -> None:
        self._follower.close()
