"""The on-policy loop: play a rollout with the current policy, judge it once, learn from it in minibatches, drop it.

The loop is a generator of events, as every ``Loop``. The updates of a rollout are made between two events: there is no
chance to stop between the minibatches of an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.agents.agent import Agent, anneal
from saccade.data.checkpoints import Checkpoint
from saccade.data.documents import LARGEST_OF_STATES
from saccade.data.rollout import Rollout
from saccade.envs.streams import Streams, StreamStep
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


class OnPolicyTraining:
    """A training run in progress: an agent, the rollout that it plays, its environments and every random generator."""

    def __init__(
        self,
        config: RunConfig,
        agent: Agent,
        streams: Streams,
        rollout: Rollout,
        device: torch.device,
        *,
        eager_because: str | None = None,
    ) -> None:
        """eager_because: why updates cannot be recorded as CUDA graphs, for messages; None if they can be."""
        assert agent.rollouts is not None and agent.judge is not None, "an agent that learns from rollouts says how"
        self.agent, self.streams, self.rollout, self.device = agent, streams, rollout, device
        self.config, self.plan, self.judge = config.training, agent.rollouts, agent.judge
        self.spaces = streams.spaces
        self.counters = Counters()
        self.generator, self.host_generator = make_generators(self.config.seed, device)
        self.obs = np.zeros((streams.num_envs, *streams.spaces.obs_shape), np.uint8)
        self.episode_return, self.episode_length = np.zeros(streams.num_envs), np.zeros(streams.num_envs, np.int64)
        self.succeeded = np.zeros(streams.num_envs, np.bool_)
        self.truth: np.ndarray | None = None  # of obs, if the simulator's own masks are learned from
        self.started = False
        self.paths: tuple[str, ...] = ()
        self.health = Health(agent, self.counters)
        self.evaluations = Evaluations(
            config, agent, streams.spaces, device, self.counters, self.health, lambda: streams.arrangement
        )
        generators = (self.generator, self.host_generator)
        self.shortcuts, self.update = make_updates(self.config, agent, rollout, generators, device, eager_because)

    def events(self) -> Generator[Event, None, None]:
        """Train for ``config.steps`` agent steps, and evaluate at the end; see ``Loop``."""
        return with_evaluations(self, self._train())

    def progress(self) -> Progress:
        """Return the agent steps."""
        counters = self.counters
        speed = f"{counters.env_steps / counters.seconds:.0f} steps/s" if counters.seconds else ""
        return Progress("training", counters.env_steps, speed)

    def ways(self) -> list[str]:
        """Return how updates are performed, where things are stored, and how environments are spread, for messages."""
        return [f"updates: {self.update.path}", *self.paths, f"environments: {self.streams.arrangement}"]

    def snapshot(self, root: Path) -> Snapshot:
        """Return environments, and the rollout so far."""
        arrays, scalars = split_states(self.streams.get_state())
        arrays |= {name: torch.from_numpy(value) for name, value in self._episodes().items()}
        arrays["obs"] = torch.from_numpy(self.obs).contiguous()
        if self.truth is not None:
            arrays["truth"] = torch.from_numpy(self.truth).contiguous()
        return Snapshot(
            changing={"environments": arrays, "rollout": self.rollout.state_tensors()},
            documents={"environments": scalars},
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore what ``snapshot`` returned."""
        self.rollout.load(checkpoint.tensors("rollout"))
        arrays = checkpoint.tensors("environments")
        self.obs = arrays.pop("obs").numpy()
        self.truth = arrays.pop("truth").numpy() if "truth" in arrays else None
        for name, value in self._episodes().items():
            value[...] = arrays.pop(name).numpy()
        states = checkpoint.document("environments", list[dict[str, Any]], LARGEST_OF_STATES)
        self.streams.set_state(join_states(arrays, states))

    def _episodes(self) -> dict[str, np.ndarray]:
        """Counters of the running episodes, each ``[envs]``."""
        return {
            "episode_return": self.episode_return,
            "episode_length": self.episode_length,
            "succeeded": self.succeeded,
        }

    def _train(self) -> Generator[Event, None, None]:
        if not self.started:
            self.obs, self.truth = self.streams.start(), self.streams.truth()
            self.started = True
        interrupted = was_interrupted(self)
        yield from self.evaluations.go_on()
        while True:
            if self.rollout.is_full:
                yield from self._learn()
            yield from after_updates(self, interrupted)
            if self.counters.env_steps >= self.config.steps:
                return
            yield from (Event("episode", row) for row in self._step())
            yield Event("tick")

    def _step(self) -> Iterator[dict[str, Any]]:
        """Make one step of every environment; return rows of the episodes that ended with it."""
        counters, began = self.counters, time.monotonic()
        obs = torch.from_numpy(self.obs).to(self.device)
        action = self.agent.act(obs, self.generator)
        step = self.streams.step(self._playable(action))
        self.health.require_finite_rewards(step.reward)
        counters.env_steps += self.streams.num_envs
        self.rollout.add(obs, action, step.reward, step.terminated, step.truncated, step.last_obs, self.truth)
        self.obs, self.truth = step.obs, self.streams.truth()
        rows = self._ended(step)
        counters.seconds += time.monotonic() - began
        return iter(rows)

    def _playable(self, action: Tensor) -> np.ndarray:
        """Actions as environments take them: what a Gaussian samples outside -1..1 is clipped, but not in what is
        learned from.
        """
        played = action.cpu().numpy()
        if played.dtype.kind != "f":
            return played
        if not np.isfinite(played).all():
            self.health.require_finite()
        return played.clip(-1.0, 1.0)

    def _ended(self, step: StreamStep) -> list[dict[str, Any]]:
        self.episode_return += step.reward
        self.episode_length += 1
        if step.success is not None:
            self.succeeded |= step.success
        rows = []
        for index in np.flatnonzero(step.ended):
            row = {
                **position(self.counters),
                "env": int(index),
                "episode/return": float(self.episode_return[index]),
                "episode/length": int(self.episode_length[index]),
            }
            if step.success is not None:
                row["episode/success"] = int(self.succeeded[index])
            rows.append(row)
        for value in (self.episode_return, self.episode_length, self.succeeded):
            value[step.ended] = 0
        return rows

    def _mark(self, epoch: int) -> None:
        """Mark the pixels of the rollout if that is due before an epoch."""
        if self.agent.mark is None or (epoch and not self.plan.mark_epochs):
            return
        began = time.monotonic()
        self.rollout.marked(self.agent.mark, self.generator)
        self.counters.seconds += time.monotonic() - began

    def _learn(self) -> Iterator[Event]:
        """Perform all updates that a full rollout calls for."""
        began, played = time.monotonic(), self.rollout.steps * self.streams.num_envs
        anneal(self.agent, (self.counters.env_steps - played) / self.config.steps)
        self.rollout.judged(self.judge, self.plan.appraise, torch.from_numpy(self.obs).to(self.device))
        self.counters.seconds += time.monotonic() - began
        for epoch in range(self.plan.epochs):
            self._mark(epoch)
            for _ in self.rollout.minibatches(self.generator):
                yield from perform_update(self)
        self.rollout.empty()
