"""Policies and one episode to ask questions of: play it, go back, play on otherwise, change the picture, look again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np

from saccade.data.user_code import running
from saccade.envs.dials import dial_mode
from saccade.envs.scene_dials import SCENE_DIALS, scene_dials_of
from saccade.envs.shift_modes import PLUS
from saccade.envs.suites import name_of_suite
from saccade.explain.course import Course, allowed_at
from saccade.explain.edits import droppable, edited
from saccade.explain.episodes import checked, newest
from saccade.explain.following import Follower
from saccade.explain.looking import COARSE_TO_FINE, Answer, MapLevel, Pane, Question
from saccade.explain.maps import MethodSettings, find_maps, finder, magnitude, names_of
from saccade.explain.modes import in_modes, read_modes
from saccade.explain.reading import Reading, read
from saccade.explain.scored import AGAINST_TRUTH, Scored, metrics_of, scored
from saccade.explain.tasks import CLEAN, Task
from saccade.explain.views import Seen, Truth, Views
from saccade.policies.policy import Policy
from saccade.policies.score_kinds import SCORES
from saccade.policies.scores import default_score, has_score
from saccade.saliency import METHODS
from saccade.types import UserError

MOST_STEPS = 1000  # of an episode that is kept


@final
class Session:
    """One person's episode. It knows nothing of pages, and is used from one thread.

    Args:
        policies: the first one plays unless another is asked to; all must take the task's observations.
        task: where; other modes of it, shifts such as ``brightness:0.5`` too, are made when they are asked for.

    Raises:
        UserError: in everything, where a policy and the task do not fit, somebody's code fails, or there is no such
            moment, mode or method. The session lives on as it was.
    """

    def __init__(self, policies: Sequence[Policy], task: Task, *, mode: str = CLEAN, seed: int = 0) -> None:
        self.policies, self.task = tuple(policies), task
        self._readings: dict[Pane, tuple[Policy, np.ndarray, np.ndarray | None, Reading]] = {}
        self._course = Course(self.policies)
        self._asks = next((policy for policy in self.policies if policy.masked), self.policies[0])  # what is allowed
        self._views = Views(self._asks, self._task_in)
        self._played = self._follower(mode, seed)
        try:
            for policy in self.policies:  # a policy that does not fit shows now
                checked(
                    self._played.env, read(policy, self._played.seen(0), self._allowed(policy, 0)).action, task.name
                )
        except BaseException:
            self.close()
            raise

    @property
    def mode(self) -> str:
        """In which it is played."""
        return self._played.mode

    @property
    def seed(self) -> int:
        return self._played.seed

    @property
    def actions(self) -> tuple[np.ndarray, ...]:
        return tuple(self._played.actions)

    @property
    def rewards(self) -> tuple[float, ...]:
        return tuple(self._played.rewards)

    @property
    def over(self) -> bool:
        """Whether there is no further step."""
        return self._played.over or len(self.actions) >= MOST_STEPS

    @property
    def action_names(self) -> tuple[str, ...]:
        return self._played.names.names

    @property
    def first_action(self) -> int:
        """The number of the first of discrete actions."""
        return self._played.names.first

    @property
    def action_space(self) -> Any:
        """Of the environment, as Gymnasium tells it."""
        return self._played.env.action_space

    def course(self, policy: int = 0) -> tuple[Reading, ...]:
        """What a policy made of each moment so far, in the mode that is played; each is computed once."""
        while self.read_on(policy):
            pass
        return tuple(self.course_so_far(policy))

    def course_so_far(self, policy: int = 0) -> Sequence[Reading]:
        """The same of the moments that were read already, from the first one on."""
        return self._course.known(policy)

    def read_on(self, policy: int = 0) -> bool:
        """Read one more moment of the course; gives whether there was one."""
        return self._course.read_on(self._policy(policy), policy, self._played)

    def dials(self) -> tuple[str, ...]:
        """Those of the scene, which only some simulators have."""
        if self.task.config is None:
            return ()
        return tuple(
            name for name in scene_dials_of(name_of_suite(self.task.config.task)) if not SCENE_DIALS[name].in_place
        )

    def shifts(self) -> tuple[str, ...]:
        """Those that can be laid over the pictures, all or a part of them."""
        return droppable(self.policies[0].pixels)

    def methods(self) -> tuple[str, ...]:
        """Saliency methods that the first policy could be asked for."""
        return tuple(names_of(self.policies[0]))

    def scores(self) -> tuple[str, ...]:
        """What maps can explain of the first policy, its default first."""
        first = default_score(self.policies[0])
        plain = [name for name in SCORES if has_score(self.policies[0], name) and name not in (first, "sarfa")]
        return (first, *(name for name in plain if "distance" not in name and name != "kl"))

    def metrics(self) -> tuple[str, ...]:
        """What a map can be scored by."""
        return metrics_of(self.task.knows_truth)

    def scored(
        self, pane: Pane, question: Question, answer: Answer, level: MapLevel, asked: Sequence[str]
    ) -> tuple[Scored, ...]:
        """The scores of an answer's map; against the truth as the pane's mode and a dial of the scene show it."""
        for name in asked:
            if name not in self.metrics():
                raise UserError(f"There is no score {name!r} here: there are {', '.join(self.metrics())}.")
        truth = None
        if any(name in AGAINST_TRUTH for name in asked):
            self._check_index(question.index)
            turned = self._with_dial(pane.mode, question.dial)
            truth = self._views.of(turned, Truth, self.seed).at(self._played, question.index)
        return scored(self._policy(pane.policy), answer.obs, level.values, truth, asked, self.seed)

    def begin(self, seed: int, mode: str | None = None) -> None:
        """Another episode; it takes the place of this one once it has begun."""
        self._play(self._follower(self.mode if mode is None else mode, seed))

    def restore(self, seed: int, mode: str, actions: Sequence[Any]) -> None:
        """The episode that these actions made, as after a server was started again.

        What nobody looks at yet is not drawn where that can wait: a thousand steps take a second.
        """
        new = self._follower(mode, seed)
        try:
            new.hurry([self.as_action(action, new) for action in actions])
        except BaseException:
            new.close()
            raise
        self._play(new)

    def in_mode(self, mode: str) -> None:
        """Play on in another mode: the same seed and actions there."""
        if mode != self.mode:
            self.restore(self.seed, mode, self.actions)

    def step(self, policy: int = 0) -> bool:
        """Let a policy play one more step; gives whether there was one to play."""
        if self.over:
            return False
        plays, played = self._policy(policy), self._played
        with running(f"The policy {plays.name}"):
            action = plays.act(played.seen(len(played.actions)).copy(), self._allowed(plays, -1))
        played.step(np.array(action))
        return True

    def play_on_with_action(self, index: int, action: Any) -> None:
        """Go back to a moment and take this action there; what came after it is forgotten."""
        self._check_index(index)
        wanted, allowed = self.as_action(action, self._played), self._played.allowed[index]
        if allowed is not None and not allowed[int(wanted) - self.first_action]:
            raise UserError(f"{self.task.name} does not allow action {wanted} at step {index}.")
        self._played.back_to(index)
        self._course.forget(index + 1)
        self._played.step(wanted)

    def as_action(self, action: Any, played: Follower | None = None) -> np.ndarray:
        """A number or a list of numbers as this environment's action. Raises UserError for anything else."""
        space = (played or self._played).env.action_space
        try:
            given = np.asarray(action, dtype=space.dtype)
        except (TypeError, ValueError) as error:
            raise UserError(f"{action!r:.80} is no action of {self.task.name}.") from error
        if given.shape != space.shape or not space.contains(given if given.shape else given[()]):
            raise UserError(f"{self.task.name} has no action {action!r:.80}: it takes {space}.")
        return given

    def look(self, pane: Pane, question: Question) -> Answer:
        """What a policy sees and does at a moment, before and after the question's changes."""
        policy = self._policy(pane.policy)
        before = self._seen(pane.mode, question.index)
        turned = self._with_dial(pane.mode, question.dial)
        changed = before if turned == pane.mode else self._seen(turned, question.index)
        changed = edited(policy.pixels, changed, question.edits, seed=self.seed, step=question.index)
        allowed = self._allowed(policy, question.index)
        first = self._reading(pane, policy, before, allowed)
        same = changed is before
        pixels = policy.pixels
        picture = newest(pixels, changed[None])[0].transpose(1, 2, 0)
        after = first if same else read(policy, changed, allowed)
        return Answer(picture, first, after, changed)

    def maps(
        self, pane: Pane, answer: Answer, method: str, score: str | None = None, seed: int = 0
    ) -> Iterator[MapLevel]:
        """Its map of an answer's picture, coarse first where it takes long; whoever has another question stops."""
        policy = self._policy(pane.policy)
        if method not in names_of(policy):
            raise UserError(f"There is no saliency method {method!r} for {policy.name}.")
        levels = COARSE_TO_FINE.get(method, ({},))
        for level, changes in enumerate(levels, start=1):
            of_method = METHODS.get(method)
            named = score if of_method is not None and has_score(policy, score or default_score(policy)) else None
            find = finder(policy, method, MethodSettings(score=named, seed=seed, changes={method: changes}))
            with running(f"{method} of {policy.name}"):
                found, _ = find_maps(policy, find, answer.obs[None], 256)
            yield MapLevel(magnitude(found)[0], level, len(levels), find.score)

    def close(self) -> None:
        """Close every environment."""
        self._views.close()
        self._played.close()

    def _reading(self, pane: Pane, policy: Policy, obs: np.ndarray, allowed: np.ndarray | None) -> Reading:
        """Of an unchanged moment, which stays the same while a brush moves over it."""
        of, seen, choice, reading = self._readings.get(pane, (None, None, None, None))
        known = of is policy and np.array_equal(obs, seen) and np.array_equal(allowed, choice)  # type: ignore[arg-type]
        if reading is None or not known:
            reading = read(policy, obs, allowed)
            self._readings[pane] = (policy, obs, allowed, reading)
        return reading

    def _allowed(self, policy: Policy, index: int) -> np.ndarray | None:
        return allowed_at(policy, self._played, index)

    def _policy(self, number: int) -> Policy:
        if not 0 <= number < len(self.policies):
            raise UserError(f"There is no policy number {number + 1}: there are {len(self.policies)}.")
        return self.policies[number]

    def _check_index(self, index: int) -> None:
        if not 0 <= index <= len(self.actions):
            raise UserError(f"There is no moment {index}: the episode has 0 to {len(self.actions)}.")

    def _seen(self, mode: str, index: int) -> np.ndarray:
        self._check_index(index)
        if mode == self.mode:
            return self._played.seen(index)
        return self._views.of(mode, Seen, self.seed).at(self._played, index)

    def _with_dial(self, mode: str, dial: tuple[str, float] | None) -> str:
        """The mode with a dial of the scene turned; itself where there is none, or it stands at its beginning."""
        if dial is None or dial[1] <= 0:
            return mode
        name, strength = dial
        if name not in self.dials():
            raise UserError(f"{self.task.name} has no dial {name!r}: it has {', '.join(self.dials()) or 'none'}.")
        if not strength <= 1:
            raise UserError(f"A strength of {strength:g} lies outside 0..1.")
        turned = dial_mode(name, strength)
        return turned if mode == CLEAN else f"{mode}{PLUS}{turned}"

    def _task_in(self, mode: str) -> Task:
        asked = read_modes((mode,), self.task.modes)
        if asked.names != (mode,):
            raise UserError(f"{mode!r} is not one mode: write it as {' or '.join(asked.names) or CLEAN}.")
        return in_modes(self.task, asked, self.policies[0])

    def _follower(self, mode: str, seed: int) -> Follower:
        return Follower(self._asks, self._task_in(mode), mode, seed)

    def _play(self, new: Follower) -> None:
        """Another episode takes the place of this one."""
        if new.seed != self.seed:
            self._views.close()
        self._played.close()
        self._played = new
        self._course.forget(0)
