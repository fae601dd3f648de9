"""Guided agents on a picture whose greater part tells the answer only as long as nothing changes."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import Any

import pytest
import torch
from method_cases import images
from probe_envs import BRIGHT, CHOICES, DARK, Probe, make_probe, observations

from saccade.agents import METHODS
from saccade.agents.agent import Agent
from saccade.agents.configs_discrete import DQN, SGDQN, SGPPO, Guidance, PlainTrunk
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.data.replay import ReplayBuffer
from saccade.data.rollout import Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.streams import WorkerStreams
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.runs.agents import make_agent
from saccade.runs.training import OffPolicy, RunConfig, Training
from saccade.train.off_policy import OffPolicyTraining
from saccade.train.on_policy import OnPolicyTraining

CPU = torch.device("cpu")
ENVS, ROLLOUT, MINIBATCHES, STEPS = 8, 16, 2, 3_072
SIZES: dict[str, Any] = {"network": "small", "image_size": 8, "filters": (8, 8, 8), "hidden": 32}
ROUNDS = PPO(
    trunk=Trunk(**SIZES),
    rollout_steps=ROLLOUT,
    epochs=4,
    minibatches=MINIBATCHES,
    discount=0.5,
    clip_range=0.2,
    value_clip=None,
    entropy_weight=0.01,
    learning_rate=3e-3,
    learning_rate_schedule="constant",
)
VALUES = DQN(
    trunk=PlainTrunk(**SIZES), discount=0.5, learning_rate=3e-3, adam_epsilon=1e-8, target_every=50, epsilon_share=0.5
)
GUIDANCE = Guidance(decoder_filters=(4, 4), self_supervision=False, consistency_weight=2.0)


def trained(method: str, config: Any, probe: Probe) -> Agent:
    """The agent that the real loops give, with the simulator's own masks where it learns from them."""
    knows = METHODS[method].truth(config)
    training = Training(steps=STEPS, envs=ENVS, device="cpu", evaluate_every=0, evaluation_modes=())
    on_policy = METHODS[method].loop == "on_policy"
    loop = None if on_policy else OffPolicy(random_steps=256, update_every=4)
    run = RunConfig(method, EnvConfig("dmc/cartpole_balance"), config, training, loop)
    workers = EnvWorkers([probe] * ENVS, list(range(ENVS)), num_workers=0, make=make_probe)
    with closing(WorkerStreams(workers)) as streams:
        agent = make_agent(run, workers.spaces, CPU, images)
        made: OnPolicyTraining | OffPolicyTraining
        if on_policy:
            masked = agent.mark is not None
            minibatch = ROLLOUT * ENVS // MINIBATCHES
            rollout = Rollout(ROLLOUT, ENVS, workers.spaces, CPU, minibatch, masked=masked, knows_truth=knows)
            made = OnPolicyTraining(run, agent, streams, rollout, CPU)
        else:
            frame = (4 if knows else 3, probe.size, probe.size)
            replay = ReplayBuffer(
                STEPS, frame, workers.spaces.actions, num_envs=ENVS, segment_frames=64, returns=agent.returns
            )
            made = OffPolicyTraining(run, agent, workers, replay, CPU)
        for _ in made.events():
            pass
    return agent


def right(agent: Agent, probe: Probe) -> float:
    """Share of the two pictures whose answer an agent gives."""
    answers = []
    for level in (BRIGHT, DARK):
        obs = torch.from_numpy(observations((level,) * 3, probe, 10))
        answers.append((agent.act(obs, None) == CHOICES[level]).float().mean().item())
    return sum(answers) / 2


@pytest.mark.parametrize("method", ["sg_ppo", "sg_dqn"])
def test_a_plain_agent_fails_where_something_beside_the_task_changes_and_one_with_an_oracle_does_not(
    method: str,
) -> None:
    """Three quarters of the picture are as bright as the task's quarter, and after the change as dark as it is bright.

    The plain agent answers by them: all wrong. The one that must agree with itself on the simulator's own mask answers
    by what is left.
    """
    seen = Probe(choices=True, told_beside="alike")
    changed = dataclasses.replace(seen, told_beside="other")
    rights = {}
    for mask, weight in (("attribution", 0.0), ("oracle", 2.0)):
        guidance = dataclasses.replace(GUIDANCE, mask=mask, consistency_weight=weight)
        config: Any = SGDQN(VALUES, guidance)
        if method == "sg_ppo":
            config = SGPPO(ROUNDS, guidance, value_consistency_weight=weight)
        agent = trained(method, config, seen)
        rights[mask] = (right(agent, seen), right(agent, changed))
    assert rights["attribution"][0] == 1.0 and rights["attribution"][1] <= 0.5
    assert rights["oracle"] == (1.0, 1.0)


def test_dqn_learns_the_choice_that_a_picture_tells() -> None:
    """Its values are what is paid, 1 or 0, and it counts in the second step, when the newest frame tells nothing."""
    agent = trained("dqn", dataclasses.replace(VALUES, n_steps=2), Probe(choices=True, episode_steps=2))
    for level in (BRIGHT, DARK):
        obs = torch.from_numpy(observations((level, level, 128), Probe(), 1))
        with torch.no_grad():
            values = agent.outputs["q_values"](agent.networks, obs)[0]
        assert values[CHOICES[level]].item() == pytest.approx(1.0, abs=0.15)
        assert values[1 - CHOICES[level]].item() == pytest.approx(0.0, abs=0.25)
