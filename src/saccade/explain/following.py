"""Follow a list of actions in an environment, and go back: to the very same state, bit for bit, or with an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        allowed: the actions that the environment then allows, bool ``[actions]``; None for all, and once the episode is
            over.
        actions, rewards: of the steps so far.
        over: whether the episode has ended after them.
    """

    def __init__(self, policy: Policy, task: Task, mode: str, seed: int, *, masks: bool = False) -> None:
        self._policy, self._task, self.mode, self.seed = policy, task, mode, seed
        self.env = task.make(mode, masks)
        self.names = actions_of(self.env)
        self._obs: list[np.ndarray | None] = []  # None: not drawn yet, and its state holds the frames of another moment
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
        return self._obs, self.allowed, self.actions, self.rewards, self.states, self._overs

    @property
    def over(self) -> bool:
        return self._overs[-1]

    def seen(self, index: int) -> np.ndarray:
        """Return the observation after ``index`` actions, as the policy takes it, rendered now if it was not before."""
        known = self._obs[index]
        return self._drawn(index) if known is None else known

    def step(self, action: np.ndarray) -> None:
        """Take one step. Raises UserError if the environment does not take the action, or the episode is over."""
        taken = self._taken(action)
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

    def hurry(self, actions: Sequence[np.ndarray]) -> None:
        """Go from the start of the episode to where these actions lead, without rendering the moments on the way.

        They are rendered when somebody looks at them: physics is a small part of a step, and rendering nearly all of
        it. Where a picture depends on more than a state, each step is played in full.
        """
        env = self.env
        if not isinstance(env, PixelEnv) or self._policy.masked or not is_drawn_from_states(env):
            self.follow(actions)
            return
        for action in actions:
            taken = self._taken(action)
            self._astray = True
            self.rewards.append(env.advance(taken))
            self._remember(None, None, env.get_state(), env.is_over)
            self._astray = False
            self.actions.append(action)
        self.seen(len(self.actions))

    def back_to(self, index: int) -> None:
        """Go back to where the first ``index`` actions led; the later ones are forgotten.

        Raises:
            UserError: the environment does not come to the same picture again; the history stays as it was.
        """
        if index == len(self.actions) and not self._astray:
            return
        state = self.states[index]
        if state is not None:
            if self._obs[index] is None:
                self._drawn(index)
                state = self.states[index]
            self.env.set_state(state)  # type: ignore[attr-defined]
            self._astray = False
            for kept in (self._obs, self.allowed, self.states, self._overs):
                del kept[index + 1 :]
            del self.actions[index:], self.rewards[index:]
            return
        before = [list(kept) for kept in self._history]
        try:
            self._repeat(self.actions[:index], self.seen(index))
        except BaseException:
            for kept, was in zip(self._history, before, strict=True):
                kept[:] = was
            self._astray = True
            raise

    def _repeat(self, actions: Sequence[np.ndarray], last: np.ndarray) -> None:
        index = len(actions)
        self._begin()
        for action in actions:
            self.step(action)
        if not np.array_equal(self.seen(index), last):
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

    def _taken(self, action: np.ndarray) -> Any:
        """Return the action as the environment takes it. Raises UserError if it does not, or the episode is over."""
        if self.over:
            raise UserError("The episode is over: go back, or begin another one.")
        return checked(self.env, action.copy(), self._task.name)

    def _keep(self, seen: Any, over: bool) -> None:
        with running(f"An observation of {self._task.name}"):
            picture = self.seen_as(seen)
        allowed = None if over else answers.allowed(self._policy, self.env, self._task.name)
        self._remember(picture, allowed, self.env.get_state() if isinstance(self.env, PixelEnv) else None, over)

    def _remember(
        self, obs: np.ndarray | None, allowed: np.ndarray | None, state: Mapping[str, Any] | None, over: bool
    ) -> None:
        self._obs.append(obs)
        self.allowed.append(allowed)
        self.states.append(state)
        self._overs.append(over)

    def _drawn(self, index: int) -> np.ndarray:
        """Render a moment as if it had been rendered when it was played, and return to the last moment."""
        env, frames, state = self.env, list[np.ndarray](), self.states[index]
        assert isinstance(env, PixelEnv)
        self._astray = True
        for place in places_of(env, index):
            state = self.states[place]
            assert state is not None
            if self._obs[place] is None:
                env.set_state(state)
                frames.append(env.draw())
            else:
                frames.append(state["frames"][-1])
        picture = self.seen_as(np.concatenate(frames))
        self._obs[index], self.states[index] = picture, {**(state or {}), "frames": np.stack(frames)}
        env.set_state(self.states[-1] or {})
        self._astray = False
        return picture


def is_drawn_from_states(env: PixelEnv) -> bool:
    """Whether a moment's picture depends only on its state and on the states of the earlier frames in its stack."""
    return env.simulation.before not in (KEPT, BLACK)


def places_of(env: PixelEnv, index: int) -> Iterator[int]:
    """Return the moments of an observation's frames, oldest first; the first moment stands in for those before it."""
    return (max(place, 0) for place in range(index + 1 - env.config.frame_stack, index + 1))
