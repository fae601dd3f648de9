"""Environments of a few pixels whose values and best actions can be said beforehand: what learning is tested on.

An episode's first picture is bright or dark, each as likely; what that means is the probe's one difficulty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from saccade.envs.oracle import shown

BRIGHT, DARK, NEUTRAL = 255, 0, 128
FRAMES = 3
TARGETS = {BRIGHT: 0.5, DARK: -0.5}
"""The best action, where actions matter."""


CHOICES = {BRIGHT: 1, DARK: 0}
"""The action that pays, where there are two to choose from."""


@dataclass(frozen=True)
class Probe:
    """What pays off. ``constant`` is paid at every step, everything else at the episode's last one."""

    constant: float = 0.0
    bright: float = 0.0  # if the first picture was bright
    action_matters: bool = False  # minus the squared distance to the target that the picture shows
    episode_steps: int = 1
    terminates: bool = True  # or else runs out of time
    distractor: bool = False  # whether the left half of every frame is noise that means nothing
    oracle: bool = False  # whether the half that means nothing is hidden, as by an oracle that knows
    size: int = 8  # pixels
    told_beside: Literal["", "alike", "other"] = ""
    """Whether three quarters of a frame that are not the task tell the picture too: as it is, or the other one. The
    simulator's own mask, ``info["task_mask"]``, then has the last quarter alone."""
    choices: bool = False  # whether there are two actions to choose from, of which the picture's own pays 1 at the end


class ProbeEnv(gymnasium.Env[NDArray[np.uint8], Any]):
    def __init__(self, probe: Probe, seed: int | None) -> None:
        self.probe = probe
        self.observation_space = gymnasium.spaces.Box(0, 255, (FRAMES * 3, probe.size, probe.size), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        if probe.choices:
            self.action_space = gymnasium.spaces.Discrete(len(CHOICES))
        self.random = np.random.default_rng(seed)
        self.level, self.steps = DARK, 0
        self.obs = np.zeros(self.observation_space.shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.steps = 0
        self.level = BRIGHT if self.random.random() < 0.5 else DARK
        self.obs = np.tile(frame(self.level, self.probe, self.random), (FRAMES, 1, 1))
        return self.obs, self.told()

    def told(self) -> dict[str, Any]:
        """The simulator's own mask, where a probe has one."""
        return {"task_mask": np.stack([task_of(self.probe)] * FRAMES)} if self.probe.told_beside else {}

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.obs = np.concatenate([self.obs[3:], frame(NEUTRAL, self.probe, self.random)])
        over = self.steps == self.probe.episode_steps
        reward = self.probe.constant
        if over:
            reward += self.probe.bright * (self.level == BRIGHT)
            if self.probe.choices:
                reward += float(action == CHOICES[self.level])
            elif self.probe.action_matters:
                reward -= float(action[0] - TARGETS[self.level]) ** 2
        return self.obs, reward, over and self.probe.terminates, over and not self.probe.terminates, self.told()


def make_probe(probe: Probe, seed: int | None) -> ProbeEnv:
    return ProbeEnv(probe, seed)


def task_of(probe: Probe) -> NDArray[np.bool_]:
    """The last quarter of a picture, bool [size, size]."""
    return np.broadcast_to(np.arange(probe.size) >= 3 * probe.size // 4, (probe.size, probe.size))


def frame(level: int, probe: Probe, random: np.random.Generator) -> NDArray[np.uint8]:
    """One frame uint8 [3, size, size]: a grey level, with the distractor in the left half."""
    pixels = np.full((3, probe.size, probe.size), level, np.uint8)
    if probe.distractor:
        columns = probe.size // 2
        pixels[:, :, :columns] = random.integers(0, 256, (3, probe.size, columns))
    if probe.told_beside:
        beside = level if probe.told_beside == "alike" else BRIGHT - level
        pixels = np.where(task_of(probe), pixels, np.uint8(beside))
    if probe.oracle:
        task = np.broadcast_to(np.arange(probe.size) >= probe.size // 2, (probe.size, probe.size))
        pixels = shown(pixels.transpose(1, 2, 0), task).transpose(2, 0, 1)
    return pixels


def observations(levels: tuple[int, ...], probe: Probe, count: int) -> NDArray[np.uint8]:
    """``count`` observations uint8 [count, 9, size, size] of three frames with these levels, oldest first."""
    random = np.random.default_rng(0)
    return np.stack([np.concatenate([frame(level, probe, random) for level in levels]) for _ in range(count)])
