"""PPO learns what can be computed by hand: values and actions on environments of 8x8 pixels, through the real loop."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch
from probe_envs import BRIGHT, CHOICES, DARK, NEUTRAL, TARGETS, Probe, make_probe, observations
from torch import Tensor

from saccade.agents.agent import Agent
from saccade.agents.configs_on_policy import FLS, PPO, Trunk
from saccade.agents.given import NOTHING
from saccade.data.rollout import Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.streams import WorkerStreams
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.runs.agents import make_agent
from saccade.runs.training import RunConfig, Training
from saccade.train.on_policy import OnPolicyTraining

CPU = torch.device("cpu")
ENVS, ROLLOUT, MINIBATCHES = 8, 16, 2
DISCOUNT = 0.5
QUICK = PPO(
    trunk=Trunk(network="small", image_size=8, filters=(8, 8, 8), hidden=32),
    rollout_steps=ROLLOUT,
    epochs=4,
    minibatches=MINIBATCHES,
    discount=DISCOUNT,
    clip_range=0.2,
    value_clip=None,
    entropy_weight=0.0,
    learning_rate=3e-3,
)


def learned(probe: Probe, steps: int, config: PPO | FLS = QUICK) -> Agent:
    """The agent that so many agent steps give."""
    method, rounds = ("ppo", config) if isinstance(config, PPO) else ("fls", config.ppo)
    training = Training(
        steps=steps, envs=ENVS, device="cpu", evaluate_every=0, evaluation_modes=(), checkpoint_every=steps
    )
    run = RunConfig(method, EnvConfig("dmc/cartpole_balance"), config, training, None)
    workers = EnvWorkers([probe] * ENVS, list(range(ENVS)), num_workers=0, make=make_probe)
    with closing(WorkerStreams(workers)) as streams:
        agent = make_agent(run, streams.spaces, CPU, NOTHING)
        rollout = Rollout(ROLLOUT, ENVS, streams.spaces, CPU, ROLLOUT * ENVS // MINIBATCHES)
        loop = OnPolicyTraining(run, agent, streams, rollout, CPU)
        for _ in loop.events():
            pass
    assert loop.counters.updates == steps // (ROLLOUT * ENVS) * rounds.epochs * MINIBATCHES
    return agent


def seen(*levels: int) -> Tensor:
    return torch.from_numpy(observations(levels if len(levels) == 3 else levels * 3, Probe(), 1))


def value(agent: Agent, *levels: int) -> float:
    with torch.no_grad():
        return float(agent.outputs["value"](agent.networks, seen(*levels)))


def test_a_constant_reward_where_episodes_truly_end() -> None:
    """V = 1: nothing follows."""
    agent = learned(Probe(constant=1.0), steps=4_096)
    assert value(agent, BRIGHT) == pytest.approx(1.0, abs=0.1) == value(agent, DARK)


@pytest.mark.parametrize(("truncation", "last"), [("bootstrap", 2.0), ("end", 1.0)])
def test_a_constant_reward_where_time_runs_out(truncation: str, last: float) -> None:
    """V = 1 + 1/2 + 1/4 + ... = 2 in each of four steps. If running out of time is the end, it is 1 in the last."""
    config = PPO(**{**vars(QUICK), "truncation": truncation})
    agent = learned(Probe(constant=1.0, episode_steps=4, terminates=False), 6_144, config)
    assert value(agent, NEUTRAL) == pytest.approx(last, abs=0.2)  # what is seen before the last step alone
    first = 2.0 if truncation == "bootstrap" else 1 + 1 / 2 + 1 / 4 + 1 / 8
    assert value(agent, BRIGHT) == pytest.approx(first, abs=0.2) == value(agent, DARK)


def test_a_delayed_reward_that_only_the_first_picture_tells() -> None:
    """Two steps, 1 at the end if the first picture was bright: V = 1 in the second step and 1/2 in the first."""
    agent = learned(Probe(bright=1.0, episode_steps=2), steps=6_144)
    assert value(agent, BRIGHT) == pytest.approx(DISCOUNT, abs=0.15)
    assert value(agent, BRIGHT, BRIGHT, NEUTRAL) == pytest.approx(1.0, abs=0.15)
    assert value(agent, DARK) == pytest.approx(0.0, abs=0.15) == value(agent, DARK, DARK, NEUTRAL)


@pytest.mark.parametrize("distractor", [False, True])
def test_the_choice_that_a_picture_tells(distractor: bool) -> None:
    agent = learned(Probe(choices=True, distractor=distractor), steps=6_144)
    for level in (BRIGHT, DARK):
        obs = torch.from_numpy(observations((level,) * 3, Probe(distractor=distractor), 20))
        assert (agent.act(obs, None) == CHOICES[level]).float().mean() > 0.9
        with torch.no_grad():
            assert agent.outputs["value"](agent.networks, obs).mean() > 0.75


@pytest.mark.parametrize(("attention", "accumulate"), [("rsppo", 1), ("dense", 2)])
def test_the_choice_that_a_picture_tells_through_attention(attention: str, accumulate: int) -> None:
    config = FLS(QUICK, attention, attention_filters=8, accumulate=accumulate)  # type: ignore[arg-type]
    agent = learned(Probe(choices=True, distractor=True), steps=4_096, config=config)
    for level in (BRIGHT, DARK):
        obs = torch.from_numpy(observations((level,) * 3, Probe(distractor=True), 20))
        assert (agent.act(obs, None) == CHOICES[level]).float().mean() > 0.9


def test_a_choice_that_needs_memory_of_two_frames() -> None:
    """It counts in the second step, when the newest frame is neutral: the one before it tells."""
    agent = learned(Probe(choices=True, episode_steps=2), steps=8_192)
    for level in (BRIGHT, DARK):
        assert int(agent.act(seen(level, level, NEUTRAL), None)) == CHOICES[level]


def test_the_number_that_a_picture_tells() -> None:
    """A Gaussian whose mean finds 1/2 where it is bright, and -1/2 where it is dark."""
    agent = learned(Probe(action_matters=True), steps=12_288)
    for level in (BRIGHT, DARK):
        assert float(agent.act(seen(level), None)) == pytest.approx(TARGETS[level], abs=0.2)
