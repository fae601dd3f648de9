"""Overlapped training learns what strict training does: the same returns, but for the noise between seeds.

One environment that alternates with its updates is the oracle; four that overlap with theirs act on weights that are
one tick of four updates older.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from method_cases import images
from probe_envs import Probe, make_probe
from test_probes import LEARNS_QUICKLY, RANDOM_STEPS, quick

from saccade.agents import METHODS
from saccade.data.replay import ReplayBuffer
from saccade.envs.env import EnvConfig
from saccade.envs.workers import EnvWorkers
from saccade.policies.run import RunConfig, Training, make_agent
from saccade.train.off_policy import OffPolicyTraining

SEEDS = range(4)
STEPS, LAST = 400, 80
RANDOM_RETURN = -(1 / 3 + 1 / 4)
"""Minus the mean of (a - t)^2 for a uniform in -1..1 and t = 1/2 or -1/2."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks of this size are computed faster by one thread than by two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mean_return(seed: int, envs: int, overlap: bool) -> float:
    """Of the last episodes of a training run, each of one step and with exploration, on a picture that tells the
    best action."""
    probe, device = Probe(action_matters=True), torch.device("cpu")
    training = Training(
        seed=seed,
        steps=STEPS,
        random_steps=RANDOM_STEPS,
        envs=envs,
        overlap=overlap,
        evaluate_every=0,
        evaluation_modes=(),
        device="cpu",
    )
    run = RunConfig("sac", EnvConfig("dmc/cartpole_balance"), quick(METHODS["sac"].config, LEARNS_QUICKLY), training)
    seeds = [100 * seed + index for index in range(envs)]
    with EnvWorkers([probe] * envs, seeds, num_workers=0, make=make_probe) as workers:
        agent = make_agent(run, workers.spaces, device, images)
        replay = ReplayBuffer(STEPS, (3, probe.size, probe.size), 1, num_envs=envs, segment_frames=64)
        loop = OffPolicyTraining(run, agent, workers, replay, device)
        for _ in loop.events():
            pass
    assert loop.counters.updates == STEPS
    return float(replay.state_tensors()["reward"][-LAST:].mean())


def test_overlapped_and_strict_runs_reach_the_same_returns() -> None:
    strict = np.array([mean_return(seed, envs=1, overlap=False) for seed in SEEDS])
    overlapped = np.array([mean_return(seed, envs=4, overlap=True) for seed in SEEDS])
    for returns in (strict, overlapped):
        assert returns.min() > RANDOM_RETURN / 4, f"{returns} instead of almost 0"
    error = np.sqrt((strict.var(ddof=1) + overlapped.var(ddof=1)) / len(SEEDS))
    assert abs(strict.mean() - overlapped.mean()) < max(3 * error, 0.01), f"{strict} and {overlapped}"
