"""Environments that write every observation into the same memory, or turn it around: each moment is what was seen."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saccade.explain import MethodSettings, Moments, explain
from saccade.explain.maps import finder
from saccade.explain.returns import kept_returns
from saccade.explain.tasks import Task
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module

SIDE, STEPS = 16, 6
SHAPES = {"channels first": (3, SIDE, SIDE), "channels last": (SIDE, SIDE, 3), "one channel": (SIDE, SIDE)}
KINDS = list(itertools.product(SHAPES, (np.uint8, np.float32)))


def brightness(step: int, dtype: Any) -> float:
    return 10 * step + 5 if dtype == np.uint8 else (10 * step + 5) / 255


class Reusing(gymnasium.Env[NDArray[Any], NDArray[Any]]):
    """As bright as the step is late, its top row white; one array, one mask and the action are written again.

    turned: gives a view with negative strides, whose *last* row lies first in memory.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, turned: bool = False) -> None:
        self.high = 255 if dtype == np.uint8 else 1
        self.observation_space = gymnasium.spaces.Box(0, self.high, shape, dtype)
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.rows = shape.index(SIDE)
        self.memory, self.mask = np.zeros(shape, dtype), np.zeros((1, SIDE, SIDE), bool)
        self.turned = turned

    def _given(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self.memory[...] = brightness(self.count, self.memory.dtype)
        np.moveaxis(self.memory, self.rows, 0)[-1 if self.turned else 0] = self.high
        self.mask[...] = False
        self.mask[:, self.count] = True
        given = np.flip(self.memory, self.rows) if self.turned else self.memory
        return given, {"task_mask": self.mask}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self._given()

    def step(self, action: NDArray[Any]) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        self.count += 1
        action[...] = 0.5
        obs, info = self._given()
        return obs, 1.0, False, self.count >= STEPS, info


class Mean(nn.Module):
    """Two actions: the mean brightness and that of the top row; given in the same memory every time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, obs: Tensor) -> Tensor:
        pixels = obs.movedim(-1, 1) if obs.shape[-1] == 3 else obs
        return torch.stack([pixels.mean((1, 2, 3)), pixels[:, :, 0].mean((1, 2))], 1) * self.weight / 1000


def task_and_policy(shape: tuple[int, ...], dtype: Any, turned: bool = False) -> tuple[Task, Policy]:
    def make(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
        return Reusing(shape, dtype, turned)

    env = Reusing(shape, dtype)
    policy = from_module(Flat() if len(shape) == 2 else Mean(), env.observation_space, env.action_space, "action")
    return Task("reusing", make, ("train", "other"), knows_truth=True), policy


class Flat(Mean):
    def forward(self, obs: Tensor) -> Tensor:
        return super().forward(obs[:, None])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("layout", "dtype"), KINDS)
def test_every_moment_is_what_the_policy_saw(layout: str, dtype: Any, turned: bool) -> None:
    task, policy = task_and_policy(SHAPES[layout], dtype, turned)
    found = explain(policy, task, modes=("train", "other"), methods="gradient", moments=Moments(frames=STEPS))
    for mode in ("train", "other"):
        episode = found.episodes[mode]
        assert episode.step.tolist() == list(range(STEPS))
        assert episode.task_mask is not None
        assert episode.changed_pixels == (None if mode == "train" else 0.0)  # whatever the type and the layout
        # The clean counterparts are recorded in a second environment, by the same hands.
        for seen in (episode.obs,) if episode.clean_obs is None else (episode.obs, episode.clean_obs):
            pictures = policy.tensor(seen)
            for step in range(STEPS):
                assert bool((pictures[step, :, 0] == (255 if dtype == np.uint8 else 1)).all())  # the top row
                expected = torch.full_like(pictures[step, :, 1:], brightness(step, dtype))
                torch.testing.assert_close(pictures[step, :, 1:], expected)
        for step in range(STEPS):
            assert np.flatnonzero(episode.task_mask[step].any((0, 2))).tolist() == [step]
            np.testing.assert_allclose(episode.action[step], policy.act(episode.obs[step]), rtol=1e-6)


def test_what_is_played_with_the_kept_pixels_sees_its_own_step() -> None:
    task, policy = task_and_policy(SHAPES["channels last"], np.uint8, turned=True)
    find = finder(policy, "gradient", MethodSettings())
    result = kept_returns(policy, task, "train", find, torch.zeros_like, fractions=(0.5, 1.0), seed=0, steps=STEPS)
    assert result.returns == (STEPS, STEPS)


@pytest.mark.parametrize("layout", SHAPES)
def test_observations_as_tensors_share_no_memory(layout: str) -> None:
    _, policy = task_and_policy(SHAPES[layout], np.float32)
    obs = np.zeros(SHAPES[layout], np.float32)
    tensor = policy.tensor(obs)
    obs[...] = 1
    assert not bool(tensor.any())
    obs.flags.writeable = False
    assert bool((policy.tensor(np.flip(obs, 0)) == 1).all())
