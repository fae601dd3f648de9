"""The off-policy loop: step environments, remember, update; one update per agent step.

A *tick* is one step of every environment and the updates that it calls for. With one environment they alternate. With
more, the environments make their next step while the networks learn from the last one (``Training.overlap``): actions
are chosen at the start of a tick, by the weights before its updates. The order of everything is fixed, so that a run
depends neither on the speed nor on the number of processes.

The loop is a generator of events. Logging, printing, videos and the choice to stop are the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from saccade.agents.agent import Agent, make_update
from saccade.agents.recorded_updates import make_whole_update
from saccade.agents.shortcuts import make_shortcuts
from saccade.data.replay import ReplayBuffer
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers, Steps
from saccade.policies.evaluate import Evaluation
from saccade.runs.torch_setup import is_compiled
from saccade.runs.training import RunConfig
from saccade.train.evaluating import BackgroundEvaluation

WAITING_SECONDS = 0.1  # for an evaluation, between two moments to leave at


class NonFiniteLoss(ArithmeticError):
    """A loss or a weight became NaN or infinite; the message names the update, the phase and the term."""


class NonFiniteReward(ArithmeticError):
    """An environment gave a reward that is NaN or infinite, which must not get into the replay."""


@dataclass(frozen=True)
class Event:
    """Something that happened in training, for whoever watches.

    ``begun`` comes first, from the session. ``note`` (what will now take long) and ``warning`` (what failed, and is
    done in a slower way from now on) carry a row for ``notes.jsonl``, ``episode`` and ``losses`` one for
    ``metrics.jsonl``, ``evaluation`` the results of one mode with the ``env_steps`` that its weights had made. ``tick``
    (the counters have moved) and ``evaluating`` (nothing goes on but an evaluation) are moments to leave at.
    ``checkpoint_due`` asks the caller to save now.
    """

    kind: Literal["begun", "note", "warning", "tick", "episode", "losses", "evaluation", "evaluating", "checkpoint_due"]
    row: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None


@dataclass
class Counters:
    """Where the run stands; part of every checkpoint."""

    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    evaluated_at: int = -1  # not yet, not even at step 0
    modes_left: int = 0  # of the evaluation that began then, without a result yet
    checkpointed_at: int = 0


@dataclass
class BegunStep:
    """A step of every environment on its way from the policy to the replay."""

    action: np.ndarray  # float32 [envs, action_dim]
    outcome: Steps | None = None  # None while the environments make it


class OffPolicyTraining:
    """A training run in progress: an agent, its replay, its environments and every random generator.

    ``events()`` advances it until ``config.steps`` or until the caller stops iterating; between two events all state is
    consistent, and ``train.state`` can save or restore it.
    """

    def __init__(
        self,
        config: RunConfig,
        agent: Agent,
        workers: EnvWorkers[EnvConfig],
        replay: ReplayBuffer,
        device: torch.device,
        *,
        eager_because: str | None = None,
    ) -> None:
        """eager_because: why updates shall not be recorded as CUDA graphs, for people; None where they can be."""
        self.agent, self.workers, self.replay, self.device = agent, workers, replay, device
        self.env, self.config = config.env, config.training
        self.counters = Counters()
        self.host_generator = torch.Generator().manual_seed(self.config.seed)
        self.generator = self.host_generator
        if device.type != "cpu":
            self.generator = torch.Generator(device).manual_seed(self.config.seed)
        self.obs = np.zeros((self.config.num_envs, *workers.spaces.obs_shape), np.uint8)
        self.episode_return = np.zeros(self.config.num_envs)
        self.started = False
        self.begun: BegunStep | None = None
        self.paths: tuple[str, ...] = ()  # for people: which ways the work takes on this machine
        self.evaluation = BackgroundEvaluation(config, workers.spaces, device)
        self._pending: list[dict[str, Tensor]] = []
        compiled = is_compiled(self.config, device)
        self.shortcuts = make_shortcuts(self.config.compile if compiled else "off", self.config.graphs)
        update = make_update(agent, compile_losses=compiled, shortcut=self.shortcuts.compilation)
        generators = (self.generator, self.host_generator)
        self.update = make_whole_update(
            agent, update, replay, *generators, eager_because=eager_because, shortcuts=self.shortcuts
        )

    def events(self) -> Generator[Event, None, None]:
        """Train, yielding what happens, up to ``config.steps`` agent steps and the evaluation at their end.

        What is due is read off the counters, so that a run restored from a checkpoint of any moment goes on with
        exactly what would have come next. Only when the results of evaluations arrive depends on the machine.
        """
        with closing(self.evaluation), closing(self._train()) as training:
            for event in training:
                yield event
                yield from self._evaluated()

    def settle(self) -> None:
        """Wait for a step that the environments are making, and keep what comes of it until its turn: to be saved."""
        if self.begun is not None and self.begun.outcome is None:
            self.begun.outcome = self.workers.finish_step()

    def _train(self) -> Generator[Event, None, None]:
        config, counters = self.config, self.counters
        if not self.started:
            self._start_episodes(range(config.num_envs))
            self.started = True
        yield from self._play_modes_left()
        while True:
            if self._acts_before_updates():
                self._begin_step()
            yield from self._updates_due()
            finished = counters.env_steps >= config.steps
            if len(self._pending) >= config.log_every:
                yield Event("losses", self.read_losses())
            evaluation_due = _due(counters.evaluated_at, counters.env_steps, config.evaluate_every, finished)
            if evaluation_due:
                yield from self._begin_evaluation()
            unsaved = finished and (evaluation_due or counters.modes_left > 0)  # even if the last step was saved
            if finished:
                yield from self._rest_of_evaluation()
            if unsaved or _due(counters.checkpointed_at, counters.env_steps, config.checkpoint_every, finished):
                if self._pending:
                    yield Event("losses", self.read_losses())
                self.require_finite()
                yield Event("checkpoint_due")
            if finished:
                return
            self._begin_step()
            yield from (Event("episode", row) for row in self._finish_step())
            yield Event("tick")

    def read_losses(self) -> dict[str, Any]:
        """Means of the losses since the last reading, by log key. Raises NonFiniteLoss for NaN and infinity."""
        row = self.position()
        for key in sorted({key for metrics in self._pending for key in metrics}):
            values = torch.stack([metrics[key] for metrics in self._pending if key in metrics]).double().cpu()
            if not values.isfinite().all():
                self.require_finite()
            row[key] = float(values.mean())
        self._pending = []
        return row

    def require_finite(self) -> None:
        """Raise NonFiniteLoss if a loss that was not read yet, or a weight, is NaN or infinite.

        A step can break the weights from losses that were all finite; such weights must not be saved.
        """
        kept = self._what_is_kept()
        first = self.counters.updates - len(self._pending)
        for update, metrics in enumerate(self._pending, start=first):
            for key, value in metrics.items():  # in the order in which the update's phases ran
                if not value.isfinite():
                    term = key.replace("/", ", term ", 1)
                    raise NonFiniteLoss(f"Update {update}: phase {term} became {float(value)}. {kept}")
        names = {id(parameter): name for name, parameter in self.agent.networks.named_parameters()}
        for phase in self.agent.phases:
            for parameter in phase.owned():
                if not parameter.isfinite().all():
                    where = f"phase {phase.name}, weight {names[id(parameter)]}"
                    raise NonFiniteLoss(f"Update {self.counters.updates - 1}: {where} became NaN or infinite. {kept}")

    def _what_is_kept(self) -> str:
        if not self.counters.checkpointed_at:
            return "The run was stopped there, before its first checkpoint."
        return f"The run was stopped there and its last checkpoint, of step {self.counters.checkpointed_at}, kept."

    def has_unread_losses(self) -> bool:
        return bool(self._pending)

    def _updates_due(self) -> Iterator[Event]:
        """Perform the updates that the agent steps so far call for: one each, once the random ones are over.

        # Deviation: in the published code the burst after the random steps counts as one step, so that
        # phases with a period of 2 run in every update of it; here they keep their period.
        """
        counters = self.counters
        while counters.env_steps >= self.config.random_steps and counters.updates < counters.env_steps:
            if (ahead := self.update.ahead(counters.updates)) is not None:
                yield Event("note", {**self.position(), "note": ahead})
            began = time.monotonic()
            self._pending.append(self.update(counters.updates))
            counters.updates += 1
            counters.seconds += time.monotonic() - began
            for failure in self.shortcuts.news():
                yield Event("warning", {**self.position(), "warning": failure})
            yield Event("tick")

    def position(self) -> dict[str, Any]:
        counters = self.counters
        return {
            "env_steps": counters.env_steps,
            "updates": counters.updates,
            "seconds": round(counters.seconds, 3),
        }

    def _acts_before_updates(self) -> bool:
        """Whether the step of this tick begins before its updates; true of all ticks but the one of the burst.

        True of the last tick too: a run that is given more steps goes on as one that had them from the start.
        """
        config, env_steps = self.config, self.counters.env_steps
        burst = env_steps - config.num_envs < config.random_steps <= env_steps  # all updates that came due by then
        return config.overlap and config.num_envs > 1 and not burst

    def _begin_step(self) -> None:
        """Have every environment begin an agent step, unless they did."""
        if self.begun is not None:
            return
        began = time.monotonic()
        self.begun = BegunStep(self._choose_actions())
        self.workers.begin_step(self.begun.action)
        self.counters.seconds += time.monotonic() - began

    def _finish_step(self) -> list[dict[str, Any]]:
        """Remember the step that was begun; rows of the episodes that ended with it."""
        config, counters, began = self.config, self.counters, time.monotonic()
        self.settle()
        assert self.begun is not None and self.begun.outcome is not None
        action, step, self.begun = self.begun.action, self.begun.outcome, None
        self._require_finite_rewards(step)
        counters.env_steps += config.num_envs
        channels = step.obs.shape[1] // self.env.frame_stack
        for index in range(config.num_envs):
            discount = 0.0 if step.terminated[index] else 1.0
            self.replay.add(index, action[index], step.reward[index], discount, step.obs[index, -channels:])
        self.obs = step.obs
        self.episode_return += step.reward
        ended = np.flatnonzero(step.terminated | step.truncated)
        rows = [
            {**self.position(), "env": int(index), "episode/return": float(self.episode_return[index])}
            for index in ended
        ]
        if len(ended):
            self._start_episodes([int(index) for index in ended])
        counters.seconds += time.monotonic() - began
        return rows

    def _require_finite_rewards(self, step: Steps) -> None:
        if not np.isfinite(step.reward).all():
            index = int(np.flatnonzero(~np.isfinite(step.reward))[0])
            raise NonFiniteReward(
                f"Environment {index} gave the reward {step.reward[index]} after step {self.counters.env_steps}. "
                f"{self._what_is_kept()}"
            )

    def _start_episodes(self, indices: range | list[int]) -> None:
        first = self.workers.reset(list(indices))
        channels = first.shape[1] // self.env.frame_stack
        for index, obs in zip(indices, first, strict=True):
            self.obs[index] = obs
            self.episode_return[index] = 0.0
            self.replay.start_episode(index, obs[-channels:])

    def _choose_actions(self) -> np.ndarray:
        shape = (self.config.num_envs, self.workers.spaces.action_dim)
        if self.counters.env_steps < self.config.random_steps:
            return (torch.rand(shape, generator=self.host_generator) * 2 - 1).numpy()
        action = self.agent.act(torch.as_tensor(self.obs, device=self.device), self.generator).cpu().numpy()
        if not np.isfinite(action).all():
            self.require_finite()
        return action

    def _begin_evaluation(self) -> Iterator[Event]:
        """Have the weights of now evaluated, once the evaluation before is over."""
        counters, modes = self.counters, self.config.evaluation_modes
        self.require_finite()
        yield from self._rest_of_evaluation()
        counters.evaluated_at, counters.modes_left = counters.env_steps, len(modes)
        if modes:
            self.evaluation.take(self.agent.networks)
        yield from self._play_modes_left()

    def _play_modes_left(self) -> Iterator[Event]:
        """Begin an evaluation, or begin it again where the run was stopped during it."""
        left = self.counters.modes_left
        if left:
            self.evaluation.begin(self.config.evaluation_modes[-left:], self.workers.arrangement)
        if self.config.workers == 0:  # its environments would share this process with the training's, to nobody's gain
            yield from self._rest_of_evaluation()

    def _rest_of_evaluation(self) -> Iterator[Event]:
        while self.counters.modes_left:
            yield Event("evaluating", {"mode": self.config.evaluation_modes[-self.counters.modes_left]})
            self.evaluation.wait(WAITING_SECONDS)

    def _evaluated(self) -> Iterator[Event]:
        """What has come of the evaluation under way."""
        for result in self.evaluation.results():
            self.counters.modes_left -= 1
            yield Event("evaluation", {"env_steps": self.counters.evaluated_at}, result)


def _due(last: int, now: int, period: int, finished: bool) -> bool:
    """Whether a multiple of ``period`` was reached since step ``last``, or the run ended after it; period 0: never."""
    return (period > 0 and now // period > last // period) or (finished and last != now)
