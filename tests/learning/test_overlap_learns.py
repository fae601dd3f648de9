"""Overlapped training learns what strict training does: the same returns, but for the noise between seeds.

One environment that alternates with its updates is the oracle; four that overlap with theirs act on weights that are
one tick of four updates older.
"""

from __future__ import annotations

import numpy as np
from probe_envs import Probe, make_probe
from quick_runs import quick, trained
from test_probes import LEARNS_QUICKLY, RANDOM_STEPS

from saccade.agents import METHODS

SEEDS = range(4)
STEPS, LAST = 400, 80
RANDOM_RETURN = -(1 / 3 + 1 / 4)
"""Minus the mean of (a - t)^2 for a uniform in -1..1 and t = 1/2 or -1/2."""


def mean_return(seed: int, envs: int, overlap: bool) -> float:
    """Of the last episodes of a training run, each of one step and with exploration, on a picture that tells the
    best action."""
    loop = trained(
        "sac",
        quick(METHODS["sac"].config, LEARNS_QUICKLY),
        [Probe(action_matters=True)] * envs,
        make_probe,
        env_seeds=[100 * seed + index for index in range(envs)],
        seed=seed,
        steps=STEPS,
        random_steps=RANDOM_STEPS,
        overlap=overlap,
    )
    return float(loop.replay.state_tensors()["reward"][-LAST:].mean())


def test_overlapped_and_strict_runs_reach_the_same_returns() -> None:
    strict = np.array([mean_return(seed, envs=1, overlap=False) for seed in SEEDS])
    overlapped = np.array([mean_return(seed, envs=4, overlap=True) for seed in SEEDS])
    for returns in (strict, overlapped):
        assert returns.min() > RANDOM_RETURN / 4, f"{returns} instead of almost 0"
    error = np.sqrt((strict.var(ddof=1) + overlapped.var(ddof=1)) / len(SEEDS))
    assert abs(strict.mean() - overlapped.mean()) < max(3 * error, 0.01), f"{strict} and {overlapped}"
