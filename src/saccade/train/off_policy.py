"""The off-policy loop: step environments, remember, update; one update per agent step, or per several of them.

A *tick* is one step of every environment and the updates that it calls for. With one environment they alternate. With
several, the environments make their next step while the networks learn from the last one (``Training.overlap``):
actions are chosen at the start of a tick, by the weights before its updates. The order of everything is fixed, so that
a run depends neither on the speed nor on the number of processes.

The loop is a generator of events. Logging, printing, videos and the decision to stop are the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.agents.agent import Agent, anneal
from saccade.agents.methods_of import method_of
from saccade.data.actions import uniform_actions
from saccade.data.checkpoints import Checkpoint, Segment, written_segments
from saccade.data.documents import LARGEST_OF_STATES
from saccade.data.replay import ReplayBuffer
from saccade.envs.config import EnvConfig
from saccade.envs.streams import masks_of
from saccade.envs.workers.env_workers import EnvWorkers, Steps
from saccade.runs.training import RunConfig
from saccade.train.env_states import join_states, split_states
from saccade.train.evaluations import Evaluations
from saccade.train.events import Counters, Event, Progress, position
from saccade.train.health import Health
from saccade.train.learning import (
    after_updates,
    make_generators,
    make_updates,
    perform_update,
    was_interrupted,
    with_evaluations,
)
from saccade.train.loop import Snapshot

BEGUN = ("action", "obs", "reward", "terminated", "truncated")
"""What is saved of a step that was made while updates were still due, as ``begun/action`` and so on."""


@dataclass
class BegunStep:
    """A step of every environment on its way from the policy to the replay buffer."""

    action: np.ndarray  # float32 [envs, action_dim], or int64 [envs] where actions are discrete
    outcome: Steps | None = None  # None while the environments make it
    truth: np.ndarray | None = None  # bool [envs, frames, height, width], of the outcome, if masks are learned from


class OffPolicyTraining:
    """A training run in progress: an agent, its replay buffer, its environments and every random generator.

    A ``Loop`` on transitions that are stored, and sampled again and again.
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
        """eager_because: why updates cannot be recorded as CUDA graphs, for messages; None if they can be."""
        self.agent, self.workers, self.replay, self.device = agent, workers, replay, device
        assert config.loop is not None, "a method that learns from a replay says how"
        self.env, self.config, self.options = config.env, config.training, config.loop
        self.spaces, self.knows_truth = workers.spaces, method_of(config.method).truth(config.agent)
        self.counters = Counters()
        self.generator, self.host_generator = make_generators(self.config.seed, device)
        self.obs = np.zeros((self.config.num_envs, *workers.spaces.obs_shape), np.uint8)
        self.episode_return = np.zeros(self.config.num_envs)
        self.started = False
        self.begun: BegunStep | None = None
        self.paths: tuple[str, ...] = ()  # how the work is done on this machine, for messages
        self.health = Health(agent, self.counters)
        self.evaluations = Evaluations(
            config, agent, workers.spaces, device, self.counters, self.health, lambda: workers.arrangement
        )
        generators = (self.generator, self.host_generator)
        self.shortcuts, self.update = make_updates(self.config, agent, replay, generators, device, eager_because)

    def events(self) -> Generator[Event, None, None]:
        """Train for ``config.steps`` agent steps, and evaluate at the end; see ``Loop``."""
        return with_evaluations(self, self._train())

    def progress(self) -> Progress:
        """Updates once learning has begun: a step is done when its update is, and the first brings a thousand."""
        counters, first = self.counters, self.options.random_steps
        learning = counters.env_steps >= first
        made, what = (counters.updates, "updates") if learning else (min(counters.env_steps, first - 1), "steps")
        speed = f"{made / counters.seconds:.1f} {what}/s" if counters.seconds else ""
        done = made * self.options.update_every if learning else made
        return Progress("training" if learning else "acting at random", done, speed)

    def ways(self) -> list[str]:
        """Return how updates are performed, where things are stored, and how environments are spread, for messages."""
        spread = f"environments: {self.workers.arrangement}"
        if self.options.overlap and self.config.num_envs > 1:
            before = self.config.num_envs
            meanwhile = "; they step while the networks learn" if self.workers.arrangement.processes else "; they step"
            spread += f"{meanwhile}, with the policy from {before} agent steps earlier"
        return [f"updates: {self.update.path}", *self.paths, spread]

    def snapshot(self, root: Path) -> Snapshot:
        """Environments, the step in progress and the replay buffer; its frames below ``root`` are not rewritten."""
        self.settle()
        arrays, scalars = split_states(self.workers.get_state())
        arrays |= {
            "obs": torch.from_numpy(self.obs),
            "episode_return": torch.from_numpy(self.episode_return),
            **_begun_tensors(self.begun),
        }
        return Snapshot(
            changing={"environments": arrays},
            documents={"environments": scalars},
            lasting={"replay": self.replay.state_tensors()},
            segments=tuple(self._segments(root)),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore what ``snapshot`` returned."""
        if self.counters.updates > self.counters.env_steps:
            raise ValueError(f"{self.counters.updates} updates in {self.counters.env_steps} steps")
        self.replay.load(checkpoint.tensors("replay"), checkpoint.frames())
        arrays = checkpoint.tensors("environments")
        self.obs = arrays.pop("obs").numpy()
        self.episode_return = arrays.pop("episode_return").numpy()
        self.begun = _take_begun(arrays)
        states = checkpoint.document("environments", list[dict[str, Any]], LARGEST_OF_STATES)
        self.workers.set_state(join_states(arrays, states))

    def _segments(self, root: Path) -> Iterator[Segment]:
        written = written_segments(root)
        for segment in self.replay.frame_segments():
            name = f"frames-{segment.start_serial:09d}"
            there = segment.complete and name in written
            frames = None if there else self.replay.read_segment(segment)
            yield Segment(name, segment.start_serial, frames, segment.complete)

    def settle(self) -> None:
        """Wait for a step that the environments are making, and keep its outcome until its turn, to be saved."""
        if self.begun is not None and self.begun.outcome is None:
            self.begun.outcome = self.workers.finish_step()
            self.begun.truth = masks_of(self.begun.outcome.infos) if self.knows_truth else None

    def _train(self) -> Generator[Event, None, None]:
        if not self.started:
            self._start_episodes(range(self.config.num_envs))
            self.started = True
        interrupted = was_interrupted(self)
        yield from self.evaluations.go_on()
        while True:
            if self._acts_before_updates():
                self._begin_step()
            yield from self._updates_due()
            yield from after_updates(self, interrupted)
            if self.counters.env_steps >= self.config.steps:
                return
            self._begin_step()
            yield from (Event("episode", row) for row in self._finish_step())
            yield Event("tick")

    def _updates_due(self) -> Iterator[Event]:
        """Perform the updates that the agent steps so far call for, once the random steps are over.

        # Deviation: in the published code the burst after the random steps counts as one step, so that
        # phases with a period of 2 run in every update of it; here they keep their period.
        """
        counters, due = self.counters, self.counters.env_steps // self.options.update_every
        while counters.env_steps >= self.options.random_steps and counters.updates < due:
            yield from perform_update(self)
            yield Event("tick")

    def _acts_before_updates(self) -> bool:
        """Whether this tick's step begins before its updates; true in all ticks except that of the burst.

        True in the last tick as well: a run that is given more steps continues as one that had them from the start.
        """
        config, options, env_steps = self.config, self.options, self.counters.env_steps
        burst = env_steps - config.num_envs < options.random_steps <= env_steps  # all updates that have come due
        return options.overlap and config.num_envs > 1 and not burst

    def _begin_step(self) -> None:
        """Make every environment begin an agent step, unless it has."""
        if self.begun is not None:
            return
        began = time.monotonic()
        self.begun = BegunStep(self._choose_actions())
        self.workers.begin_step(self.begun.action)
        self.counters.seconds += time.monotonic() - began

    def _finish_step(self) -> list[dict[str, Any]]:
        """Store the step that was begun; return rows of the episodes that ended with it."""
        config, counters, began = self.config, self.counters, time.monotonic()
        self.settle()
        assert self.begun is not None and self.begun.outcome is not None
        action, step, truth, self.begun = self.begun.action, self.begun.outcome, self.begun.truth, None
        self.health.require_finite_rewards(step.reward)
        counters.env_steps += config.num_envs
        frames = self._newest_frames(step.obs, truth)
        for index in range(config.num_envs):
            discount = 0.0 if step.terminated[index] else 1.0
            self.replay.add(index, action[index], step.reward[index], discount, frames[index])
        self.obs = step.obs
        self.episode_return += step.reward
        ended = np.flatnonzero(step.terminated | step.truncated)
        rows = [
            {**position(counters), "env": int(index), "episode/return": float(self.episode_return[index])}
            for index in ended
        ]
        if len(ended):
            self._start_episodes([int(index) for index in ended])
        counters.seconds += time.monotonic() - began
        return rows

    def _start_episodes(self, indices: range | list[int]) -> None:
        first = self.workers.reset(list(indices))
        truth = masks_of([self.workers.reset_infos[index] for index in indices]) if self.knows_truth else None
        for index, obs, frame in zip(indices, first, self._newest_frames(first, truth), strict=True):
            self.obs[index] = obs
            self.episode_return[index] = 0.0
            self.replay.start_episode(index, frame)

    def _newest_frames(self, obs: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
        """What is stored of observations: their newest frames, with the simulator's own masks as one more channel
        if these are learned from.
        """
        channels = obs.shape[1] // self.env.frame_stack
        if not self.knows_truth:
            return obs[:, -channels:]
        assert truth is not None, "an environment that knows the truth tells it"
        return np.concatenate([obs[:, -channels:], truth[:, -1:].astype(np.uint8)], axis=1)

    def _choose_actions(self) -> np.ndarray:
        anneal(self.agent, self.counters.env_steps / self.config.steps)
        if self.counters.env_steps < self.options.random_steps:
            return uniform_actions(self.spaces.actions, self.config.num_envs, self.host_generator).numpy()
        action = self.agent.act(torch.as_tensor(self.obs, device=self.device), self.generator).cpu().numpy()
        if not np.isfinite(action).all():
            self.health.require_finite()
        return action


def _begun_tensors(begun: BegunStep | None) -> dict[str, Tensor]:
    if begun is None:
        return {}
    assert begun.outcome is not None, "settle comes before a snapshot"
    values = (begun.action, *begun.outcome[:4])
    truth = {} if begun.truth is None else {"begun/truth": torch.from_numpy(begun.truth)}
    return truth | {f"begun/{name}": torch.from_numpy(value) for name, value in zip(BEGUN, values, strict=True)}


def _take_begun(arrays: dict[str, Tensor]) -> BegunStep | None:
    """Remove the step that was begun from ``arrays``; None if there was none."""
    if f"begun/{BEGUN[0]}" not in arrays:
        return None
    action, obs, reward, terminated, truncated = (arrays.pop(f"begun/{name}").numpy() for name in BEGUN)
    truth = arrays.pop("begun/truth").numpy() if "begun/truth" in arrays else None
    return BegunStep(action, Steps(obs, reward, terminated, truncated, infos=[]), truth)
